"""Sources find versions and say which of them are wanted."""
