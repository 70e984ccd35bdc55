"""JSON out of a file that may have been damaged, or made to harm."""

import json
from pathlib import Path
from typing import Any

from xtinct.errors import XtinctError
from xtinct.files.writing import fault_of

#: Largest file, bytes; the largest that a build writes has a few megabytes.
_LARGEST = 256 * 2**20


def read_json(path: str | Path, expected: str = "") -> Any:
    """Content of a JSON file; XtinctError naming it where it is missing, too large or no JSON.

    `expected`: what to do, for the message where there is no such file.
    """
    hint = f"; {expected}" if expected else ""
    try:
        if (size := Path(path).stat().st_size) > _LARGEST:
            raise XtinctError(f"{path}: {size:,} bytes, which no file of the project has; not read")
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise XtinctError(f"{path}: no such file{hint}") from None
    except OSError as error:
        raise XtinctError(f"{path}: cannot be read ({fault_of(error)})") from None
    except RecursionError:
        raise XtinctError(f"{path}: not readable JSON (nested too deep)") from None
    except ValueError as error:  # of the encoding, of the syntax, or of a number of thousands of digits
        raise XtinctError(f"{path}: not readable JSON ({str(error).splitlines()[0]})") from None
