"""How each library gets its threads back in a fork. `forking/revival.py` calls these."""
