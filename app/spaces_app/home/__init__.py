"""The home page of a farm: a gallery of its Spaces, and what its workers do at this moment."""
