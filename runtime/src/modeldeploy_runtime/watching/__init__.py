"""
``modeldeploy-server watch``: says which versions of a model are complete in a storage.

It runs in a small pod of its own that holds the storage's credentials, so that whoever acts on what
it finds needs none.
"""
