"""The systems that `benchmarks.road` compares: each is a program that measures itself when told to."""
