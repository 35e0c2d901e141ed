import os

import spaces
import tempfile
from pathlib import Path

import ctranslate2
import numpy
import torch
from faster_whisper import WhisperModel
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, WhisperConfig, WhisperForConditionalGeneration

LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
END, TOKENS = len(LETTERS), ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>"]
TOKENS += ["<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
TOKENS += [f"<|{step * 0.02:.2f}|>" for step in range(1501)]


def whisper():
    """The smallest Whisper, of random weights."""
    words = Tokenizer(models.BPE({letter: number for number, letter in enumerate(LETTERS)}, []))
    words.pre_tokenizer, words.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    words.add_special_tokens(TOKENS)
    special = {"eos_token_id": END, "bos_token_id": END, "pad_token_id": END, "decoder_start_token_id": END + 1}
    sizes = {"d_model": 64, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    torch.manual_seed(0)
    network = WhisperForConditionalGeneration(WhisperConfig(vocab_size=END + len(TOKENS), **sizes, **heads, **special))
    network.generation_config.lang_to_id = {"<|en|>": END + 2}
    network.generation_config.alignment_heads = [[0, 0]]
    folder = Path(tempfile.mkdtemp())
    network.save_pretrained(folder / "saved")
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token=TOKENS[0]).save_pretrained(folder / "saved")
    converter = ctranslate2.converters.TransformersConverter(str(folder / "saved"), copy_files=["tokenizer.json"])
    return WhisperModel(converter.convert(str(folder / "model")), device="cpu", compute_type="float32")


MODEL = whisper()
NOISE = numpy.random.default_rng(0).random(48_000, dtype=numpy.float32) - 0.5


def compute():
    segments, _ = MODEL.transcribe(NOISE, language="en", beam_size=1, temperature=0, max_new_tokens=5)
    return [each.text for each in segments]


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
