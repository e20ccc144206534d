"""Loaders: each makes something that answers requests out of one version's files."""
