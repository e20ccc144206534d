"""
What the operator says of its work: events, metrics and logs.
"""
