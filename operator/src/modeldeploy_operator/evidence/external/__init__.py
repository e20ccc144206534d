"""
Asking others about a canary: Prometheus and web servers over HTTP, Jobs by how they ended.
"""
