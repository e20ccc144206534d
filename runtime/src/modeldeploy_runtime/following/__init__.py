"""Keeps a folder in step with a list of versions, for pods whose versions change while they run."""
