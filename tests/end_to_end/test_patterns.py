"""The hard patterns of real Spaces, each driven as a visitor drives it. The Spaces are in `tests/spaces`.

Three patterns have files of their own: globals that handlers change (8) in `test_globals.py`, ahead-of-time compilation
(11) in `tests/processes/test_aoti.py`, and GPU calls and cached examples before the launch (13) in
`test_import_calls.py`.
"""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.end_to_end.test_web import browsing, states
from tests.harness import SPACES, Farm
from tests.waiting import PATIENCE, wait_until

Visit = Callable[[str], Client]


@pytest.fixture(scope="module")
def visit(web_farm: Farm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """A visitor of a Space, whose web process is started for the first of them; scripts write into a copy of it."""
    folder, visitors = tmp_path_factory.mktemp("spaces"), dict[str, Client]()

    def visitor(space: str) -> Client:
        if space not in visitors:
            shutil.copytree(SPACES / space, folder / space)
            url = web_farm.start_web(space, folder / space / "app.py")
            visitors[space] = left.enter_context(closing(Client(url, verbose=False)))
        return visitors[space]

    with ExitStack() as left:
        yield visitor


@pytest.fixture
def log(web_farm: Farm) -> Callable[[str], str]:
    """The log of a Space's web process."""
    return lambda space: (web_farm.folder / f"web-{space}.log").read_text()


def told(url: str, function: str, *arguments: Any) -> list[dict[str, Any]]:
    """All messages of one event that the browser receives."""
    messages = []
    with browsing(url.rstrip("/"), function, *arguments) as lines:
        for line in lines:
            if line.startswith("data:"):
                messages.append(json.loads(line.removeprefix("data:")))
                if messages[-1]["msg"] == "process_completed":
                    break
    return messages


def test_pattern_1_a_flag_and_its_pipeline_switch_together(visit: Visit) -> None:
    draw = visit("switching")
    assert draw.predict("none", 0, api_name="/draw").startswith("none ")
    first, second = (draw.predict(adapter, 0, api_name="/draw").split() for adapter in ("oil", "ink"))
    assert (first[0], second[0]) == ("oil", "ink")
    assert first[1] == second[1]


def test_pattern_1_a_process_that_was_stopped_halfway_is_thrown_away(visit: Visit, web_farm: Farm) -> None:
    draw = visit("switching")
    before = draw.predict("oil", 0, api_name="/draw").split()[1]
    with pytest.raises(AppError, match="stopped after 1 s"):
        draw.predict("ink", 60, api_name="/hurry")
    adapter, after = draw.predict("ink", 0, api_name="/draw").split()
    assert adapter == "ink"
    assert after != before
    with browsing(draw.src.rstrip("/"), "draw", "oil", 60):
        wait_until(lambda: "running" in states(web_farm))
    wait_until(lambda: "running" not in states(web_farm))
    adapter, last = draw.predict("oil", 0, api_name="/draw").split()
    assert adapter == "oil"
    assert last != after


def test_pattern_2_a_path_that_is_built_on_both_sides_is_the_same(visit: Visit) -> None:
    assert visit("files").predict("hello", api_name="/try_out") == "HELLO"


def test_pattern_3_results_are_paths_of_all_kinds(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "upload.txt").write_text("content")
    files, paths, html = visit("files").predict(handle_file(tmp_path / "upload.txt"), api_name="/everywhere")
    assert [Path(file).read_text() for file in files] == [
        f"{place} content" for place in ("named", "unique", "here", "beside")
    ]
    (unique,) = (Path(each["path"]) for each in json.loads(paths)["files"])
    assert unique.read_text() == "unique content"
    assert str(unique) in html
    unique.unlink()


def test_pattern_3_a_file_is_there_before_the_yield_that_names_it(visit: Visit) -> None:
    *_, last = visit("files").submit("text", api_name="/read_pairs")
    assert last == "caption 0: text 0, caption 1: text 1, caption 2: text 2"


def test_pattern_4_an_upload_is_read_by_the_duration_and_by_the_function(visit: Visit, tmp_path: Path) -> None:
    upload = tmp_path / "seconds.txt"
    upload.write_text("20")
    assert visit("files").predict(handle_file(upload), 0, api_name="/nap") == "napped, and was allowed 20 s"
    upload.write_text("1")
    with pytest.raises(AppError, match="it asked for 1 s"):
        visit("files").predict(handle_file(upload), 60, api_name="/nap")


def test_a_result_that_deletes_its_file_when_it_dies_lives_until_its_caller_has_read_it(visit: Visit) -> None:
    assert visit("files").predict("words", api_name="/transcript") == "words, kept"


@pytest.mark.parametrize(
    ("event", "arguments", "said"),
    [
        ("by_name", ["large", "hello"], "large hello itself"),
        ("bound", ["hello"], "large hello itself"),
        ("decorated_partial", ["hello"], "small hello itself"),
    ],
)
def test_pattern_5_models_are_passed_by_reference(visit: Visit, event: str, arguments: list[str], said: str) -> None:
    assert visit("library").predict(*arguments, api_name=f"/{event}") == said


def test_pattern_6_methods_and_functions_of_libraries_call_each_other_in_one_process(visit: Visit) -> None:
    assert visit("library").predict("2", "3", api_name="/measure") == "6"
    assert visit("library").predict("2", "3", "4", api_name="/volume") == "small: 24, one process"


def test_pattern_6_an_object_that_a_function_made_is_the_same_in_every_call(visit: Visit) -> None:
    studio = visit("enclosed")
    assert studio.predict("a cat", api_name="/draw") == "one plain 1 (1, 2)"
    studio.predict("oil", api_name="/choose")
    assert studio.predict("a dog", api_name="/draw") == "one oil 2 (1, 2)"
    assert studio.predict("model", api_name="/weigh") == "model 6"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("twice", "abab"),
        ("thrice", "ababab"),
        ("first", "first ab"),
        ("second", "second ab"),
        ("inside", "inside ab"),
        ("inline", "inline ab"),
        ("late", "ab True worker and ab True worker [2]"),
        ("late_by_name", "plainly ab on worker"),
    ],
)
def test_pattern_7_functions_made_anywhere_are_the_same_in_every_process(visit: Visit, event: str, said: str) -> None:
    assert visit("library").predict("ab", api_name=f"/{event}") == said


