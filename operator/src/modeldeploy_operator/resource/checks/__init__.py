"""
What a user may write about the checks of a canary: what is counted, and what others are asked.
"""
