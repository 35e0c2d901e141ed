"""Handles the threads that a fork loses: those that libraries and the Space itself have started during the script.

A fork has only the thread that forked. `judgement.py` decides whether the children of a Space can be forks, from the
table in `libraries.py` and the existing threads; `revival.py` gives a fork new threads if a library allows it.
Otherwise children run the script themselves (`zygote/fresh_server.py`).
"""
