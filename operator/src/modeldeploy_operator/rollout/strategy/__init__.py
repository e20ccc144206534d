"""
What tells one strategy from another: its steps, how much it may run at once, and its pools' sizes.

The rest of the room knows no strategy by name. `schedules` turns each into the same few values,
and `turns` says how much of the next step there is room for.
"""
