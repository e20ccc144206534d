"""
The thin shell: HAProxy, the Kubernetes API, DNS, files, and the loop that joins them to `core`.
"""
