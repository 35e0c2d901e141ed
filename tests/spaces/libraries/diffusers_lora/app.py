import os
import tempfile

import spaces
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from transformers import CLIPTextConfig, CLIPTextModel


def pipeline():
    torch.manual_seed(0)
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
    return StableDiffusionPipeline(
        vae=AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=4),
        text_encoder=CLIPTextModel(text),
        tokenizer=None,
        unet=unet,
        scheduler=DDIMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).to("cuda")


def saved_lora():
    pipe = pipeline()
    pipe.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_k", "to_v"]))
    folder = tempfile.mkdtemp()
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=get_peft_model_state_dict(pipe.unet))
    return folder


PIPE = pipeline()
PIPE.load_lora_weights(saved_lora())
PIPE.fuse_lora()


def compute():
    text = torch.zeros(1, 7, 8, device="cuda")
    generator = torch.Generator("cuda").manual_seed(0)
    images = PIPE(
        prompt_embeds=text, negative_prompt_embeds=text, output_type="pt", num_inference_steps=2, generator=generator
    ).images
    return images.device.type, list(images.shape), PIPE.get_active_adapters()


FIRST = compute()


@spaces.GPU(duration=20)
def check():
    return FIRST, compute(), len(os.listdir("/proc/self/task"))
