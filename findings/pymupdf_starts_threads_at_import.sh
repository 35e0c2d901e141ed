#!/usr/bin/env bash
# Importing PyMuPDF starts native threads, of onnxruntime, before any document is opened.
#
# Versions:  pymupdf 2.0 with onnxruntime 1.32.0, Python 3.11, Linux x86-64
# Guessed:   a binding of a C library for PDF starts no threads; a process that has imported it may fork
# Seen:      `import pymupdf` imports onnxruntime (pymupdf.layout does), whose threads run from then on; a fork lacks them
# Run:       findings/pymupdf_starts_threads_at_import.sh   (PYTHON=... names the interpreter)
#
# Prints what it sees, and fails if that is something else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pymupdf==2.0 onnxruntime==1.32.0 numpy==2.4.6 2> "$folder/pip.log" || { cat "$folder/pip.log"; exit 2; }

cat > "$folder/look.py" <<'PY'
import os
import sys

import numpy  # its threads are its own affair


def threads():
    return len(os.listdir("/proc/self/task"))


before = threads()
import pymupdf

print("pymupdf", pymupdf.__version__)
print("onnxruntime was imported:", "onnxruntime" in sys.modules)
print("threads were started:", threads() > before)
PY

expected=$'pymupdf 2.0\nonnxruntime was imported: True\nthreads were started: True'
seen=$("$folder/venv/bin/python" "$folder/look.py")
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; printf '%s\n' "$expected"; exit 1; }
