"""
The thin shell: HAProxy's process and socket, the Kubernetes API, DNS, files, and the loop that joins them to `core`.
"""
