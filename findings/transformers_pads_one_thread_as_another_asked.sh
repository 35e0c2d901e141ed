#!/usr/bin/env bash
# Two threads that use one fast tokenizer get each other's padding: no error, but batches of the wrong length.
#
# Versions:  transformers 5.23.0, tokenizers 0.23.3, Python 3.11, Linux x86-64
# Guessed:   `padding` and `max_length` are arguments of a call, so calls do not meet; or the tokenizer raises "Already borrowed", as
#            it did for years where two threads met
# Seen:      __call__ writes padding and truncation into the tokenizer that all threads share, then encodes in a second step
#            (`set_truncation_and_padding` in tokenization_utils_tokenizers.py). tokenizers 0.23 locks each step and raises nothing,
#            so a call without padding comes back padded to another's max_length, once in some hundred calls. One tokenizer for
#            each thread, or a lock around the call, prevents it.
# Run:       findings/transformers_pads_one_thread_as_another_asked.sh   (PYTHON=... names the interpreter)
#
# Two threads call until one answer is wrong, for at most two minutes. Prints what it sees, and fails if that is something else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q transformers==5.23.0 tokenizers==0.23.3 2> "$folder/pip.log" || { cat "$folder/pip.log"; exit 2; }

cat > "$folder/look.py" <<'PY'
import copy
import threading
import time

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

words = Tokenizer(models.WordLevel({"[PAD]": 0, "one": 1, "two": 2}, unk_token="[PAD]"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]")
end = time.monotonic() + 120


def call_until_wrong(own, right, options):
    while not wrong and not done(own):
        lengths = [len(ids) for ids in own(["one two", "one"], **options)["input_ids"]]
        if lengths != right:
            wrong.append((lengths, right))


def done(own):
    calls[own is tokenizer] = calls.get(own is tokenizer, 0) + 1
    return time.monotonic() > end or (own is not tokenizer and calls[False] > 4000)


def meet(first, second):
    threads = [
        threading.Thread(target=call_until_wrong, args=[first, [2, 1], {}]),
        threading.Thread(target=call_until_wrong, args=[second, [8, 8], {"padding": "max_length", "max_length": 8}]),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return bool(wrong)


calls, wrong = {}, []
print("a tokenizer for each thread, wrong:", meet(copy.deepcopy(tokenizer), copy.deepcopy(tokenizer)))
print("one for both, wrong:", meet(tokenizer, tokenizer))
(lengths, right), *_ = wrong
print("lengths of the other's call:", sorted([lengths, right]) == [[2, 1], [8, 8]])
PY

expected="a tokenizer for each thread, wrong: False
one for both, wrong: True
lengths of the other's call: True"
seen=$(HF_HUB_OFFLINE=1 "$folder/venv/bin/python" -W ignore "$folder/look.py" 2> "$folder/errors") || { cat "$folder/errors"; exit 1; }
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; printf '%s\n' "$expected"; exit 1; }
