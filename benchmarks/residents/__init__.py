"""A worker on paper: the real account of a GPU's memory, with children that only cost time."""
