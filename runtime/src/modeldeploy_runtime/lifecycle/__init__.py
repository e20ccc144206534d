"""Brings wanted versions into service and unwanted ones out of it, with no request lost."""
