"""
A claim that the pods of an object share: a folder for each revision, and its removal.
"""
