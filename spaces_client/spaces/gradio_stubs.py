"""Keeps Gradio from writing type stubs for editors while it is imported, which takes half of the seconds of its import.

For each class of a component, Gradio parses the source several times and writes a `.pyi` beside it. In a farm nobody
edits the installed Gradio, and a stub beside the component of a Space would make a new revision of that Space.
"""

from __future__ import annotations

from types import ModuleType


def leave_out(component_meta: ModuleType) -> None:
    """Write none from now on; for `gradio.component_meta`, of any version."""
    component_meta.create_or_modify_pyi = lambda *_: None  # type: ignore[attr-defined] # replaced in the module
