"""`make test-containers` runs these tests, `make test` does not: they need Docker, or its like."""

from __future__ import annotations

import os

collect_ignore_glob = [] if "TEST_CONTAINERS" in os.environ else ["test_*.py"]
