"""The front door of a farm: one address, at which Caddy shows the home page, every Space and Flower.

Caddy is never configured again for a Space. It asks `lookup.py` where a Space's page is, for each request.
"""
