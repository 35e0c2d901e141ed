#!/usr/bin/env bash
# A fused optimizer changes parameters without raising their version counters, so a stale backward pass gives wrong gradients.
#
# Versions:  torch 2.13.0, built for the CPU, Python 3.11, Linux x86-64
# Guessed:   every operation in place raises `_version`, so a backward pass that needs the old values raises RuntimeError
# Seen:      it does with Adam, AdamW, SGD and Adagrad with foreach=True or False. With fused=True the counter stands still, and
#            the backward pass through w**3 computes with the new w, without an error. The operators `torch._fused_adam_` and the like,
#            and `_amp_foreach_non_finite_check_and_unscale_` of the gradient scaler, do not count their writes.
# Run:       PYTHON=python-with-torch findings/torch_fused_optimizers_hide_their_writes_from_autograd.sh
#
# Prints what it sees, and fails if that is something else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'PY'
import torch
from torch.optim import SGD, Adagrad, Adam, AdamW


def writes_counted(kind, **how):
    weight = torch.zeros(3, requires_grad=True)
    weight.grad = torch.ones(3)
    optimizer = kind([weight], lr=0.1, **how)
    before = weight._version
    optimizer.step()
    assert weight.tolist() != [0, 0, 0]
    return weight._version > before


def gradient(**how):
    weight = torch.tensor([2.0], requires_grad=True)
    optimizer = Adam([weight], lr=1.0, **how)
    cube = (weight**3).sum()
    weight.grad = torch.ones(1)
    optimizer.step()  # between the forward and the backward pass: weight is 1 now
    optimizer.zero_grad()
    try:
        cube.backward()
        return weight.grad.item()
    except RuntimeError as error:
        return str(error).partition(": [")[0]


print("torch", torch.__version__.split("+")[0])
for kind in (Adam, AdamW, SGD, Adagrad):
    print(kind.__name__, "counted:", writes_counted(kind, foreach=True), writes_counted(kind, fused=True))
scaled, found = torch.ones(3), torch.zeros(1)
torch._amp_foreach_non_finite_check_and_unscale_([scaled], found, torch.full((1,), 0.5))
print("unscaled to", scaled[0].item(), "counted:", scaled._version > 0)
print("foreach:", gradient(foreach=True))
print("fused:", round(gradient(fused=True), 3), "where 12.0 is right")
PY

"${PYTHON:-python3}" -c "import torch" 2> /dev/null || { echo "PYTHON must name an interpreter with torch 2.13.0"; exit 2; }
expected="torch 2.13.0
Adam counted: True False
AdamW counted: True False
SGD counted: True False
Adagrad counted: True False
unscaled to 0.5 counted: False
foreach: one of the variables needed for gradient computation has been modified by an inplace operation
fused: 3.0 where 12.0 is right"
seen=$("${PYTHON:-python3}" "$folder/look.py")
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; printf '%s\n' "$expected"; exit 1; }
