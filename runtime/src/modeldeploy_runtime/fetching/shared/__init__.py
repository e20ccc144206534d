"""A folder that fetches in several pods share."""
