"""
The only door to Kubernetes: reading, applying, and nothing else.
"""
