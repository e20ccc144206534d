"""
A package that adds a kind of model and a source of versions to modeldeploy-server.
"""
