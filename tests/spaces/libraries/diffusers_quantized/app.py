import os
import tempfile

import spaces
import torch
from diffusers import BitsAndBytesConfig, TorchAoConfig, UNet2DConditionModel
from torchao.quantization import Int8WeightOnlyConfig


def saved():
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        layers_per_block=1,
        block_out_channels=(32, 64),
        norm_num_groups=4,
        cross_attention_dim=64,
        attention_head_dim=32,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )
    folder = tempfile.mkdtemp()
    unet.save_pretrained(folder)
    return folder


FOLDER = saved()
CONFIGS = [
    BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.bfloat16),
    BitsAndBytesConfig(load_in_8bit=True),
    TorchAoConfig(Int8WeightOnlyConfig()),
]
MODELS = [
    UNet2DConditionModel.from_pretrained(
        FOLDER, quantization_config=config, torch_dtype=torch.bfloat16, device_map="cuda"
    )
    for config in CONFIGS
]


def compute():
    image = torch.ones(1, 4, 8, 8, device="cuda", dtype=torch.bfloat16)
    text = torch.ones(1, 3, 64, device="cuda", dtype=torch.bfloat16)
    step = torch.tensor(1, device="cuda")
    return [(model.device.type, list(model(image, step, text).sample.shape)) for model in MODELS]


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
