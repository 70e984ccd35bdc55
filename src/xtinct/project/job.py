"""The body of a workflow script, and errors as one line.

Imports nothing but the standard library: the job that runs cctbx may load nothing compiled before it.
"""

import errno
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xtinct.errors import XtinctError
from xtinct.extras import naming_extra
from xtinct.files.writing import fault_of

#: Full, over quota, over a size limit, read-only, failing.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn an XtinctError, a missing package, a full disk or memory into one line and exit status 2."""
    try:
        with _faults_of_the_machine(), naming_extra():
            yield
    except XtinctError as error:
        print(f"xtinct: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


@contextmanager
def _faults_of_the_machine() -> Iterator[None]:
    """Turn a full disk or memory into an XtinctError, wherever it came up."""
    try:
        yield
    except MemoryError as error:
        raise XtinctError(
            f"not enough memory ({str(error).splitlines()[0] if str(error) else 'no more is given'}); "
            "run fewer jobs at a time (--cores), or raise the limit under which this one runs"
        ) from None
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        where = error.filename or "a temporary file (in TMPDIR) or one of a library"
        raise XtinctError(f"{where}: {fault_of(error)}") from None


class _NoPandas:
    """A finder of modules that finds no pandas."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas", name=name)


def spare_pandas() -> None:
    """Let pyarrow do without pandas, which it loads at its first array only to tell a series from a list.

    That takes half a second of every process, and no table here is of pandas. pyarrow asks once; `import
    pandas`, and `to_pandas`, find it all the same.
    """
    arrow = sys.modules.get("pyarrow")
    if arrow is None or "pandas" in sys.modules:
        return
    sys.meta_path.insert(0, _NoPandas)
    try:
        arrow.array([])
    finally:
        sys.meta_path.remove(_NoPandas)


@contextmanager
def job(log: Iterable[str]) -> Iterator[None]:
    """Run the body of a workflow script: messages and errors go to the first file of `log` and to stderr.

    An XtinctError ends the job with its line; any other error is a bug and keeps its traceback.
    """
    path = Path(next(iter(log)))
    with one_line_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        # A new log, to whose end every process of the job appends: none overwrites another's lines.
        path.write_bytes(b"")
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", handlers=[handler, logging.StreamHandler()]
    )
    logging.captureWarnings(True)
    spare_pandas()
    try:
        with one_line_errors():
            try:
                with _faults_of_the_machine(), naming_extra():
                    yield
            except XtinctError as error:
                with suppress(OSError):  # the log's own disk may be the full one
                    handler.stream.write(f"error: {error}\n")
                    handler.flush()
                raise
    except Exception:
        logging.getLogger(__name__).exception("the job failed")
        raise
    finally:
        with suppress(OSError):
            handler.close()
