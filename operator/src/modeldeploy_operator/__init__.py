"""
The operator of modeldeploy; ARCHITECTURE.md has the picture and the glossary.
"""