def test_pattern_9_cumulative_text_arrives_in_order_and_in_whole(visit: Visit) -> None:
    seen = list(visit("streaming").submit(300, 0, api_name="/chat"))
    assert seen[-1].split() == [str(number) for number in range(300)]
    assert all(later.startswith(earlier) for earlier, later in pairwise(seen))


def test_pattern_9_a_thread_that_a_visitor_left_behind_does_not_disturb_the_next_task(
    visit: Visit, web_farm: Farm
) -> None:
    with browsing(visit("streaming").src.rstrip("/"), "chat", 100_000, 0.01) as words:
        wait_until(lambda: "process_generating" in next(words))
    wait_until(lambda: "running" not in states(web_farm))
    assert visit("streaming").predict(api_name="/who_is_there").startswith("0 threads in")


def test_pattern_10_progress_toasts_and_errors_keep_all_their_fields(visit: Visit) -> None:
    messages = told(visit("streaming").src, "render", 3)
    bars = [bar for each in messages if each["msg"] == "progress" for bar in each["progress_data"] or []]
    assert {"step 0", "step 1", "step 2", "tracked", "wrapped"} <= {bar["desc"] for bar in bars}
    assert {"index": 2, "length": 3, "unit": "steps", "progress": None, "desc": "step 2"} in bars
    toasts = [each for each in messages if each["msg"] == "log"]
    fields = ("log", "level", "title", "duration", "visible")
    expected = [
        ("it goes on", "info", "Renderer", 3, True),
        ("it is late", "warning", "Warning", 10, False),
        ("it is done", "success", "Finished", None, True),
    ]
    error = messages[-1]["output"]
    assert (error["error"].strip("'"), error["duration"]) == ("too dark", 7)
    if "title" in toasts[0]:
        assert [tuple(each[field] for field in fields) for each in toasts] == expected
        assert error["title"] == "Photographer"
    else:  # Gradio 4 has neither titles nor successes
        known = [field for field in fields if field != "title"]
        found = [tuple(each[field] for field in known) for each in toasts]
        assert found == [(log, level, *rest) for log, level, _, *rest in expected[:2]]


