"""The Compose farm, really run: `make test-containers`."""
