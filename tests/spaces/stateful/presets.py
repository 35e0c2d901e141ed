"""A module of the Space whose globals its handlers change."""

LEVEL = 1
WORDS = ["calm"]
