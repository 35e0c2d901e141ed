#!/usr/bin/env bash
# Importing bitsandbytes on a processor with AVX512-BF16 asks the package `kernels` for native code, which it downloads.
#
# Versions:  bitsandbytes 0.50.2 with torch 2.13.0, built for the CPU, Python 3.11, Linux x86-64
# Guessed:   an import loads the native library that is in the wheel, and reaches for no network
# Seen:      it calls kernels.get_kernel("kernels-community/quantization-bitsandbytes"), and only logs where that fails
# Run:       PYTHON=python-with-torch findings/bitsandbytes_asks_for_a_kernel_at_import.sh
#
# A stand-in for `kernels` writes down the call instead of downloading. Prints what it sees, and fails if that is
# something else; on a processor without AVX512-BF16 there is nothing to see.
set -euo pipefail

grep -q avx512_bf16 /proc/cpuinfo || { echo "this processor has no AVX512-BF16: nothing to see"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-deps --target "$folder/library" bitsandbytes==0.50.2 2> "$folder/pip.log" || { cat "$folder/pip.log"; exit 2; }

cat > "$folder/library/kernels.py" <<'PY'
def get_kernel(name, **options):
    print("asked for", name, options)
    raise OSError("nothing is downloaded here")
PY
cat > "$folder/look.py" <<'PY'
import bitsandbytes

print("bitsandbytes", bitsandbytes.__version__, "is imported")
PY

"${PYTHON:-python3}" -c "import torch" 2> /dev/null || { echo "PYTHON must name an interpreter with torch 2.13.0"; exit 2; }
expected=$'asked for kernels-community/quantization-bitsandbytes {\'version\': 1}\nbitsandbytes 0.50.2 is imported'
seen=$(PYTHONPATH="$folder/library" CUDA_VISIBLE_DEVICES="" "${PYTHON:-python3}" "$folder/look.py" 2> /dev/null)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; printf '%s\n' "$expected"; exit 1; }
