"""What the benchmarks of calls share: a whole farm, and Celery as it comes beside it."""
