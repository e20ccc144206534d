"""Replaces what is served while the server runs: what changes, and what came of it."""
