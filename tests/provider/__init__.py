"""A small provider of OpenID Connect, of Authlib's server parts, as a process: tests log in by it.

The name that somebody types there tells who they are, and how the provider's answer is wrong.
"""
