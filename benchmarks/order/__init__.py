"""Shared by the benchmarks of the queue's order: traces, policies, and the simulated and the real queue."""
