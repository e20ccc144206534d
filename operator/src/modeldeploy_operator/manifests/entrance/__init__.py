"""
What clients come in by: the routers, the routes of a Gateway, and the configuration of both.
"""
