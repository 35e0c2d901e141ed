"""Uses of CUDA at import, as in real Spaces, each as a function that returns its observation.

`test_emulation_matrix.py` runs all of them in one process of their own, in order, and compares. Nothing is imported
here but by the scenarios, so that pytest can list them without torch.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from typing import Any  # torch, transformers and diffusers are not typed here

SCENARIOS: dict[str, tuple[Callable[[], object], object]] = {}
"""Name -> (scenario, what it must return)."""


def gives(expected: object) -> Callable[[Callable[[], object]], Callable[[], object]]:
    def register(scenario: Callable[[], object]) -> Callable[[], object]:
        SCENARIOS[scenario.__name__] = (scenario, expected)
        return scenario

    return register


def devices(module: Any) -> list[str]:
    return sorted({str(parameter.device) for parameter in module.parameters()})


def tiny_llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(vocab_size=64, max_position_embeddings=64, **sizes))


def saved_llama() -> str:
    folder = tempfile.mkdtemp()
    tiny_llama().save_pretrained(folder)
    return folder


def tiny_diffusion() -> Any:
    from diffusers import DDIMScheduler, DDPMPipeline, UNet2DModel

    unet = UNet2DModel(
        sample_size=8,
        in_channels=3,
        out_channels=3,
        layers_per_block=1,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )
    return DDPMPipeline(unet=unet, scheduler=DDIMScheduler(num_train_timesteps=10))


def tiny_stable_diffusion() -> Any:
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    text = CLIPTextConfig(
        hidden_size=8,
        intermediate_size=16,
        num_attention_heads=2,
        num_hidden_layers=1,
        vocab_size=64,
        bos_token_id=0,
        eos_token_id=1,
        projection_dim=8,
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        layers_per_block=1,
        block_out_channels=(8, 8),
        norm_num_groups=4,
        cross_attention_dim=8,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )
    vae = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4)
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=None,
        unet=unet,
        scheduler=DDIMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def prompt() -> dict[str, Any]:
    import torch

    embeddings = torch.zeros(1, 7, 8, device="cuda")
    return {"prompt_embeds": embeddings, "negative_prompt_embeds": embeddings, "output_type": "pt"}


# transformers


@gives(["cuda:0"])
def transformers_to_cuda() -> object:
    return devices(tiny_llama().to("cuda"))


@gives(["cuda:0"])
def transformers_cuda_method() -> object:
    return devices(tiny_llama().half().cuda())


@gives(["cuda:0"])
def transformers_device_map_cuda() -> object:
    from transformers import AutoModelForCausalLM

    return devices(AutoModelForCausalLM.from_pretrained(saved_llama(), device_map="cuda"))


@gives(["cuda:0"])
def transformers_device_map_auto() -> object:
    from transformers import AutoModelForCausalLM

    return devices(AutoModelForCausalLM.from_pretrained(saved_llama(), device_map="auto"))


@gives(["cuda:0"])
def transformers_device_map_root_is_0() -> object:
    from transformers import AutoModelForCausalLM

    return devices(AutoModelForCausalLM.from_pretrained(saved_llama(), device_map={"": 0}))


@gives(["cuda:0", "torch.bfloat16"])
def transformers_device_map_with_dtype() -> object:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(saved_llama(), device_map="cuda:0", dtype=torch.bfloat16)
    return [str(model.device), str(model.dtype)]


@gives([True, "cuda:0", [1, 7]])
def transformers_generate() -> object:
    import torch

    model = tiny_llama().to("cuda").eval()
    tokens = torch.tensor([[1, 2, 3]]).to(model.device)
    out = model.generate(tokens, max_new_tokens=4, min_new_tokens=4, do_sample=True)
    return [out.is_cuda, str(out.device), list(out.shape)]


@gives([1, 7])
def transformers_generate_from_device_map_with_streamer_thread() -> object:
    from threading import Thread

    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(saved_llama(), device_map="auto")
    tokens = torch.tensor([[1, 2, 3]], device="cuda")
    shapes: list[int] = []

    def generate() -> None:
        shapes.extend(model.generate(tokens, max_new_tokens=4, min_new_tokens=4).shape)

    thread = Thread(target=generate)
    thread.start()
    thread.join()
    return shapes


@gives(["cuda:0", "cuda:0"])
def transformers_pipeline_device_0() -> object:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, pipeline

    words = Tokenizer(models.WordLevel({"<unk>": 0, "hello": 1, "world": 2}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", pad_token="<unk>")
    pipe = pipeline("text-generation", model=tiny_llama(), tokenizer=tokenizer, device=0)
    assert pipe("hello world", max_new_tokens=2)[0]["generated_text"]
    return [str(pipe.device), str(pipe.model.device)]


# diffusers


@gives(["cuda:0", "cuda:0"])
def diffusers_to_cuda() -> object:
    pipe = tiny_diffusion().to("cuda")
    return [str(pipe.device), str(pipe.unet.device)]


@gives(["cuda:0"])
def diffusers_device_map_cuda() -> object:
    from diffusers import DDPMPipeline

    with tempfile.TemporaryDirectory() as folder:
        tiny_diffusion().save_pretrained(folder)
        pipe = DDPMPipeline.from_pretrained(folder, device_map="cuda")
    return devices(pipe.unet)


@gives([[1, 8, 8, 3], "cuda"])
def diffusers_pipeline_at_module_level_with_cuda_generator() -> object:
    import torch

    pipe = tiny_diffusion().to("cuda")
    generator = torch.Generator("cuda").manual_seed(0)
    images = pipe(generator=generator, num_inference_steps=2, output_type="np").images
    return [list(images.shape), str(generator.device)]


@gives([True, [1, 3, 8, 8]])
def diffusers_text_to_image_with_cuda_generator() -> object:
    import torch

    pipe = tiny_stable_diffusion().to("cuda")

    def once() -> Any:
        generator = torch.Generator(device="cuda").manual_seed(7)
        return pipe(**prompt(), generator=generator, num_inference_steps=2, height=8, width=8).images

    one, two = once(), once()
    return [bool(torch.equal(one, two)), list(one.shape)]


@gives([1, 3, 8, 8])
def diffusers_model_cpu_offload() -> object:
    pipe = tiny_stable_diffusion()
    pipe.enable_model_cpu_offload()
    return list(pipe(**prompt(), num_inference_steps=1, height=8, width=8).images.shape)


@gives([1, 3, 8, 8])
def diffusers_sequential_cpu_offload() -> object:
    pipe = tiny_stable_diffusion()
    pipe.enable_sequential_cpu_offload()
    return list(pipe(**prompt(), num_inference_steps=1, height=8, width=8).images.shape)


@gives([1, 3, 8, 8])
def diffusers_half_precision_with_slicing_and_tiling() -> object:
    import torch

    pipe = tiny_stable_diffusion().to("cuda", torch.bfloat16)
    pipe.vae.enable_slicing()
    pipe.vae.enable_tiling()
    options = {key: value.bfloat16() if hasattr(value, "bfloat16") else value for key, value in prompt().items()}
    return list(pipe(**options, num_inference_steps=1, height=8, width=8).images.shape)


# accelerate


@gives(["cuda", "cuda:0", True])
def accelerator_trains_a_step() -> object:
    import torch
    from accelerate import Accelerator  # type: ignore[import-untyped]  # it ships none

    accelerator = Accelerator()
    model = torch.nn.Linear(2, 1)
    model, optimizer = accelerator.prepare(model, torch.optim.AdamW(model.parameters(), lr=0.1))
    before = model.weight.detach().clone()
    accelerator.backward(model(torch.ones(1, 2, device=accelerator.device)).sum())
    optimizer.step()
    return [accelerator.device.type, str(model.weight.device), not torch.equal(before, model.weight)]


@gives(["cuda:0", "cuda:0"])
def accelerate_dispatch_model() -> object:
    import torch
    from accelerate import dispatch_model, infer_auto_device_map

    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    placed = dispatch_model(model, infer_auto_device_map(model))
    return [*devices(placed), str(placed(torch.ones(1, 4, device="cuda")).device)]


# modules, autograd, files


@gives(["cuda:0", "cuda:0", [2.0, 2.0]])
def backward_gives_cuda_gradients() -> object:
    import torch

    weight = torch.ones(2, device="cuda", requires_grad=True)
    (weight * 2).sum().backward()
    assert weight.grad is not None
    return [str(weight.device), str(weight.grad.device), weight.grad.tolist()]


@gives(["cuda:0"])
def a_custom_backward_may_use_cuda() -> object:
    import torch

    seen: list[str] = []

    class Double(torch.autograd.Function):  # type: ignore[misc]  # torch is untyped here
        @staticmethod
        def forward(context: Any, value: Any) -> Any:
            return value * 2

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            factor = torch.full((1,), 2.0, device="cuda")
            seen.append(str(factor.device))
            return gradient * factor

    Double.apply(torch.ones(1, device="cuda", requires_grad=True)).sum().backward()
    return seen


@gives(["cuda:0", 4.0])
def autograd_grad() -> object:
    import torch

    value = torch.tensor(2.0, device="cuda", requires_grad=True)
    (slope,) = torch.autograd.grad(value**2, value)
    return [str(slope.device), slope.item()]


@gives(["cuda:0", True])
def a_training_loop_with_grad_scaler() -> object:
    import torch

    model = torch.nn.Linear(4, 1).cuda()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cuda")
    before = model.weight.detach().clone()
    for _ in range(2):
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = model(torch.ones(3, 4, device="cuda")).sum()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
    return [str(loss.device), not torch.equal(before, model.weight)]


@gives([True, "torch.float16", "cuda:0"])
def autocast_casts_mixed_inputs_of_half_modules() -> object:
    import torch

    model = torch.nn.Linear(4, 1).half().cuda()
    with torch.cuda.amp.autocast(dtype=torch.float16):
        enabled = torch.is_autocast_enabled()
        out = model(torch.ones(3, 4, device="cuda"))
    assert not torch.is_autocast_enabled()
    return [enabled, str(out.dtype), str(out.device)]


@gives(["cuda:0", True, True])
def deepcopy_of_a_module() -> object:
    import copy

    import torch

    model = torch.nn.Linear(2, 2).cuda()
    twin = copy.deepcopy(model)
    apart = twin.weight.data_ptr() != model.weight.data_ptr()
    return [str(twin.weight.device), apart, bool(torch.equal(twin.weight, model.weight))]


@gives(["cuda:0", "cuda:0"])
def pickle_of_tensors_and_modules() -> object:
    import pickle

    import torch

    tensor = pickle.loads(pickle.dumps(torch.ones(2, device="cuda")))
    module = pickle.loads(pickle.dumps(torch.nn.Linear(2, 2).cuda()))
    return [str(tensor.device), str(module.weight.device)]


@gives(["cuda:0", "cuda:0", "cpu", "cuda:0"])
def torch_save_and_load() -> object:
    import torch

    file = io.BytesIO()
    torch.save({"w": torch.ones(2, device="cuda")}, file)

    def load(**options: Any) -> str:
        file.seek(0)
        return str(torch.load(file, **options)["w"].device)

    whole = load(), load(map_location="cuda"), load(map_location="cpu")
    return [*whole, load(map_location=torch.device("cuda:0"), weights_only=True)]


@gives("cuda:0")
def torch_load_of_a_cpu_file_onto_cuda() -> object:
    import torch

    file = io.BytesIO()
    torch.save(torch.ones(2), file)
    file.seek(0)
    return str(torch.load(file, map_location={"cpu": "cuda:0"}).device)


@gives(["cuda:0", True])
def state_dict_round_trip() -> object:
    import torch

    model, other = torch.nn.Linear(2, 2).cuda(), torch.nn.Linear(2, 2, device="cuda")
    other.load_state_dict(model.state_dict())
    return [str(other.weight.device), bool(torch.equal(other.weight, model.weight))]


@gives(["cuda:0", "cpu"])
def state_dict_assign() -> object:
    import torch

    model = torch.nn.Linear(2, 2).cuda()
    model.load_state_dict(torch.nn.Linear(2, 2).cuda().state_dict(), assign=True)
    on_gpu = str(model.weight.device)
    model.load_state_dict(torch.nn.Linear(2, 2).state_dict(), assign=True)
    return [on_gpu, str(model.weight.device)]


@gives(["cuda:0", "cuda:0", "cuda:0"])
def safetensors_onto_cuda() -> object:
    import safetensors.torch
    import torch

    path = f"{tempfile.mkdtemp()}/weights.safetensors"
    safetensors.torch.save_file({"w": torch.ones(2, device="cuda")}, path)
    by_name = safetensors.torch.load_file(path, device="cuda")["w"]
    by_index = safetensors.torch.load_file(path, device="cuda:0")["w"]
    with safetensors.safe_open(path, framework="pt", device="cuda") as file:
        opened = file.get_tensor("w")
    return [str(by_name.device), str(by_index.device), str(opened.device)]


@gives([True, "cuda:0", "cuda:0"])
def tied_weights_stay_tied_through_to() -> object:
    import torch

    model = torch.nn.Sequential(torch.nn.Embedding(4, 4), torch.nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    model.to("cuda")
    return [model[0].weight is model[1].weight, str(model[0].weight.device), str(model[1].weight.device)]


@gives(["cpu", "cuda:0", [1.0, 1.0]])
def a_moved_tensor_is_a_copy() -> object:
    import torch

    here = torch.ones(2)
    there = here.to("cuda")
    there += 1
    return [str(here.device), str(there.device), here.tolist()]


@gives(["cpu", "cuda:0", [1.0, 1.0]])
def a_tensor_brought_back_is_a_copy() -> object:
    import torch

    there = torch.ones(2, device="cuda")
    here = there.cpu()
    here += 1
    return [str(here.device), str(there.device), there.tolist()]


@gives(["cpu", "cpu"])
def a_module_moved_back_to_the_cpu() -> object:
    import torch

    model = torch.nn.Linear(2, 2).cuda().cpu()
    return [str(model.weight.device), str(model(torch.ones(2)).device)]


@gives(["cuda:0", "cuda:0"])
def lazy_meta_module_filled_on_cuda() -> object:
    import torch

    with torch.device("meta"):
        model = torch.nn.Linear(2, 2)
    model.to_empty(device="cuda")
    return [str(model.weight.device), str(model.bias.device)]


@gives(["cuda:0", [1, 2, 8]])
def lstm_and_attention_on_cuda() -> object:
    import torch

    lstm = torch.nn.LSTM(4, 8, batch_first=True).cuda()
    out, _ = lstm(torch.ones(1, 2, 4, device="cuda"))
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True).cuda().eval()
    mixed, _ = attention(out, out, out)
    return [str(mixed.device), list(mixed.shape)]


@gives([3, "cuda:0"])
def data_loader_with_pinned_memory() -> object:
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(torch.ones(3, 2)), pin_memory=True)
    batches = [batch.to("cuda", non_blocking=True) for (batch,) in loader]
    return [len(batches), str(batches[0].device)]


@gives(["cuda:0", "cuda:0", "cpu"])
def default_device_cuda() -> object:
    import torch

    torch.set_default_device("cuda")
    try:
        made, linear = torch.zeros(2), torch.nn.Linear(2, 2)
    finally:
        torch.set_default_device("cpu")
    return [str(made.device), str(linear.weight.device), str(torch.zeros(2).device)]


@gives(["cuda:0", "cpu", "cuda:0", "cpu"])
def device_as_a_context() -> object:
    import torch

    with torch.device("cuda"):
        outer = torch.zeros(2)
        with torch.device("cpu"):
            inner = torch.zeros(2)
        layer = torch.nn.Linear(2, 2).weight
    return [str(value.device) for value in (outer, inner, layer, torch.zeros(2))]


@gives(["cuda:0", "cuda:0"])
def compiled_functions_and_modules_run_eagerly() -> object:
    import torch

    @torch.compile  # type: ignore[untyped-decorator]  # torch is untyped here
    def double(value: Any) -> Any:
        return value * 2

    module = torch.compile(torch.nn.Linear(2, 2).cuda(), mode="reduce-overhead")
    ones = torch.ones(1, 2, device="cuda")
    return [str(double(ones).device), str(module(ones).device)]


@gives("cuda:0")
def a_module_compiled_in_place() -> object:
    import torch

    module = torch.nn.Linear(2, 2).cuda()
    module.compile()
    return str(module(torch.ones(1, 2, device="cuda")).device)


@gives(["cuda:0", [0]])
def data_parallel() -> object:
    import torch

    model = torch.nn.DataParallel(torch.nn.Linear(2, 2).cuda())
    return [str(model(torch.ones(1, 2).cuda()).device), list(model.device_ids)]


@gives(["cuda:0"] * 8)
def a_pool_of_threads_makes_tensors() -> object:
    from concurrent.futures import ThreadPoolExecutor

    import torch

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda size: torch.ones(size, device="cuda") * 2, range(1, 9)))
    return [str(tensor.device) for tensor in made]


@gives(["cuda:0", 6])
def a_subclass_of_thread_that_overrides_run() -> object:
    import threading

    import torch

    class Worker(threading.Thread):
        def run(self) -> None:
            self.sum = torch.arange(4, device="cuda").sum()

    worker = Worker()
    worker.start()
    worker.join()
    return [str(worker.sum.device), int(worker.sum)]


@gives([True, True, "cuda:0"])
def streams_and_events() -> object:
    import torch

    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    side = torch.cuda.Stream(priority=-1)
    side.wait_stream(torch.cuda.current_stream())
    start.record()
    with torch.cuda.stream(side):
        tensor = torch.ones(2, device="cuda") * 2
        tensor.record_stream(side)
    end.record(side)
    end.synchronize()
    torch.cuda.current_stream().wait_stream(side)
    return [start.elapsed_time(end) >= 0, end.query() and side.query(), str(tensor.device)]


@gives([True, True])
def seeds_make_cuda_repeatable() -> object:
    import torch

    def draw() -> Any:
        return torch.randn(3, device="cuda")

    torch.cuda.manual_seed_all(3)
    first = draw()
    torch.cuda.manual_seed(3)
    second = draw()
    state = torch.cuda.get_rng_state()
    third = draw()
    torch.cuda.set_rng_state(state)
    return [bool(torch.equal(first, second)), bool(torch.equal(third, draw()))]


@gives([True, "cuda"])
def a_pickled_generator_goes_on_where_it_was() -> object:
    import pickle

    import torch

    generator = torch.Generator(device="cuda").manual_seed(5)
    torch.randn(2, generator=generator, device="cuda")
    twin = pickle.loads(pickle.dumps(generator))
    drawn, again = (torch.randn(2, generator=each, device="cuda") for each in (generator, twin))
    same = torch.equal(drawn, again)
    return [bool(same), str(twin.device)]


@gives(["cuda:0", "cuda:0"])
def checkpointed_activations() -> object:
    import torch
    from torch.utils.checkpoint import checkpoint

    layer = torch.nn.Linear(2, 2).cuda()
    out = checkpoint(layer, torch.ones(1, 2, device="cuda", requires_grad=True), use_reentrant=False)
    out.sum().backward()
    return [str(out.device), str(layer.weight.grad.device)]


@gives(["cuda:0", "torch.cuda.HalfTensor"])
def old_tensor_types() -> object:
    import torch

    made = torch.cuda.HalfTensor([1.0, 2.0])
    assert isinstance(made, torch.cuda.HalfTensor)
    assert not isinstance(made.cpu(), torch.cuda.HalfTensor)
    converted = torch.ones(2).type(torch.cuda.FloatTensor)
    assert converted.dtype == torch.float32
    return [str(converted.device), made.type()]


@gives(["cuda:0", "cpu"])
def old_default_tensor_type() -> object:
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.set_default_tensor_type("torch.cuda.FloatTensor")
        made = torch.zeros(2)
        torch.set_default_tensor_type(torch.FloatTensor)
        torch.set_default_device("cpu")
    return [str(made.device), str(torch.zeros(2).device)]


@gives(["cuda:0", "cuda:0", "cuda:0"])
def traced_and_scripted_modules() -> object:
    import torch

    ones = torch.ones(1, 2, device="cuda")
    traced = torch.jit.trace(torch.nn.Linear(2, 2).cuda(), ones)
    path = f"{tempfile.mkdtemp()}/scripted.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    loaded = torch.jit.load(path, map_location="cuda")
    return [str(traced(ones).device), str(loaded(ones).device), str(loaded.weight.device)]


@gives(["cuda:0"] * 3)
def attention_kernels_of_the_gpu() -> object:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    query = torch.ones(1, 2, 4, 8, device="cuda", dtype=torch.float16)
    made: list[str] = []
    for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION):
        with sdpa_kernel(backend):
            made.append(str(torch.nn.functional.scaled_dot_product_attention(query, query, query).device))
    return made


@gives(["cuda:0", "cpu"])
def packed_sequences_keep_lengths_on_the_cpu() -> object:
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence

    packed = pack_padded_sequence(torch.ones(2, 3, 4, device="cuda"), torch.tensor([3, 2]), batch_first=True)
    return [str(packed.data.device), str(packed.batch_sizes.device)]


@gives([[2.0], "cuda:0"])
def an_exported_program() -> object:
    import torch

    module = torch.nn.Linear(2, 1, bias=False).cuda()
    torch.nn.init.ones_(module.weight)
    program = torch.export.export(module, (torch.ones(1, 2, device="cuda"),))
    out = program.module()(torch.ones(1, 2, device="cuda"))
    return [out[0].tolist(), str(out.device)]


@gives([True, True, True])
def optimizers_with_options_for_cuda() -> object:
    import torch

    changed: list[bool] = []
    for options in ({"fused": True}, {"capturable": True}, {"foreach": True}):
        model = torch.nn.Linear(2, 1).cuda()
        before = model.weight.detach().clone()
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, **options)
        model(torch.ones(1, 2, device="cuda")).sum().backward()
        optimizer.step()
        changed.append(not torch.equal(before, model.weight))
    return changed


@gives(["cuda:0", "cuda:0"])
def accelerate_loads_a_checkpoint_into_an_empty_model() -> object:
    import safetensors.torch
    import torch
    from accelerate import init_empty_weights, load_checkpoint_and_dispatch

    path = f"{tempfile.mkdtemp()}/weights.safetensors"
    safetensors.torch.save_file(torch.nn.Linear(2, 2).state_dict(), path)
    with init_empty_weights():
        model = torch.nn.Linear(2, 2)
    model = load_checkpoint_and_dispatch(model, path, device_map="auto")
    return [str(model.weight.device), str(model(torch.ones(1, 2, device="cuda")).device)]


@gives("cuda:0")
def diffusers_group_offload_with_streams() -> object:
    import torch
    from diffusers.hooks import apply_group_offloading

    unet = tiny_stable_diffusion().unet
    apply_group_offloading(
        unet,
        onload_device=torch.device("cuda"),
        offload_device=torch.device("cpu"),
        offload_type="leaf_level",
        use_stream=True,
    )
    latents, text = torch.ones(1, 4, 8, 8, device="cuda"), torch.ones(1, 7, 8, device="cuda")
    return str(unet(latents, 1, text).sample.device)


@gives("cuda:0")
def diffusers_layerwise_casting_to_float8() -> object:
    import torch

    unet = tiny_stable_diffusion().unet
    unet.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16)
    unet.to("cuda")
    like: dict[str, Any] = {"device": "cuda", "dtype": torch.bfloat16}
    return str(unet(torch.ones(1, 4, 8, 8, **like), 1, torch.ones(1, 7, 8, **like)).sample.device)


@gives("cuda:0")
def sentence_transformers_on_cuda() -> object:
    from sentence_transformers import SentenceTransformer, models
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tempfile.mkdtemp()
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=8, **sizes)).save_pretrained(folder)
    with open(f"{folder}/vocab.txt", "w") as file:
        file.write("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "world"]))
    BertTokenizerFast(f"{folder}/vocab.txt").save_pretrained(folder)
    word = models.Transformer(folder)
    model = SentenceTransformer(modules=[word, models.Pooling(8)], device="cuda")
    return str(model.encode(["hello world"], convert_to_tensor=True).device)
