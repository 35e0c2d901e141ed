"""Commands that change how Spaces and workers take part in the farm's queue."""
