"""The workers of a host and their nursery: part of a whole farm, or alone on a host that has joined one."""
