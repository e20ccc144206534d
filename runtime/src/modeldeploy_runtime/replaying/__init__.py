"""Asks a server what another one was asked, and compares what both answered."""
