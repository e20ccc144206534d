"""
The router of modeldeploy: HAProxy, and the agent that keeps it current.

`core` only computes; `shell` holds the threads, sockets and processes; `app` puts them together.
The agent needs nothing but Python's standard library.
"""
