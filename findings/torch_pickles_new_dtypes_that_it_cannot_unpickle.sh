#!/usr/bin/env bash
# A float8, float4, uint16, uint32, uint64 or complex32 tensor is pickled without an error, and the pickle cannot be read.
#
# Versions:  torch 2.13.0, built for the CPU, Python 3.11, Linux x86-64
# Guessed:   pickle.loads gives back all that pickle.dumps takes; torch.save of such a tensor, and copy.deepcopy, work too
# Seen:      pickle.loads raises AttributeError: "type object 'torch.storage.UntypedStorage' has no attribute 'dtype'".
#            These dtypes have no storage class of their own, so the tensor is reduced to an untyped storage, which pickle writes in
#            torch's format from before 1.6, and that format's reader asks each storage for a dtype (torch/serialization.py,
#            `_legacy_load`). torch.save, deepcopy and the queues of multiprocessing do not go that way. So caches, joblib and
#            pools that pickle by themselves lose such results after the computation.
# Run:       PYTHON=python-with-torch findings/torch_pickles_new_dtypes_that_it_cannot_unpickle.sh
#
# Prints what it sees, and fails if that is something else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'PY'
import copy
import io
import pickle

import torch


def read_back(pickled):
    try:
        return pickle.loads(pickled).dtype == tensor.dtype
    except AttributeError as error:
        return str(error)


def saved_and_loaded():
    file = io.BytesIO()
    torch.save(tensor, file)
    file.seek(0)
    return torch.load(file).dtype == tensor.dtype


print("torch", torch.__version__.split("+")[0])
for name in ["float32", "bfloat16", "float8_e4m3fn", "float8_e8m0fnu", "float4_e2m1fn_x2", "uint16", "uint32", "uint64", "complex32"]:
    tensor = torch.zeros(8, dtype=torch.uint8).view(getattr(torch, name))
    ways = saved_and_loaded(), copy.deepcopy(tensor).dtype == tensor.dtype
    print(f"{name}:", *ways, read_back(pickle.dumps(tensor)))
PY

"${PYTHON:-python3}" -c "import torch" 2> /dev/null || { echo "PYTHON must name an interpreter with torch 2.13.0"; exit 2; }
lost="True True type object 'torch.storage.UntypedStorage' has no attribute 'dtype'"
expected="torch 2.13.0
float32: True True True
bfloat16: True True True
float8_e4m3fn: $lost
float8_e8m0fnu: $lost
float4_e2m1fn_x2: $lost
uint16: $lost
uint32: $lost
uint64: $lost
complex32: $lost"
seen=$("${PYTHON:-python3}" -W ignore "$folder/look.py")
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; printf '%s\n' "$expected"; exit 1; }
