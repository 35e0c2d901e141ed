"""Chat with a Qwen3 model, word by word."""

from threading import Thread

import gradio as gr
import spaces
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, TextIteratorStreamer

MODEL = "Qwen/Qwen3-4B-Instruct-2507"

device = "cuda" if torch.cuda.is_available() else "cpu"
tokenizer = AutoTokenizer.from_pretrained(MODEL)
model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.bfloat16).to(device)


def seconds(message, history, system, longest, temperature):
    """Seconds for the longest answer at thirty tokens a second, which is slow for this model."""
    return 10 + longest / 30


@spaces.GPU(duration=seconds)
def chat(message, history, system, longest, temperature):
    """Answer `message`; yields the answer so far."""
    turns = [{"role": turn["role"], "content": spoken(turn["content"])} for turn in history]
    conversation = [
        {"role": "system", "content": system},
        *turns,
        {"role": "user", "content": message},
    ]
    inputs = tokenizer.apply_chat_template(
        conversation, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    ).to(device)
    streamer = TextIteratorStreamer(tokenizer, timeout=60, skip_prompt=True, skip_special_tokens=True)
    options = {"max_new_tokens": int(longest), "do_sample": temperature > 0}
    if temperature > 0:
        options["temperature"] = temperature
    writer = Thread(target=model.generate, kwargs={**inputs, **options, "streamer": streamer})
    writer.start()
    answer = ""
    for words in streamer:
        answer += words
        yield answer
    writer.join()


def spoken(content):
    """The text of a turn, which Gradio passes as a string or as a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


demo = gr.ChatInterface(
    chat,
    title="Chat",
    description=f"A conversation with [{MODEL}](https://huggingface.co/{MODEL}).",
    additional_inputs=[
        gr.Textbox("You are a helpful assistant. Answer briefly.", label="System prompt"),
        gr.Slider(64, 2048, value=512, step=64, label="Longest answer in tokens"),
        gr.Slider(0, 1.5, value=0.7, step=0.1, label="Temperature"),
    ],
    examples=[
        ["Why is the sea salty?"],
        ["Explain recursion to a cook."],
        ["Write four lines about a lighthouse."],
    ],
    cache_examples=False,
    api_name="chat",
)

if __name__ == "__main__":
    demo.launch()
