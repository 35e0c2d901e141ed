"""Cuts texts where they are made: the broker keeps for an hour what a function says, whatever its size."""

from __future__ import annotations

#: Characters of an exception's text.
LONGEST_TEXT = 100_000

#: Characters of each text in a toast or a progress bar.
LONGEST_WORD = 10_000

#: Characters of a traceback. Its ends say which call failed, and why; deep recursion fills its middle.
LONGEST_TRACEBACK = 50_000


def cut(text: str, most: int = LONGEST_TEXT) -> str:
    """The beginning of a text that is too long."""
    return text if len(text) <= most else f"{text[:most]}…"


def without_middle(text: str, most: int = LONGEST_TRACEBACK) -> str:
    """The two ends of a text that is too long, and how much is left out between them."""
    if len(text) <= most:
        return text
    head = most // 2
    return f"{text[:head]}\n… {len(text) - most} characters are left out …\n{text[head - most :]}"
