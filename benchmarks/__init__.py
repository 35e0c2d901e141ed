"""One file for each question; each prints one line a result, the peer measured in the same run."""
