"""Which format a content is, by its own marks and never by the name of its file."""

from collections.abc import Callable

from xtinct.measurements.columns import read_columns
from xtinct.measurements.records import Scan

BinaryReader = Callable[[bytes, str], list[Scan]]
TextReader = Callable[[str, str, str], list[Scan]]


def binary_reader(data: bytes) -> BinaryReader | None:
    """The reader of a content that is no text, None if it may be text."""
    return None


def text_reader(text: str, suffix: str) -> TextReader:
    """The reader of a text; columns if nothing else is recognised."""
    return read_columns
