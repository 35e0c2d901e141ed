"""The Spaces that `zerofarm up` serves, which come and go, each in revisions of which the latest are kept."""
