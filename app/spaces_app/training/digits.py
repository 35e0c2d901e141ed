"""Train the UNet that the *digits* demo draws with, on scikit-learn's 1797 scans of handwritten digits.

    python -m spaces_app.training.digits

takes about six minutes on two CPU cores, is deterministic for one machine and version of torch, and writes the
whole pipeline with half-precision weights (about 4 MB) into `demos/digits/model`. Needs scikit-learn.
"""

from __future__ import annotations

import copy
import runpy
import time
from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DModel
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional

from spaces_app.demos import demo

SIZE = 16
ANY_DIGIT = 10
"""The class label that stands for "any digit"; the pipeline needs it for classifier-free guidance."""

BATCH = 64
STEPS = 2400
LEARNING_RATE = 1.5e-3


def train(seed: int = 0) -> None:
    """Train from scratch and save the pipeline where the demo loads it."""
    torch.manual_seed(seed)
    images, labels = handwriting()
    unet, scheduler = new_unet(), new_scheduler()
    averaged = copy.deepcopy(unet)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS, pct_start=0.05)
    started = time.monotonic()
    for step in range(STEPS):
        chosen = torch.randint(len(images), (BATCH,))
        loss = denoising_loss(unet, scheduler, jittered(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        rate.step()
        move_average(averaged, unet, decay=min(0.995, step / (step + 10)))
        if step % 100 == 0:
            print(f"step {step:5d}  loss {loss.item():.4f}  {time.monotonic() - started:5.0f} s", flush=True)
    save(averaged, scheduler)


def handwriting() -> tuple[Tensor, Tensor]:
    """Scans as a tensor of shape (1797, 1, 16, 16) from -1 (paper) to 1 (ink), and the digit on each.

    The scans have 8 x 8 pixels in 17 shades. Enlarged and with more contrast they keep their shape and gain
    the firm edges of a pen stroke.
    """
    scans = load_digits()
    pixels = torch.tensor(scans.images, dtype=torch.float32).unsqueeze(1) / 16
    enlarged = functional.interpolate(pixels, size=(SIZE, SIZE), mode="bicubic", align_corners=False)
    return torch.tanh((enlarged - 0.45) * 5), torch.tensor(scans.target)


def jittered(images: Tensor) -> Tensor:
    """The digits slightly rotated, scaled and shifted, so that the model cannot memorize them."""
    count = len(images)
    angle = (torch.rand(count) - 0.5) * 0.35
    stretch = 1 + (torch.rand(count, 2) - 0.5) * 0.2
    shift = (torch.rand(count, 2) - 0.5) * 0.15
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(count, 2, 2)
    transform = torch.cat([turn * stretch.unsqueeze(2), shift.unsqueeze(2)], dim=2)
    grid = functional.affine_grid(transform, list(images.shape), align_corners=False)
    return functional.grid_sample(images + 1, grid, mode="bicubic", align_corners=False).clamp(0, 2) - 1


def denoising_loss(unet: Any, scheduler: Any, images: Tensor, labels: Tensor) -> Tensor:
    """The error with which `unet` separates ink from noise at random noise levels, with one label in ten withheld."""
    noise = torch.randn_like(images)
    level = torch.randint(scheduler.config.num_train_timesteps, (len(images),))
    withheld = torch.rand(len(labels)) < 0.1
    noisy = scheduler.add_noise(images, noise, level)
    predicted = unet(noisy, level, labels.masked_fill(withheld, ANY_DIGIT)).sample
    return functional.mse_loss(predicted, scheduler.get_velocity(images, noise, level))


def new_unet() -> Any:
    """A UNet of 1.8 million parameters."""
    return UNet2DModel(
        sample_size=SIZE,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(32, 64, 96),
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
        attention_head_dim=16,
        num_class_embeds=ANY_DIGIT + 1,
    )


def new_scheduler() -> Any:
    """Noise on a cosine schedule; velocity prediction with trailing steps works even with few steps."""
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
        clip_sample=True,
    )


def move_average(averaged: Any, current: Any, decay: float) -> None:
    """Let `averaged` follow `current`; its weights draw steadier strokes than those of the last step."""
    with torch.no_grad():
        for slow, fast in zip(averaged.parameters(), current.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)


def save(unet: Any, scheduler: Any) -> None:
    """Write the pipeline into the demo's folder, weights in half precision."""
    folder = demo("digits")
    pipeline_class = runpy.run_path(str(folder / "digit_pipeline.py"))["DigitPipeline"]
    pipeline_class(unet.half(), scheduler).save_pretrained(folder / "model")


if __name__ == "__main__":
    train()
