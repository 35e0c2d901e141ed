"""What the benchmarks of the broker share: brokers of their own, full queues, and many workers without children."""
