"""Counts and remembers the tasks of a farm, for `/metrics` and the operator's page."""
