"""
Between the wire and numpy: JSON values and TensorProtos in, arrays out, and back.

A pure room: it computes, reads no file and holds no state.  Of the wire it knows the message
classes of ``modeldeploy_runtime.protos``.
"""
