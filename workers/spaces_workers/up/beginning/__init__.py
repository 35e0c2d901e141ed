"""The first steps of `zerofarm up`, before the import of its other parts, which takes half a second."""
