"""
What belongs to ModelDeployments, in memory: watches, and the door that answers from them.
"""
