"""Operators log in by a provider of OpenID Connect, as `[login]` of farm.toml says."""
