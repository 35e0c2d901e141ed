"""Commands that change which Spaces a running `zerofarm up` serves. They ask it over its control socket."""