def test_pattern_12_cuda_at_import_is_there_without_a_gpu(visit: Visit) -> None:
    seen = visit("cuda_at_import").predict(api_name="/seen")
    assert (seen["available"], seen["count"], seen["capability"], seen["device"]) == (True, 1, [9, 0], "cuda:0")
    assert "H200" in seen["name"]
    assert seen["gigabytes"] >= 70
    assert seen["half"] == "torch.bfloat16"
    computed = visit("cuda_at_import").predict(api_name="/compute")
    assert {name: computed.pop(name) for name in seen} == seen
    assert computed == {"made on": "cuda:0", "finite": True}


def test_pattern_12_tensors_on_cuda_stay_there_on_their_way(visit: Visit) -> None:
    assert visit("cuda_at_import").predict(api_name="/carry") == {
        "in the function": ["cuda:0", "cuda:0"],
        "in the page": "cuda:0",
        "values": [2, 2],
    }


def test_pattern_14_a_script_builds_and_moves_to_another_folder(visit: Visit) -> None:
    assert visit("chores").predict(api_name="/built") == "built at import, in work"


def test_pattern_14_a_script_finds_its_name_and_its_shell_the_path_of_the_space(visit: Visit) -> None:
    assert visit("chores").predict(api_name="/where") == [True, "zerofarm/chores"]


def test_pattern_15_threads_routes_coroutines_and_pools(visit: Visit) -> None:
    chores = visit("chores")
    assert chores.predict("Ada", api_name="/enqueue") == "built at import, in work for Ada"
    assert chores.predict("Ada", api_name="/later") == "later Ada"
    assert chores.predict("-1 2 -3", api_name="/in_pool") == "[1, 2, 3]"
    with urllib.request.urlopen(f"{chores.src}later/Ada", timeout=PATIENCE) as answer:
        assert json.load(answer) == {"said": "later Ada"}
    with urllib.request.urlopen(f"{chores.src}built", data=b"", timeout=PATIENCE) as answer:
        assert json.load(answer) == {"said": "built at import, in work"}


def test_pattern_15_startup_says_that_a_script_without_a_launch_is_complete(web_farm: Farm) -> None:
    url = web_farm.start_web("plain")
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        web = answer.read().decode().rpartition(" ")[2]
    with urllib.request.urlopen(f"{url}/hello", timeout=PATIENCE) as answer:
        said, _, pid = answer.read().decode().partition(" from ")
    assert said == "HELLO"
    assert pid != web


def test_megabytes_in_a_state_travel_both_ways(visit: Visit) -> None:
    said = [visit("switching").predict(text, api_name="/converse") for text in ("one", "two")]
    assert said == ["1 turns, 3000001 bytes, 7", "2 turns, 3000001 bytes, 0"]


def test_a_function_that_leaves_by_system_exit_ends_its_task_alone(visit: Visit, log: Callable[[str], str]) -> None:
    before = visit("switching").predict("none", 0, api_name="/draw")
    with pytest.raises(AppError):
        visit("switching").predict(api_name="/leave")
    assert "SystemExit: 3" in log("switching")
    assert visit("switching").predict("none", 0, api_name="/draw") == before
