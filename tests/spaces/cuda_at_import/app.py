"""A Space that asks for CUDA, and puts its model there, while it is imported."""

import gradio as gr
import spaces
import torch

SEEN = {
    "available": torch.cuda.is_available(),
    "count": torch.cuda.device_count(),
    "name": torch.cuda.get_device_name(0),
    "capability": list(torch.cuda.get_device_capability()),
    "gigabytes": torch.cuda.get_device_properties(0).total_memory // 10**9,
    "half": str(torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16),
}
device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(0)
model = torch.nn.Linear(2, 2).to(device)
SEEN["device"] = str(model.weight.device)


@spaces.GPU
def compute():
    noise = torch.randn(1, 2, device=device, generator=torch.Generator("cuda").manual_seed(1))
    with torch.no_grad():
        made = model(noise)
    return SEEN | {"made on": str(made.device), "finite": bool(made.isfinite().all())}


@spaces.GPU
def double(tensor):
    return str(tensor.device), tensor * 2


def carry():
    place, doubled = double(torch.ones(2, device=device))
    again, _ = double(doubled)
    return {"in the function": [place, again], "in the page": str(doubled.device), "values": doubled.tolist()}


with gr.Blocks() as demo:
    out = gr.JSON()
    gr.Button().click(compute, None, out, api_name="compute")
    gr.Button().click(carry, None, out, api_name="carry")
    gr.Button().click(lambda: SEEN, None, out, api_name="seen")

demo.launch()
