"""
The rollout: a pure room.

Nothing here reads a clock, talks to a cluster, logs, or draws a random number; everything is a
function of values. `decide.decide(wanted, memory, seen, now)` is the way in; the other modules
are its parts. That is why a rollout can be simulated thousands of times a minute.
"""
