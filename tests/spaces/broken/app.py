"""A Space whose script fails before it launches."""

raise RuntimeError("the weights are not where they should be")
