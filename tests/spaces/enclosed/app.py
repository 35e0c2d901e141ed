"""A Space that makes everything inside functions: no module has a name for its studio, which holds a model."""

import threading

import gradio as gr
import torch

import spaces


class Studio:
    def __init__(self, name):
        self.name = name
        self.lock = threading.Lock()
        self.drawn = []
        self.style = "plain"
        self.model = torch.nn.Linear(2, 2).to("cuda")

    @spaces.GPU
    def draw(self, prompt):
        with self.lock:
            self.drawn.append(prompt)
        return f"{self.name} {self.style} {len(self.drawn)} {tuple(self.model(torch.ones(1, 2, device='cuda')).shape)}"

    def choose(self, style):
        self.style = style

    def page(self):
        with gr.Blocks() as demo:
            box, out = gr.Textbox(), gr.Textbox()
            gr.Button().click(self.draw, box, out, api_name="draw")
            gr.Button().click(lambda prompt: weigh(self.model, prompt), box, out, api_name="weigh")
            gr.Button().click(self.choose, box, None, api_name="choose")
        return demo


@spaces.GPU
def weigh(model, prompt):
    return f"{prompt} {sum(each.numel() for each in model.parameters())}"


def main():
    studio = Studio("one")
    studio.page().launch(show_error=True)


if __name__ == "__main__":
    main()
