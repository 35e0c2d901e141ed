"""Replace the threads of each library in a fork. `forking/revival.py` calls these."""
