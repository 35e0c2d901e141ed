"""Chaos: a farm under load whose processes, broker, link and memory fail, by the order of a seed; and what came of it.

`python -m chaos --seed 1 --calls 300`; `docs/reliability.md` has the results.
"""
