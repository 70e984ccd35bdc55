"""numba's compiler with its cache on disk, or without one where no folder can be written."""

import logging
from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import IndexDataCacheFile

_LOG = logging.getLogger(__name__)
#: Whether the message about the missing cache was given.
_told = False


def njit(*, cache: bool = True, **options: Any) -> Callable[[Callable], Callable]:
    """`numba.njit`; with `cache`, compiled code is kept beside the module or in numba's cache folder.

    In an installation that cannot be written, without a folder for caches either, code is compiled in
    every process instead, and that is said once.
    """

    def compiled(function: Callable) -> Callable:
        if cache and not _told:
            try:
                return _with_tolerant_index(numba.njit(cache=True, **options)(function))
            except RuntimeError as error:
                if "cannot cache function" not in str(error):
                    raise
                _tell()
        return numba.njit(**options)(function)

    return compiled


class _TolerantIndex(IndexDataCacheFile):
    """Numba's index of compiled code, empty where it names a class that stands elsewhere since an update."""

    def _load_index(self) -> dict:
        try:
            return super()._load_index()
        except (ImportError, AttributeError):
            return {}


def _with_tolerant_index(compiled: Callable) -> Callable:
    index = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if index is not None:
        index.__class__ = _TolerantIndex
    return compiled


def _tell() -> None:
    global _told
    _told = True
    _LOG.warning(
        "compiled code cannot be kept: neither the folder of the installation nor the one for caches "
        "can be written, so every process compiles anew, for up to a minute; set NUMBA_CACHE_DIR to a "
        "folder that can be written"
    )
