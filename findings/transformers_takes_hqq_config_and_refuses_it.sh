#!/usr/bin/env bash
# transformers 5 exports HqqConfig and makes one, but no model can be loaded with it.
#
# Versions:  transformers 5.23.0 with hqq 0.2.8.post1 and torch 2.13.0, Python 3.11, Linux x86-64
# Guessed:   a quantization of which the configuration is exported works, as in transformers 4, or is refused where it is made
# Seen:      from_pretrained(quantization_config=HqqConfig()) raises NotImplementedError: "not available yet"
# Run:       PYTHON=python-with-torch-and-accelerate findings/transformers_takes_hqq_config_and_refuses_it.sh
#
# Prints what it sees, and fails if that is something else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-deps --target "$folder/library" hqq==0.2.8.post1 einops==0.8.2 termcolor==3.3.0 \
    transformers==5.23.0 2> "$folder/pip.log" || { cat "$folder/pip.log"; exit 2; }

cat > "$folder/look.py" <<'PY'
import sys

import transformers
from transformers import AutoModelForCausalLM, HqqConfig, LlamaConfig, LlamaForCausalLM

sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 64}
LlamaForCausalLM(LlamaConfig(**sizes)).save_pretrained(sys.argv[1])
print("transformers", transformers.__version__, "makes", type(HqqConfig(nbits=4, group_size=64)).__name__)
try:
    AutoModelForCausalLM.from_pretrained(sys.argv[1], quantization_config=HqqConfig(nbits=4, group_size=64))
    print("loaded")
except NotImplementedError as error:
    print("NotImplementedError:", error)
PY

"${PYTHON:-python3}" -c "import torch, accelerate" 2> /dev/null || { echo "PYTHON must name an interpreter with torch 2.13.0 and accelerate"; exit 2; }
expected=$'transformers 5.23.0 makes HqqConfig\nNotImplementedError: QuantizationMethod.HQQ is not available yet and will be supported soon.'
seen=$(PYTHONPATH="$folder/library" HF_HUB_OFFLINE=1 "${PYTHON:-python3}" "$folder/look.py" "$folder/model" 2> /dev/null)
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; printf '%s\n' "$expected"; exit 1; }
