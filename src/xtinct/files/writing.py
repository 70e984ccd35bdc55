"""Files that appear under their name whole or not at all, and faults of the disk as one line.

Imports nothing but the standard library: jobs that may load nothing compiled write with it too.
"""

import csv
import glob
import io
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from xtinct.errors import XtinctError


def fault_of(error: OSError) -> str:
    """What the operating system says in an OSError, in its own words and without a number."""
    return os.strerror(error.errno) if error.errno else str(error).splitlines()[0]


@contextmanager
def naming(path: str | Path, doing: str = "cannot be written") -> Iterator[None]:
    """Turn an OSError of the body into an XtinctError that names `path`."""
    try:
        yield
    except OSError as error:
        raise XtinctError(f"{path}: {doing} ({fault_of(error)})") from None


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A new empty file beside `path` to write to; it takes the name `path` when the body ends.

    Its permissions are those of any new file (umask). After a fault nothing is left of it, and what a
    killed process left has a hidden name that ends in .part, and goes when the file is written again.
    """
    path = Path(path)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
            left.unlink(missing_ok=True)  # of a process that was killed
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
        temporary.touch(exist_ok=False)
    try:
        yield temporary
        with naming(path):
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all; XtinctError naming it where the disk does not take it."""
    with written_whole(path) as temporary, naming(path):
        temporary.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Write a text as UTF-8 with its line ends as they are, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, content: object, *, indent: int | None = 2, sort_keys: bool = True) -> None:
    """Write JSON that ends with a line end, whole or not at all."""
    write_text(path, json.dumps(content, indent=indent, sort_keys=sort_keys) + "\n")


def csv_text(rows: Sequence[Mapping[str, object]], columns: Sequence[str] | None = None) -> str:
    """Rows as CSV with a header: the `columns`, or those of the first row; nothing for no rows."""
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(columns or rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_csv(
    path: str | Path, rows: Sequence[Mapping[str, object]], columns: Sequence[str] | None = None
) -> None:
    """Write `csv_text` of the rows, whole or not at all."""
    write_text(path, csv_text(rows, columns))
