"""`zerofarm new`: a working Space to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spaces.errors import SpacesError
from spaces.farm.links.operator_line import runs
from spaces_workers.commands import options

_APP = '''"""Writes a text larger. Replace `louder` by what needs a GPU."""

import gradio as gr
import spaces

# Load models here, once, and move them to "cuda": that works without a GPU too.


@spaces.GPU(duration=30)  # at most 30 s of a GPU; shorter requests wait less
def louder(text):
    return text.upper()


demo = gr.Interface(louder, gr.Textbox(label="Text"), gr.Textbox(label="Louder"), title="{title}")

if __name__ == "__main__":
    demo.launch()
'''

_README = """---
title: {title}
emoji: 🌱
colorFrom: green
colorTo: yellow
sdk: gradio
app_file: app.py
short_description: A Space to start from
---

Serve it with `zerofarm up {folder}`, or where a farm runs with `zerofarm add {folder}`.
Packages that it needs go into `requirements.txt`.
"""


def new(
    folder: Annotated[Path, typer.Argument(metavar="NAME", help="The folder to make; its name is the Space's.")],
    state_dir: options.StateDir = options.STATE_DIR,
) -> None:
    """Make a folder with a working Space to start from."""
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise SpacesError(f"{folder} cannot be made: {error.strerror}. Give another name") from None
    title = folder.resolve().name.replace("-", " ").replace("_", " ").capitalize()
    (folder / "app.py").write_text(_APP.format(title=title.replace('"', "'")))
    (folder / "README.md").write_text(_README.format(title=title, folder=folder), encoding="utf-8")
    command = "add" if runs(state_dir) else "up"
    print(f"{folder} is a Space: change {folder / 'app.py'}, and serve it with `zerofarm {command} {folder}`")
