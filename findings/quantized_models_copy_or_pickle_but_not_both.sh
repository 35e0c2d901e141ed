#!/usr/bin/env bash
# A model that torchao has quantized can be deep-copied and not pickled; one of optimum-quanto can be pickled and not deep-copied.
#
# Versions:  torchao 0.18.0, optimum-quanto 0.2.7, bitsandbytes 0.50.2, with torch 2.13.0 for the CPU, Python 3.11, Linux x86-64
# Guessed:   copy.deepcopy falls back on what pickle uses, so either both work or neither; whole models were saved so for years
# Seen:      torchao's quantize_ gives each layer an `extra_repr` that is a method of a functools.partial, which has no `__name__`
#            to pickle it by: pickle.dumps(model) and torch.save(model) raise AttributeError, the state_dict works. Weights of
#            optimum-quanto return another class from clone(), which torch's deepcopy refuses (huggingface/optimum-quanto#358).
#            With bitsandbytes both work. torch.compile, EMA, gr.State and pools of processes use one way or the other.
# Run:       PYTHON=python-with-torch findings/quantized_models_copy_or_pickle_but_not_both.sh
#
# Prints what it sees, and fails if that is something else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-deps --target "$folder/library" torchao==0.18.0 optimum-quanto==0.2.7 bitsandbytes==0.50.2 \
    ninja==1.13.2 2> "$folder/pip.log" || { cat "$folder/pip.log"; exit 2; }

cat > "$folder/look.py" <<'PY'
import copy
import io
import pickle

import torch
from bitsandbytes.nn import Linear8bitLt
from optimum.quanto import freeze, qint8, quantize
from torchao.quantization import Int8WeightOnlyConfig, quantize_


def works(copied):
    try:
        return torch.equal(copied()(inputs), model(inputs))
    except (AttributeError, RuntimeError) as error:
        return f"{type(error).__name__}: {str(error)[:60]}"


def by_torchao():
    layers = torch.nn.Sequential(torch.nn.Linear(64, 64))
    quantize_(layers, Int8WeightOnlyConfig())
    return layers


def by_quanto():
    layers = torch.nn.Sequential(torch.nn.Linear(64, 64))
    quantize(layers, weights=qint8)
    freeze(layers)
    return layers


def by_bitsandbytes():
    return torch.nn.Sequential(Linear8bitLt(64, 64, has_fp16_weights=False)).to("cpu")


inputs = torch.ones(1, 64)
for make in (by_torchao, by_quanto, by_bitsandbytes):
    model = make().eval()
    print(f"{make.__name__}, deepcopy:", works(lambda: copy.deepcopy(model)))
    print(f"{make.__name__}, pickle:", works(lambda: pickle.loads(pickle.dumps(model))))
model, file = by_torchao(), io.BytesIO()
torch.save(model.state_dict(), file)
file.seek(0)
other = torch.nn.Sequential(torch.nn.Linear(64, 64))
other.load_state_dict(torch.load(file), assign=True)
print("by_torchao, state_dict:", works(lambda: other))
PY

"${PYTHON:-python3}" -c "import torch" 2> /dev/null || { echo "PYTHON must name an interpreter with torch 2.13.0"; exit 2; }
expected="by_torchao, deepcopy: True
by_torchao, pickle: AttributeError: 'functools.partial' object has no attribute '__name__'
by_quanto, deepcopy: RuntimeError: The default implementation of __deepcopy__() for wrapper sub
by_quanto, pickle: True
by_bitsandbytes, deepcopy: True
by_bitsandbytes, pickle: True
by_torchao, state_dict: True"
seen=$(PYTHONPATH="$folder/library" HF_HUB_OFFLINE=1 CUDA_VISIBLE_DEVICES="" "${PYTHON:-python3}" -W ignore "$folder/look.py" 2> /dev/null)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; printf '%s\n' "$expected"; exit 1; }
