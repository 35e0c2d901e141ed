"""Paint pictures from text with FLUX.1 [schnell]."""

import random

import gradio as gr
import spaces
import torch
from diffusers import FluxPipeline

LARGEST_SEED = 2**31 - 1
SIZES = {"Square": (1024, 1024), "Landscape": (1216, 832), "Portrait": (832, 1216)}

pipe = FluxPipeline.from_pretrained("black-forest-labs/FLUX.1-schnell", torch_dtype=torch.bfloat16).to("cuda")


def seconds(prompt, shape, steps, *args, **kwargs):
    """An H200 needs less than a second a step; the rest is the text encoders and the decoder."""
    return 10 + 2 * steps


@spaces.GPU(duration=seconds)
def generate(prompt, shape, steps, seed, randomize, progress=gr.Progress(track_tqdm=True)):
    """Paint `prompt`; returns the picture and the seed that paints it again."""
    if not prompt.strip():
        raise gr.Error("Describe a picture first.")
    if randomize:
        seed = random.randint(0, LARGEST_SEED)
    width, height = SIZES[shape]
    picture = pipe(
        prompt,
        width=width,
        height=height,
        num_inference_steps=int(steps),
        guidance_scale=0.0,
        max_sequence_length=256,
        generator=torch.Generator("cuda").manual_seed(int(seed)),
    ).images[0]
    return picture, seed


with gr.Blocks(title="FLUX.1 [schnell]") as demo:
    gr.Markdown(
        "# FLUX.1 [schnell]\n"
        "Pictures from text in four steps, with the "
        "[model of Black Forest Labs](https://huggingface.co/black-forest-labs/FLUX.1-schnell)."
    )
    with gr.Row():
        with gr.Column(scale=2):
            prompt = gr.Textbox(label="Picture", lines=3, placeholder="A heron in the mist, woodcut")
            run = gr.Button("Paint", variant="primary")
            with gr.Accordion("More", open=False):
                shape = gr.Radio(list(SIZES), value="Square", label="Shape")
                steps = gr.Slider(1, 8, value=4, step=1, label="Steps")
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=LARGEST_SEED)
                randomize = gr.Checkbox(True, label="A new seed each time")
            gr.Examples(
                [
                    ["A heron in the morning mist, woodcut in three colours"],
                    ["A kitchen on board an airship, warm evening light, photograph"],
                    ["A paper model of a medieval town on a desk, seen from above"],
                ],
                inputs=prompt,
                cache_examples=False,
            )
        picture = gr.Image(label="Picture", format="png", height=640)
    run.click(generate, inputs=[prompt, shape, steps, seed, randomize], outputs=[picture, seed], api_name="generate")

if __name__ == "__main__":
    demo.launch()
