"""How finely the counters of a farm count, and how much it remembers of ended tasks. The scripts know these too."""

from __future__ import annotations

#: About how many ended tasks are remembered, and the most bytes of the last event of one.
HISTORY, HISTORY_BYTES = 1_000, 16_384

#: The arguments of so many failed tasks are kept at most, each of INLINE_BYTES at most.
RETRYABLE = 200

#: Upper bounds of the buckets of histograms, in seconds; the last bucket has none.
BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
