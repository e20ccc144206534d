"""Logs and metrics; told by others what happened, asks nobody."""
