"""The socket at which `zerofarm up` is told what to do while it runs."""
