"""The servers that a Space's script starts: the one that is its page, and others beside it."""
