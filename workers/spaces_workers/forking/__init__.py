"""What a fork loses: the threads that libraries, and the Space itself, have started while the script ran.

A fork has one thread, the one that forked. `judgement.py` says whether the children of a Space can be forks, from the
table in `libraries.py` and the threads that there are; `revival.py` gives a fork new threads where a library allows it.
Where nothing helps, children run the script themselves (`nursery/fresh_server.py`).
"""
