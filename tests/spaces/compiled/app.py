"""A Space that compiles its model ahead of time, in a GPU call before the launch, as the guides for ZeroGPU show it."""

from pathlib import Path

import gradio as gr
import spaces
import torch


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x, *, scale):
        assert x.is_cuda
        return torch.relu(self.linear(x) * scale) + torch.arange(4, device="cuda")


model = Model().eval().to("cuda")


@spaces.GPU(duration=900)
def compile_model():
    with spaces.aoti_capture(model) as call, torch.no_grad():
        model(torch.ones(2, 4, device="cuda"), scale=torch.tensor(2.0, device="cuda"))
    return spaces.aoti_compile(torch.export.export(model, call.args, call.kwargs))


compiled = compile_model()
spaces.aoti_apply(compiled, model)


@spaces.GPU
def compare():
    x, scale = torch.randn(2, 4, device="cuda"), torch.tensor(2.0, device="cuda")
    with torch.no_grad():
        fast, bare, plain = model(x, scale=scale), compiled(x, scale=scale), Model.forward(model, x, scale=scale)
    maps = Path("/proc/self/maps").read_text().split()
    libraries = {path for path in maps if path.endswith(".wrapper.so")}
    apart = max(float((result - plain).abs().max()) for result in (fast, bare))
    return {"device": str(fast.device), "apart": apart, "libraries": sorted(libraries)}


with gr.Blocks() as demo:
    out = gr.JSON()
    gr.Button().click(compare, None, out, api_name="compare")

demo.launch()
