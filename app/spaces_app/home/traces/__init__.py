"""Writes the traces of ended tasks to a collector of OpenTelemetry, where the operator's environment asks for them."""
