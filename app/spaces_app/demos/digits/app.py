"""Draw handwritten digits with a small diffusion model."""

import random
from pathlib import Path

import gradio as gr
import spaces
import torch
from digit_pipeline import DigitPipeline
from PIL import Image, ImageOps

MODEL = Path(__file__).parent / "model"
LARGEST_SEED = 2**31 - 1
INK, PAPER = "#1d3557", "#fdfbf4"

device = "cuda" if torch.cuda.is_available() else "cpu"
pipe = DigitPipeline.from_pretrained(MODEL).to(device)


def seconds(digit, count, steps, *args, **kwargs):
    """The seconds that the steps take on a slow GPU."""
    return 5 + 0.05 * count * steps


@spaces.GPU(duration=seconds)
def generate(digit, count, steps, guidance, seed, randomize, progress=gr.Progress(track_tqdm=True)):
    """Draw `count` versions of `digit`; returns the pictures and the seed that draws them again."""
    if randomize:
        seed = random.randint(0, LARGEST_SEED)
    drawings = pipe(
        [int(digit)] * int(count),
        steps=int(steps),
        guidance=guidance,
        # A generator on the CPU draws the same noise on every machine.
        generator=torch.Generator("cpu").manual_seed(int(seed)),
    )
    return [on_paper(drawing) for drawing in drawings], seed


def on_paper(drawing):
    """Give a drawing of 16 x 16 pixels a margin, enlarge it and colour it as ink on paper."""
    enlarged = ImageOps.expand(drawing, border=2).resize((256, 256), Image.Resampling.BICUBIC)
    return ImageOps.colorize(enlarged, black=PAPER, white=INK, blackpoint=48, whitepoint=208)


with gr.Blocks(title="Digits") as demo:
    gr.Markdown(
        "# Digits\n"
        "A diffusion model of 1.8 million parameters starts from noise and draws the digit of your choice, "
        "each time in a different hand. It learned from 1797 scans of 8 × 8 pixels."
    )
    digit = gr.Radio(list(range(10)), value=3, label="Digit")
    with gr.Row():
        with gr.Column(scale=2):
            count = gr.Slider(1, 16, value=8, step=1, label="How many")
            steps = gr.Slider(4, 50, value=20, step=1, label="Steps", info="More steps, steadier strokes")
            run = gr.Button("Draw", variant="primary")
            with gr.Accordion("More", open=False):
                guidance = gr.Slider(
                    1, 6, value=2, step=0.5, label="Guidance", info="Low: free hand. High: copperplate."
                )
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=LARGEST_SEED)
                randomize = gr.Checkbox(True, label="A new seed each time")
        with gr.Column(scale=3):
            drawings = gr.Gallery(label="Drawings", columns=4, height=390, object_fit="contain", format="png")
    gr.Examples([[3, 8, 20], [8, 16, 30], [0, 4, 4], [7, 1, 50]], inputs=[digit, count, steps], cache_examples=False)
    run.click(
        generate,
        inputs=[digit, count, steps, guidance, seed, randomize],
        outputs=[drawings, seed],
        api_name="generate",
    )

if __name__ == "__main__":
    demo.launch()
