import os
import tempfile

import spaces
import torch
from torchao.quantization import Int8WeightOnlyConfig
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM, TorchAoConfig


def saved():
    sizes = {"hidden_size": 128, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    folder = tempfile.mkdtemp()
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(vocab_size=64, max_position_embeddings=64, **sizes)).save_pretrained(folder)
    return folder


CONFIGS = [
    BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.bfloat16),
    BitsAndBytesConfig(load_in_8bit=True),
    TorchAoConfig(Int8WeightOnlyConfig()),
]
FOLDER = saved()
MODELS = [
    AutoModelForCausalLM.from_pretrained(FOLDER, quantization_config=config, device_map="cuda", dtype=torch.bfloat16)
    for config in CONFIGS
]


def compute():
    prompt = torch.tensor([[1, 2, 3]], device="cuda")
    kinds = [type(model.model.layers[0].self_attn.q_proj.weight).__name__ for model in MODELS]
    lengths = [model.generate(prompt, max_new_tokens=3, min_new_tokens=3).shape[1] for model in MODELS]
    return kinds, lengths, [model.device.type for model in MODELS]


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
