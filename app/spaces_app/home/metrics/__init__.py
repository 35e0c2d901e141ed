"""The farm's metrics in the form of Prometheus, at `/metrics` of the home page."""
