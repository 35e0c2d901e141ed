#!/usr/bin/env bash
# The wheel of torchao is tagged for every Python from 3.10 on, but one of its two extensions is for 3.10 alone.
#
# Versions:  torchao 0.18.0, its wheel for Linux x86-64
# Guessed:   a wheel tagged cp310-abi3 has extensions of the stable ABI, which load in every later Python
# Seen:      _C_cutlass_90a is one, _C_mxfp8 is named for CPython 3.10; elsewhere the import logs that it "could not load"
# Run:       findings/torchao_wheel_has_an_extension_for_python_310_alone.sh   (PYTHON=... names the interpreter, 3.10 or newer)
#
# Prints what it sees, and fails if that is something else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" download -q --no-deps -d "$folder" torchao==0.18.0 2> "$folder/pip.log" || { cat "$folder/pip.log"; exit 2; }

cat > "$folder/look.py" <<'PY'
import sys
import zipfile

wheel = zipfile.ZipFile(sys.argv[1])
tags = [line for line in wheel.read("torchao-0.18.0.dist-info/WHEEL").decode().splitlines() if line.startswith("Tag:")]
print("tagged for:", *sorted({tag.split("-")[0] + "-" + tag.split("-")[1] for tag in tags}))
print(*sorted(name for name in wheel.namelist() if name.endswith(".so")), sep="\n")
PY

expected=$'tagged for: Tag: cp310-abi3\ntorchao/_C_cutlass_90a.abi3.so\ntorchao/_C_mxfp8.cpython-310-x86_64-linux-gnu.so'
seen=$("$folder/venv/bin/python" "$folder/look.py" "$folder"/torchao-*.whl)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; printf '%s\n' "$expected"; exit 1; }
