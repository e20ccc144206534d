"""What can be wrong with a model that is looked at."""


class InspectionError(Exception):
    """It cannot be described; the message is a sentence for the person who asked."""
