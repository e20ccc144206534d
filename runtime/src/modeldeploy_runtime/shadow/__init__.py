"""
Shadow traffic: a sample of the answered requests is asked of another version, and compared.

Whoever answers a request hands over references after the client has its answer; a bounded queue and
a few threads do the rest.  What does not fit, or cannot be asked, is skipped and counted.
"""
