"""What a farm does on one host beside its calls."""
