#!/usr/bin/env bash
# mediapipe 1 has no `mediapipe.solutions`, by which scripts for 0.10 detect faces, hands and poses, and ships no model.
#
# Versions:  mediapipe 1.2.2, its wheel for Linux x86-64
# Guessed:   `mediapipe.solutions.face_detection.FaceDetection()` works in a Space that lists mediapipe without a version
# Seen:      the wheel has `mediapipe.tasks` alone, and no model; each task wants a file that its user downloads
# Run:       findings/mediapipe_1_has_no_solutions.sh   (PYTHON=... names the interpreter)
#
# Prints what it sees, and fails if that is something else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" download -q --no-deps -d "$folder" mediapipe==1.2.2 2> "$folder/pip.log" || { cat "$folder/pip.log"; exit 2; }

cat > "$folder/look.py" <<'PY'
import sys
import zipfile

names = zipfile.ZipFile(sys.argv[1]).namelist()
print("solutions:", any("/solutions/" in name for name in names))
print("tasks:", any(name.startswith("mediapipe/tasks/python/") for name in names))
print("models:", [name for name in names if name.endswith((".tflite", ".task", ".binarypb"))])
PY

expected=$'solutions: False\ntasks: True\nmodels: []'
seen=$("$folder/venv/bin/python" "$folder/look.py" "$folder"/mediapipe-*.whl)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; printf '%s\n' "$expected"; exit 1; }
