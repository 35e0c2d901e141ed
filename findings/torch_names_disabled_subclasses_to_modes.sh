#!/usr/bin/env bash
# Within DisableTorchFunctionSubclass, torch still names the subclass to a TorchFunctionMode, for attributes but not for calls.
#
# Versions:  torch 2.13.0, Python 3.11, Linux x86-64
# Guessed:   `types` names the classes whose __torch_function__ is to be asked, so it is empty where subclasses are disabled
# Seen:      empty for torch.add(t, 1) and t.to("cpu"), but it names the subclass for t.device and t.shape; a mode that asks
#            the classes in `types` calls itself without end there, since Tensor.__torch_function__ disables subclasses and
#            calls again. torch._C._is_torch_function_enabled() tells the two apart.
# Run:       PYTHON=python-with-torch findings/torch_names_disabled_subclasses_to_modes.sh
#
# Prints what it sees, and fails if that is something else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'PY'
import torch
from torch.overrides import TorchFunctionMode


class Tagged(torch.Tensor):
    pass


class Watch(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        names.append([each.__name__ for each in types])
        return func(*args, **(kwargs or {}))


def named(read):
    names.clear()
    read()
    return names[0]


names = []
tensor = torch.ones(1).as_subclass(Tagged)
print("torch", torch.__version__.split("+")[0])
with Watch(), torch._C.DisableTorchFunctionSubclass():
    print("calls:", named(lambda: torch.add(tensor, 1)), named(lambda: tensor.to("cpu")))
    print("attributes:", named(lambda: tensor.device), named(lambda: tensor.shape))
    print("enabled:", torch._C._is_torch_function_enabled())
PY

"${PYTHON:-python3}" -c "import torch" 2> /dev/null || { echo "PYTHON must name an interpreter with torch 2.13.0"; exit 2; }
expected=$'torch 2.13.0\ncalls: [] []\nattributes: [\'Tagged\'] [\'Tagged\']\nenabled: False'
seen=$("${PYTHON:-python3}" "$folder/look.py")
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { echo "this has changed; expected:"; printf '%s\n' "$expected"; exit 1; }
