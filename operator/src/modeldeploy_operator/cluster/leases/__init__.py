"""
Who of several operators acts.
"""
