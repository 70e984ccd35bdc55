"""numba's compiler with its cache on disk, or without one where no folder can be written."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.extending import register_jitable

try:
    import fcntl
except ImportError:  # not on Windows, where every process compiles for itself
    fcntl = None

#: Seconds after which a process compiles what another one has been compiling all that time.
_PATIENCE = 120.0
_LOG = logging.getLogger(__name__)
#: Whether the message about the missing cache was given.
_told = False


def njit(*, cache: bool = True, **options: Any) -> Callable[[Callable], Callable]:
    """`numba.njit`; with `cache`, compiled code is kept beside the module or in numba's cache folder.

    In an installation that cannot be written, without a folder for caches either, code is compiled in
    every process instead, and that is said once. None can be called from C or handed over as a function:
    the code for that would be a twentieth of what is compiled.
    """
    options = {"no_cfunc_wrapper": True, **options}

    def compiled(function: Callable) -> Callable:
        if cache and not _told:
            try:
                return _shared(numba.njit(cache=True, **options)(function))
            except RuntimeError as error:
                if "cannot cache function" not in str(error):
                    raise
                _tell()
        return numba.njit(**options)(function)

    return compiled


@register_jitable
def assign(out, values):
    """Write `values` (n,) into the first elements of `out` in compiled code.

    `out[:] = values` does the same, but compiles the text of its error too, for two seconds in each process.
    """
    for i in range(values.size):
        out[i] = values[i]


class _TolerantIndex(IndexDataCacheFile):
    """Numba's index of compiled code, empty where it names a class that stands elsewhere since an update."""

    def _load_index(self) -> dict:
        try:
            return super()._load_index()
        except (ImportError, AttributeError):
            return {}


class _SharedCache(FunctionCache):
    """Numba's cache of one function, in which one process compiles what several ask for at once.

    The others wait and load it; without that each compiles for itself. A process that is killed gives its
    turn back, and one that fails to compile keeps it until it ends: nobody waits longer than _PATIENCE.
    """

    #: Open while this process compiles the function.
    _turn: int | None = None

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = super().load_overload(sig, target_context)
        if found is None and self._turn is None and self._take_turn():
            found = super().load_overload(sig, target_context)
            if found is not None:
                self._end_turn()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        finally:
            self._end_turn()

    def _take_turn(self) -> bool:
        """Wait until no other process compiles the function; False where that cannot be told."""
        if fcntl is None:
            return False
        try:
            self._impl.locator.ensure_cache_path()
            self._turn = os.open(self._turn_file(), os.O_CREAT | os.O_RDONLY, 0o666)
        except OSError:
            return False
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            try:
                fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:  # a file system without locks
                break
        self._end_turn()
        return False

    def _turn_file(self) -> Path:
        return Path(self._cache_path, f"{self._impl.filename_base}.lock")

    def _end_turn(self) -> None:
        if self._turn is not None:
            os.close(self._turn)
            self._turn = None


def _shared(compiled: Callable) -> Callable:
    cache = getattr(compiled, "_cache", None)
    if isinstance(cache, FunctionCache):
        cache.__class__ = _SharedCache
        cache._cache_file.__class__ = _TolerantIndex
    return compiled


def _tell() -> None:
    global _told
    _told = True
    _LOG.warning(
        "compiled code cannot be kept: neither the folder of the installation nor the one for caches "
        "can be written, so every process compiles anew, for up to a minute; set NUMBA_CACHE_DIR to a "
        "folder that can be written"
    )
