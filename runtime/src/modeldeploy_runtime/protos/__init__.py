"""
The messages of the wire, in a descriptor pool of their own.

The ``.proto`` files beside this module are compiled into one descriptor set, ``messages.pb``, which
is committed (``python -m modeldeploy_runtime.protos.generate`` makes it anew).  The set is loaded
into a private pool: a process may hold these classes and those of an installed TensorFlow or
``tensorflow-serving-api`` side by side, and none of them needs TensorFlow.
"""
