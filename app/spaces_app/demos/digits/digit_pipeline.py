"""A diffusion pipeline that draws handwritten digits with a small class-conditional UNet."""

import torch
from diffusers import DDIMScheduler, DiffusionPipeline, UNet2DModel
from diffusers.utils.torch_utils import randn_tensor


class DigitPipeline(DiffusionPipeline):
    """Draws digits: `DigitPipeline.from_pretrained("model")([3, 7])` is a list of two PIL images.

    The UNet has one class more than there are digits: the last one means "any digit". Classifier-free guidance
    multiplies the difference between the two predictions by `guidance`.
    """

    def __init__(self, unet: UNet2DModel, scheduler: DDIMScheduler):
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)

    @torch.no_grad()
    def __call__(self, digits, steps=20, guidance=2.0, generator=None, output_type="pil"):
        """Draw `digits`, a list of numbers from 0 to 9, in `steps` steps.

        Returns PIL images, or with `output_type="pt"` a tensor of shape (count, 1, 16, 16) from 0 to 1.
        """
        unet, scheduler = self.unet, self.scheduler
        shape = (len(digits), unet.config.in_channels, unet.config.sample_size, unet.config.sample_size)
        sample = randn_tensor(shape, generator=generator, device=self.device, dtype=unet.dtype)
        wanted = torch.tensor(digits, device=self.device)
        any_digit = torch.full_like(wanted, unet.config.num_class_embeds - 1)
        labels = torch.cat([wanted, any_digit])

        scheduler.set_timesteps(steps, device=self.device)
        for step in self.progress_bar(scheduler.timesteps):
            conditional, unconditional = unet(torch.cat([sample, sample]), step, labels).sample.chunk(2)
            prediction = unconditional + guidance * (conditional - unconditional)
            sample = scheduler.step(prediction, step, sample, use_clipped_model_output=True).prev_sample

        pixels = (sample / 2 + 0.5).clamp(0, 1).float().cpu()
        return pixels if output_type == "pt" else self.numpy_to_pil(pixels.permute(0, 2, 3, 1).numpy())
