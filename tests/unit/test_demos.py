"""The bundled demos: complete as Spaces, small, and their models do what their pages promise."""

from __future__ import annotations

import asyncio
import itertools
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
import yaml

from spaces_app.demos import FOLDER, default_demos, demo

EVERY_DEMO = ["chat", "digits", "flux", "names", "search"]
MB = 1_000_000

Page = dict[str, Any]  # Any: the globals of a script


def test_the_default_demos_need_no_hub() -> None:
    assert [folder.name for folder in default_demos()] == ["digits", "names", "search"]


def test_an_unknown_demo_is_refused_with_the_known_ones() -> None:
    with pytest.raises(LookupError, match=r"'digit'; there are chat, digits, flux, names, search"):
        demo("digit")


def test_every_demo_folder_is_known() -> None:
    assert sorted(path.parent.name for path in FOLDER.glob("*/README.md")) == EVERY_DEMO


@pytest.mark.parametrize("name", EVERY_DEMO)
def test_every_demo_is_a_complete_space(name: str) -> None:
    _, front_matter, text = (demo(name) / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    described = yaml.safe_load(front_matter)

    assert described["sdk"] == "gradio"
    assert described["title"]
    assert described["emoji"]
    assert len(described["short_description"]) <= 60
    assert (demo(name) / described["app_file"]).is_file()
    assert "torch" in (demo(name) / "requirements.txt").read_text().split()
    assert text.strip()


@pytest.mark.parametrize(("name", "limit"), [("digits", 5 * MB), ("names", 3 * MB)])
def test_a_trained_model_is_small_enough_to_ship(name: str, limit: int) -> None:
    sizes = [path.stat().st_size for path in (demo(name) / "model").rglob("*") if path.is_file()]

    assert 0 < sum(sizes) <= limit


@pytest.fixture(scope="module")
def digits() -> Iterator[Page]:
    with opened("digits") as digits:
        digits["pipe"].set_progress_bar_config(disable=True)
        yield digits


def test_each_digit_is_recognised_by_a_classifier_of_real_handwriting(digits: Page) -> None:
    """A support vector machine, which gets 99 % of scans right that it never saw, reads the drawings."""
    import torch
    from sklearn.svm import SVC

    from spaces_app.training.digits import handwriting

    images, labels = handwriting()
    reader = SVC(C=5).fit(images.flatten(1).numpy(), labels.numpy())
    wanted = [digit for digit in range(10) for _ in range(10)]
    generator = torch.Generator().manual_seed(0)
    drawings = digits["pipe"](wanted, steps=8, generator=generator, output_type="pt") * 2 - 1

    read = reader.predict(drawings.flatten(1).numpy())

    right = [sum(read[10 * digit : 10 * digit + 10] == digit) for digit in range(10)]
    assert min(right) >= 8.5, f"of ten drawings each, right are {right}"


def test_a_seed_draws_the_same_pictures_again(digits: Page) -> None:
    first, seed = digits["generate"](7, 2, 4, 2, seed=5, randomize=False)
    again, _ = digits["generate"](7, 2, 4, 2, seed=5, randomize=False)
    other, _ = digits["generate"](7, 2, 4, 2, seed=6, randomize=False)

    assert seed == 5
    assert [picture.size for picture in first] == [(256, 256)] * 2
    assert [picture.tobytes() for picture in first] == [picture.tobytes() for picture in again]
    assert first[0].tobytes() != other[0].tobytes()


def test_a_new_seed_is_told(digits: Page) -> None:
    seeds = {digits["generate"](1, 1, 4, 1, seed=5, randomize=True)[1] for _ in range(3)}

    assert len(seeds) == 3


def test_more_steps_ask_for_more_seconds(digits: Page) -> None:
    assert digits["seconds"](3, 8, 50) > digits["seconds"](3, 8, 4) > 0


def test_digits_can_be_called_by_name(digits: Page) -> None:
    assert public_names(digits) == {"generate"}


@pytest.fixture(scope="module")
def names() -> Iterator[Page]:
    with opened("names") as names:
        yield names


def test_letters_stream_and_every_yield_holds_all_so_far(names: Page) -> None:
    texts = list(names["generate"]("surname", "Mc", 3, 0.8))

    assert len(texts) > 10
    lines = texts[-1].split("\n")
    assert len(lines) == 3
    assert all(line.startswith("Mc") for line in lines)
    for earlier, later in itertools.pairwise(texts):
        assert later.startswith(earlier.rstrip("\n")), (earlier, later)
        assert len(later) <= len(earlier + "\nMcx")


def test_the_names_look_like_names(names: Page) -> None:
    surnames = written(names, "surname", 100)

    assert len(set(surnames)) > 80
    assert sum(3 <= len(name) <= 12 for name in surnames) > 90
    assert sum(any(vowel in name for vowel in "aeiouy") for name in surnames) > 95


def test_the_kind_is_heard(names: Page) -> None:
    feminine, masculine = written(names, "feminine", 100), written(names, "masculine", 100)

    ending_in_a = [sum(name.endswith("a") for name in kind) for kind in (feminine, masculine)]
    assert ending_in_a[0] > 2 * ending_in_a[1]


@pytest.mark.parametrize("beginning", ["4", "a b", "q" * 9, "Ж"])
def test_a_beginning_without_plain_letters_is_refused(names: Page, beginning: str) -> None:
    import gradio

    with pytest.raises(gradio.Error, match="letters from A to Z"):
        next(names["generate"]("surname", beginning, 1, 0.8))


def test_names_can_be_called_by_name(names: Page) -> None:
    assert public_names(names) == {"generate"}


@pytest.fixture(scope="module")
def search() -> Iterator[Page]:
    with opened("search") as search:
        yield search


@pytest.mark.parametrize(
    ("question", "topic", "words"),
    [
        ("Why does bread get holes?", "Cooking", "carbon dioxide"),
        ("What makes the evening sky red?", "Science", "scatters the blue"),
        ("My program is slow, what should I do?", "Computers", "profiler"),
        ("Which plants like shade?", "Nature", "Ferns"),
        ("How do I stop a door from making noise?", "Daily life", "hinge"),
        ("illness of seamen without vitamins", "History", "scurvy"),
    ],
)
def test_the_best_passage_answers_the_question(search: Page, question: str, topic: str, words: str) -> None:
    (rank, score, found_topic, passage), *_ = search["search"](question, "Everything", 5)

    assert (rank, found_topic) == (1, topic)
    assert words in passage
    assert 0.3 < score <= 1


def test_the_table_is_ranked_and_as_long_as_asked(search: Page) -> None:
    table = search["search"]("water", "Science", 7)

    assert [row[0] for row in table] == [1, 2, 3, 4, 5, 6, 7]
    assert [row[1] for row in table] == sorted((row[1] for row in table), reverse=True)
    assert {row[2] for row in table} == {"Science"}


def test_an_empty_question_is_refused(search: Page) -> None:
    import gradio

    with pytest.raises(gradio.Error, match="Ask something first"):
        search["search"]("  ", "Everything", 5)


def test_every_passage_has_a_topic_and_stands_once(search: Page) -> None:
    passages = search["passages"]

    assert len(passages) == len({text for _, text in passages}) == 120
    assert all(topic for topic, _ in passages)


def test_search_can_be_called_by_name(search: Page) -> None:
    assert public_names(search) == {"search"}


@pytest.mark.parametrize(
    ("name", "loaders", "called"),
    [
        ("flux", ["diffusers.FluxPipeline"], "generate"),
        ("chat", ["transformers.AutoModelForCausalLM", "transformers.AutoTokenizer"], "chat"),
    ],
)
def test_the_page_of_a_hub_model_is_built(name: str, loaders: list[str], called: str) -> None:
    """The weights are replaced, so this proves that the page is sound, not that the model is."""
    patches = [mock.patch(f"{loader}.from_pretrained") for loader in loaders]
    for patch in patches:
        patch.start()
    try:
        with opened(name) as page:
            assert called in public_names(page)
    finally:
        for patch in patches:
            patch.stop()


@contextmanager
def opened(name: str) -> Iterator[Page]:
    """The globals of a demo's script, run from its folder as Python would, short of launching the page."""
    folder = str(demo(name))
    sys.path.insert(0, folder)
    try:
        yield asyncio.run(executed(f"{folder}/app.py"))
    finally:
        sys.path.remove(folder)


async def executed(script: str) -> Page:
    """Run a script inside an event loop, for where none runs Gradio makes many and closes none of them."""
    return runpy.run_path(script, run_name="app")


def public_names(page: Page) -> set[str]:
    """The names under which `gradio_client` can call the page."""
    return {name.strip("/") for name in page["demo"].get_api_info()["named_endpoints"]}


def written(page: Page, kind: str, count: int) -> list[str]:
    """Names written in one batch, which takes a fraction of the time of streaming them."""
    import torch

    torch.manual_seed(0)
    model, tokenizer = page["model"], page["tokenizer"]
    prompt = tokenizer(f"<{kind}>", return_tensors="pt")
    written = model.generate(**prompt, do_sample=True, temperature=0.8, max_length=16, num_return_sequences=count)
    return list(tokenizer.batch_decode(written, skip_special_tokens=True))
