"""Ten Spaces that take turns on a card of four, in simulated time and on a real stand-in."""
