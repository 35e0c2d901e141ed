"""Invent names letter by letter with a small language model."""

import re
from pathlib import Path
from threading import Thread

import gradio as gr
import spaces
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, TextIteratorStreamer

MODEL = Path(__file__).parent / "model"
LONGEST_BEGINNING = 8

device = "cuda" if torch.cuda.is_available() else "cpu"
tokenizer = AutoTokenizer.from_pretrained(MODEL)
model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).to(device)


class LetterStreamer(TextIteratorStreamer):
    """Passes on each letter at once; its base class waits for the end of a word."""

    def put(self, value):
        if self.next_tokens_are_prompt:
            self.next_tokens_are_prompt = False
        else:
            self.on_finalized_text(self.tokenizer.decode(value, skip_special_tokens=True))


@spaces.GPU(duration=30)
def generate(kind, beginning, count, temperature):
    """Write `count` names of one kind, one per line; yields the text so far."""
    beginning = beginning.strip().lower()
    if not re.fullmatch(f"[a-z]{{0,{LONGEST_BEGINNING}}}", beginning):
        raise gr.Error(f"A name begins with up to {LONGEST_BEGINNING} letters from A to Z.")
    finished = ""
    for _ in range(int(count)):
        name = beginning
        for letter in letters_after(f"<{kind}>{beginning}", temperature):
            name += letter
            yield finished + name.capitalize()
        finished += name.capitalize() + "\n"
    yield finished.rstrip()


def letters_after(prompt, temperature):
    """Yields letters as the model writes them, in its own thread."""
    inputs = tokenizer(prompt, return_tensors="pt").to(device)
    streamer = LetterStreamer(tokenizer, timeout=30)
    options = {"do_sample": True, "temperature": temperature, "top_p": 0.95, "max_length": model.config.n_positions}
    writer = Thread(target=model.generate, kwargs={**inputs, **options, "streamer": streamer})
    writer.start()
    yield from streamer
    writer.join()


with gr.Blocks(title="Names") as demo:
    gr.Markdown(
        "# Names\n"
        "A language model of 0.8 million parameters, which knows only letters, invents names. "
        "Give it the first letters, or let it begin on its own."
    )
    with gr.Row():
        with gr.Column():
            kind = gr.Radio(["feminine", "masculine", "surname"], value="feminine", label="Kind")
            beginning = gr.Textbox("", label="Begins with", placeholder="Any letter", max_length=LONGEST_BEGINNING)
            count = gr.Slider(1, 20, value=8, step=1, label="How many")
            temperature = gr.Slider(
                0.3, 1.5, value=0.8, step=0.1, label="Temperature", info="Low: familiar. High: daring."
            )
            with gr.Row():
                run = gr.Button("Invent", variant="primary")
                stop = gr.Button("Stop")
        names = gr.Textbox(label="Names", lines=20, max_lines=20)
    gr.Examples(
        [["feminine", "Mar", 8, 0.8], ["masculine", "", 12, 0.6], ["surname", "Mc", 8, 0.8], ["surname", "", 20, 1.2]],
        inputs=[kind, beginning, count, temperature],
        cache_examples=False,
    )
    writing = gr.on(
        [run.click, beginning.submit],
        generate,
        inputs=[kind, beginning, count, temperature],
        outputs=names,
        api_name="generate",
    )
    stop.click(None, cancels=writing)

if __name__ == "__main__":
    demo.launch()
