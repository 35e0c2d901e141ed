"""What operators do with a farm while it runs, and the record of it."""
