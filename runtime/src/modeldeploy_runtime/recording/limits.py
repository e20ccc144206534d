"""How much of a log is held, and how much goes into one file."""

from dataclasses import dataclass

# A version reads at most so many warm-up records, and a file of a log must be usable as such.
MAX_RECORDS = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """
    The same for every log.

    A file ends when the next record would make it larger than ``file_bytes``, when it holds
    ``MAX_RECORDS``, or ``file_seconds`` after its first record.  ``queued`` records of together
    ``queued_bytes`` wait at most, and a record larger than ``record_bytes`` is dropped.
    """

    file_bytes: int = 64 << 20
    file_seconds: float = 60.0
    queued: int = 1000
    queued_bytes: int = 64 << 20
    record_bytes: int = 16 << 20
