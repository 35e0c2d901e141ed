"""Shared by the benchmarks of the broker: separate brokers, full queues, and many workers without children."""
