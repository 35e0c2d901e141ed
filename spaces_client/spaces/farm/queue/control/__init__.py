"""The controls that operators have over a farm while it runs, and the record of their use."""
