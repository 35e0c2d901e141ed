"""Spares libraries some work of their imports: its outcome is the same without it, or is not wanted.

Each shortcut uses a library's inner names. A version without these names is imported in its own way.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

from spaces.import_hooks import when_imported


@cache
def take() -> None:
    """Prepare the shortcuts, for libraries that will be imported; once, also for the forks of this process."""
    when_imported("gradio.component_meta", _write_no_stubs)
    when_imported("gradio.events", _parse_templates_once)
    when_imported("transformers.utils.import_utils", _read_models_once)


def _write_no_stubs(component_meta: ModuleType) -> None:
    """Keep Gradio from writing type stubs for editors, which takes half of the seconds of its import.

    For each class of a component, Gradio parses the source several times and writes a `.pyi` beside it. In a farm
    nobody edits the installed Gradio, and a stub beside the component of a Space would make a new revision of that
    Space.
    """
    component_meta.create_or_modify_pyi = lambda *_: None  # type: ignore[attr-defined] # replaced in the module


def _parse_templates_once(events: Any) -> None:  # Any: inner functions of the library
    """Let Gradio parse the text that describes an event once, instead of for each of its 70 components."""
    if (template := getattr(events, "Template", None)) is not None:
        events.Template = cache(template)


def _read_models_once(import_utils: Any) -> None:  # Any: inner functions of the library
    """Let transformers find the names in the files of its models in a fifth of the time.

    It reads all files twice, because it remembers 128 of 500 folders, and splits each of them into lines to find the
    last that begins with `__all__`.
    """
    names_in = getattr(import_utils, "fetch__all__", None)
    structure_of: Any = getattr(import_utils, "create_import_structure_from_path", None)
    if names_in is None or not hasattr(structure_of, "cache_parameters"):
        return
    import_utils.fetch__all__ = lambda content: names_in(content[content.rfind("\n__all__") + 1 :])
    import_utils.create_import_structure_from_path = cache(structure_of.__wrapped__)
