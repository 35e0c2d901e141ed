"""A Space that needs a real GPU: objects emulated at import are real in its functions, and some functions harm it."""

import os
import time

import gradio as gr
import spaces
import torch

assert torch.cuda.is_available()

weights = torch.arange(40_000_000, dtype=torch.float32).to("cuda")
row = weights[1_000_000:1_000_010]
tied = torch.nn.Linear(1000, 1000).to("cuda")
model = torch.nn.Sequential(tied, torch.nn.ReLU(), tied)
reference = torch.nn.Sequential(tied, torch.nn.ReLU(), tied)(torch.ones(1, 1000, device="cuda")).sum().item()
generator = torch.Generator("cuda").manual_seed(5)
stream = torch.cuda.Stream()
began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))


@spaces.GPU
def facts():
    with torch.no_grad():
        computed = model(torch.ones(1, 1000, device="cuda"))
    expected = torch.randn(3, generator=torch.Generator("cuda").manual_seed(5), device="cuda")
    return {
        "name": torch.cuda.get_device_name(),
        "capability": list(torch.cuda.get_device_capability()),
        "visible": os.environ["CUDA_VISIBLE_DEVICES"],
        "count": torch.cuda.device_count(),
        "is_cuda": weights.is_cuda and computed.is_cuda and row.is_cuda,
        "row": row.tolist(),
        "sum": float(weights[-10:].sum()),
        "is_view": row.untyped_storage().data_ptr() == weights.untyped_storage().data_ptr(),
        "is_tied": model[0].weight is model[2].weight,
        "apart": abs(computed.sum().item() - reference) / abs(reference),
        "seeded": torch.equal(torch.randn(3, generator=generator, device="cuda"), expected),
    }


@spaces.GPU
def pid():
    return os.getpid()


@spaces.GPU
def draw():
    return torch.rand(1, device="cuda").item()


@spaces.GPU
def returns_tensor(n):
    return torch.arange(n, device="cuda") * 2


@spaces.GPU
def echo_device(tensor):
    return str(tensor.device), float(tensor.to("cuda").sum())


@spaces.GPU
def graphs_and_streams():
    x = torch.ones(100, device="cuda")
    stream.wait_stream(torch.cuda.current_stream())
    began.record(stream)
    with torch.cuda.stream(stream):
        y = x * 2
        y.record_stream(stream)
    ended.record(stream)
    ended.synchronize()
    assert began.elapsed_time(ended) > 0
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        z = x + 1
    x.fill_(5)
    graph.replay()
    torch.cuda.synchronize()
    return float(y.sum()), float(z.sum())


@spaces.GPU
def compiled():
    function = torch.compile(lambda x: torch.nn.functional.gelu(x) * 3 + 1)
    x = torch.randn(1000, device="cuda")
    return float((function(x) - (torch.nn.functional.gelu(x) * 3 + 1)).abs().max())


@spaces.GPU(duration=3)
def busy_for_ever():
    x = torch.randn(8192, 8192, device="cuda")
    while True:
        x = (x @ x).clamp(-1, 1)


@spaces.GPU
def steps(n):
    x = torch.zeros((), device="cuda")
    for _ in range(n):
        x += 1
        yield x.item()


@spaces.GPU
def out_of_memory():
    held = []
    while True:
        held.append(torch.empty(4 << 30, dtype=torch.uint8, device="cuda"))


@spaces.GPU
def bad_index():
    torch.zeros(10, device="cuda")[torch.tensor([99], device="cuda")]
    torch.cuda.synchronize()


@spaces.GPU
def hold_memory(gigabytes, seconds):
    held = torch.empty(int(gigabytes * (1 << 30)), dtype=torch.uint8, device="cuda")
    time.sleep(seconds)
    return held.numel()


with gr.Blocks() as demo:
    gr.Button().click(facts, None, gr.JSON(), api_name="facts")

if __name__ == "__main__":
    demo.launch()
