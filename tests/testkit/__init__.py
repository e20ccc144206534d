"""
What tests share: builders, imitations of what the operator talks to, and the trace printer.
"""
