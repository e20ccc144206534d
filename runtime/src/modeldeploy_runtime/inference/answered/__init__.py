"""What has come of an inference: as values for whoever records it, and as messages."""
