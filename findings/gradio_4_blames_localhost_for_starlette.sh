#!/usr/bin/env bash
# Gradio 4.44 says that localhost is not accessible, and asks for `share=True`, where its pages fail with a newer starlette.
#
# Versions:  gradio 4.44.1, starlette 1.10.0 and 0.52.1, huggingface_hub 2.4.0 and 0.36.2, Python 3.11, Linux x86-64
# Guessed:   a proxy or a firewall keeps the process from its own port, as the message says; `gradio==4.44.1` alone is a pin
# Seen:      Gradio 4.44 allows starlette 1 and huggingface_hub 1 and later, and works with neither.
#            Its launch asks for its own page, takes every answer but a good one for an unreachable host, and drops the error.
# Run:       findings/gradio_4_blames_localhost_for_starlette.sh   (PYTHON=... names the interpreter)
#
# Prints what it sees, and fails if that is something else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"

cat > "$folder/look.py" <<'PY'
import logging
import os
import sys
import urllib.request
import warnings

warnings.simplefilter("ignore")
logging.disable()
try:
    import gradio as gr

    with gr.Blocks() as demo:
        text, shown = gr.Textbox(), gr.JSON()
        gr.Button().click(lambda words: {"words": words}, text, shown)
    demo.launch(prevent_thread_lock=True, quiet=True)
    print("page:", urllib.request.urlopen(demo.local_url, timeout=20).status)
except Exception as error:
    print(f"{type(error).__name__}:", str(error).partition(" (")[0][:44])
sys.stdout.flush()
os._exit(0)  # its server would keep the process
PY

look() {
    "$folder/venv/bin/pip" install -q gradio==4.44.1 "$@" 2> "$folder/pip.log" || { cat "$folder/pip.log"; exit 2; }
    echo "$*: $("$folder/venv/bin/python" "$folder/look.py" 2> /dev/null)"
}

others="huggingface_hub==0.36.2 pydantic==2.10.6"
expected="huggingface_hub==2.4.0: ImportError: cannot import name 'HfFolder' from 'huggingf
$others starlette==1.10.0: ValueError: When localhost is not accessible, a shareabl
$others starlette==0.52.1: page: 200"
seen=$(
    look huggingface_hub==2.4.0
    look $others starlette==1.10.0
    look $others starlette==0.52.1
)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; printf '%s\n' "$expected"; exit 1; }
