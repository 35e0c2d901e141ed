"""The home page of a farm: a gallery of its Spaces, and the current work of its workers."""
