"""What a farm counts and remembers of its tasks, for `/metrics` and the operator's page."""
