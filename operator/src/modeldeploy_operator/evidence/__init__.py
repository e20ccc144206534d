"""
What pods and routers say, turned into the values that decisions look at.
"""
