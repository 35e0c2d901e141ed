"""`python -m docs.reference`: writes all references."""

from __future__ import annotations

from docs.reference import PAGES

if __name__ == "__main__":
    for path, text in PAGES.items():
        path.write_text(text() + "\n")
