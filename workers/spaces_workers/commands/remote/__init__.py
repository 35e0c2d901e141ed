"""Commands for farms of several hosts and of containers."""
