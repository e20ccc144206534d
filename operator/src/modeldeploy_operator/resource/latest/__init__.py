"""
What `version: latest` stands for.
"""
