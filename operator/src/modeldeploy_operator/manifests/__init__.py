"""
The Kubernetes objects: a pure room.

`plan.build_plan` returns the whole set that a decision asks for; what is left out of it goes. The
objects are plain dicts, built by one function for each kind; names and labels come from `names`.
"""
