"""The guides in `docs`, followed by the letter."""
