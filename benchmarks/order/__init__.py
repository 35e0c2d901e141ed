"""What the benchmarks of the order of the queue share: traces, policies, and the simulated and the real queue."""
