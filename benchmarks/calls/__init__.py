"""Shared by the benchmarks of calls: a whole farm, and Celery as it comes beside it."""
