"""
Words that must stay short, as they are kept in a status.
"""


def clip(message: str, limit: int) -> str:
    """
    Cut a message to so many bytes of UTF-8; a cut shows as `…`.
    """
    encoded = message.encode()
    if len(encoded) <= limit:
        return message
    return encoded[: limit - 3].decode(errors="ignore") + "…"
