"""Parts of reading `farm.toml`: see `spaces/farm/queue/settings.py`."""
