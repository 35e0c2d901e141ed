"""Sleep of children on a stand-in, whose bus and memory have limits."""
