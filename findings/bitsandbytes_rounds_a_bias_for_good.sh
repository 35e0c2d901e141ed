#!/usr/bin/env bash
# A call of a bitsandbytes layer changes its bias: it is rounded to the dtype of that call, also in inference mode, and stays so.
#
# Versions:  bitsandbytes 0.50.2 with torch 2.13.0, built for the CPU, Python 3.11, Linux x86-64
# Guessed:   a forward pass without gradients leaves parameters as they are, so equal calls have equal answers in any order
# Seen:      Linear8bitLt.forward assigns `self.bias.data = self.bias.data.to(x.dtype)`, and Linear4bit.forward does so with its
#            compute_dtype. After one call in bfloat16 a Linear8bitLt answers a call in float32 differently than before, and
#            the dtype of its bias, as `state_dict` gives it, is that of the latest call.
# Run:       PYTHON=python-with-torch findings/bitsandbytes_rounds_a_bias_for_good.sh
#
# Prints what it sees, and fails if that is something else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-deps --target "$folder/library" bitsandbytes==0.50.2 2> "$folder/pip.log" || { cat "$folder/pip.log"; exit 2; }

cat > "$folder/look.py" <<'PY'
import bitsandbytes
import torch
from bitsandbytes.nn import Linear4bit, Linear8bitLt


def quantized(layer):
    torch.manual_seed(0)
    layer.load_state_dict(torch.nn.Linear(64, 64).state_dict())
    return layer.to("cpu").eval()


print("bitsandbytes", bitsandbytes.__version__)
inputs = torch.ones(1, 64)
layer = quantized(Linear8bitLt(64, 64, has_fp16_weights=False))
with torch.inference_mode():
    before, dtype = layer(inputs), layer.bias.dtype
    print("8 bit, bias:", dtype, end="")
    layer(inputs.bfloat16())
    print(" then", layer.bias.dtype)
    print("the same call, the same answer:", torch.equal(layer(inputs), before))

layer = quantized(Linear4bit(64, 64, compute_dtype=torch.bfloat16))
print("4 bit, bias:", layer.state_dict()["bias"].dtype, end="")
with torch.inference_mode():
    layer(inputs)
print(" then", layer.state_dict()["bias"].dtype)
PY

"${PYTHON:-python3}" -c "import torch" 2> /dev/null || { echo "PYTHON must name an interpreter with torch 2.13.0"; exit 2; }
expected="bitsandbytes 0.50.2
8 bit, bias: torch.float32 then torch.bfloat16
the same call, the same answer: False
4 bit, bias: torch.float32 then torch.bfloat16"
seen=$(PYTHONPATH="$folder/library" HF_HUB_OFFLINE=1 CUDA_VISIBLE_DEVICES="" "${PYTHON:-python3}" "$folder/look.py" 2> /dev/null)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; printf '%s\n' "$expected"; exit 1; }
