"""
BERT's tokens: words are lower-cased, freed of accents, and cut into pieces of a fixed vocabulary.

The rules are those of the original BERT (Devlin et al., 2018, tokenization.py): the longest piece
from the left is taken again and again, and pieces that go on a word begin with "##".
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LONGEST_WORD = 100
LONGEST_TEXT = 128
# Ideographs stand for words, so each of them is a word of its own.
IDEOGRAPHS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)
ASCII_PUNCTUATION = ((33, 47), (58, 64), (91, 96), (123, 126))


@dataclass(frozen=True, slots=True)
class Batch:
    """Texts as the encoder takes them: three lists of rows of one length, padded with zeros."""

    input_ids: list[list[int]]
    attention_mask: list[list[int]]
    token_type_ids: list[list[int]]


class WordPiece:
    """Cuts texts into numbered pieces of a vocabulary."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._numbers = {piece: number for number, piece in enumerate(vocabulary)}

    @classmethod
    def read(cls, path: Path) -> "WordPiece":
        """Read a vocabulary file, which holds one piece on each line."""
        return cls(path.read_text(encoding="utf-8").splitlines())

    def encode(self, texts: Iterable[str]) -> Batch:
        """Number the pieces of each text, between [CLS] and [SEP]; long texts lose their end."""
        first, last = self._numbers["[CLS]"], self._numbers["[SEP]"]
        rows = [[first, *self.pieces(text)[: LONGEST_TEXT - 2], last] for text in texts]
        longest = max(map(len, rows))
        return Batch(
            [row + [0] * (longest - len(row)) for row in rows],
            [[1] * len(row) + [0] * (longest - len(row)) for row in rows],
            [[0] * longest for _ in rows],
        )

    def pieces(self, text: str) -> list[int]:
        """Number the pieces of one text."""
        return [piece for word in _words(text) for piece in self._cut(word)]

    def _cut(self, word: str) -> list[int]:
        unknown = [self._numbers["[UNK]"]]
        if len(word) > LONGEST_WORD:
            return unknown
        found: list[int] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((e for e in ends if prefix + word[start:e] in self._numbers), None)
            if end is None:
                return unknown
            found.append(self._numbers[prefix + word[start:end]])
            start = end
        return found


def _words(text: str) -> Iterator[str]:
    clean = "".join(_spaced(character) for character in text)
    # Letter by letter, so that a sigma at the end of a word is no other letter than elsewhere.
    for word in "".join(character.lower() for character in clean).split(" "):
        plain = unicodedata.normalize("NFD", word)
        rest = ""
        for character in plain:
            if unicodedata.category(character) == "Mn":
                continue
            if _is_punctuation(character):
                yield from filter(None, (rest, character))
                rest = ""
            else:
                rest += character
        if rest:
            yield rest


def _spaced(character: str) -> str:
    """Drop what cannot be seen, and part ideographs from their neighbours."""
    if character.isspace():
        return " "
    if character == "\ufffd" or unicodedata.category(character).startswith("C"):
        return ""
    return f" {character} " if _within(character, IDEOGRAPHS) else character


def _is_punctuation(character: str) -> bool:
    return _within(character, ASCII_PUNCTUATION) or unicodedata.category(character).startswith("P")


def _within(character: str, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(low <= ord(character) <= high for low, high in ranges)
