"""A model server in Python that speaks TensorFlow Serving's REST and gRPC."""

__version__ = "0.1.0"
