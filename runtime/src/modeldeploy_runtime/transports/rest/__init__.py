"""REST, as TensorFlow Serving speaks it."""
