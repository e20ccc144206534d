"""gRPC, as TensorFlow Serving speaks it."""
