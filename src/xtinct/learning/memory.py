"""Memory of a network's work: kept from step to step, and smaller parts of a batch where it runs out."""

import ctypes
import logging
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch

from xtinct.errors import XtinctError

log = logging.getLogger(__name__)

T = TypeVar("T")

#: How torch, CUDA and its libraries say in a RuntimeError that they could not allocate memory.
_MESSAGES = (
    "can't allocate memory",  # torch's allocator on a CPU; "not enough memory" outside of Linux
    "not enough memory",
    "could not create a primitive",  # oneDNN on a CPU, whose reason does not come through
    "could not create a memory object",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "ALLOCATION_FAILED",  # CUDNN_STATUS_INTERNAL_ERROR_{HOST,DEVICE}_ALLOCATION_FAILED of cuDNN 9
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory could not be allocated: torch's on any device, or numpy's and Python's."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error) for message in _MESSAGES)


@dataclass
class Portion:
    """How many patterns go through a model at a time; fewer once they did not fit into memory.

    size      patterns at a time, a multiple of `multiple`
    device    what computes
    limit     what keeps `multiple` above 1, for the message that nothing smaller is left
    """

    size: int
    device: torch.device
    multiple: int = 1
    limit: str = ""

    def fitted(self, work: Callable[[int], T]) -> T:
        """work(size), again with half the size as often as memory runs out.

        `work` must give the same for every size and start from the beginning each time. XtinctError if
        the smallest size does not fit either.
        """
        while True:
            try:
                return work(self.size)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Only now are the tensors free that the error's traceback held.
            smaller = self.size // 2 // self.multiple * self.multiple
            if not smaller:
                raise XtinctError(
                    f"out of memory with {self.size} patterns at a time on {self.device}, the least that "
                    f"{self.limit or 'there is'}; choose a smaller model"
                )
            log.warning(
                "out of memory with %d patterns at a time; going on with %d, to the same result up to "
                "rounding (and other dropout masks, where the model has any)",
                self.size, smaller,
            )  # fmt: skip
            self.size = smaller
            if self.device.type == "cuda":
                torch.cuda.empty_cache()


#: Numbers of glibc's mallopt(3): bytes of an array that has a mapping of its own, which is given back when it
#: is freed, and free bytes that are given back. Afterwards they are the largest that glibc chooses by itself.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
_AFTERWARDS = {_MMAP_THRESHOLD: 2**25, _TRIM_THRESHOLD: 2**26}


@contextmanager
def memory_kept() -> Iterator[None]:
    """Freed memory of the CPU stays with the process for the next step, and goes back at the end.

    glibc returns large arrays to Linux when they are freed, and every step pays again for pages filled with
    zeros: up to half of the time of a recurrent network. Keeping them takes more memory, up to twice as much
    for such a network. Arrays of more than a 32nd of the machine's memory go back all the same: few of them
    kept in vain would fill it. Nothing is done where there is no glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    c = ctypes.CDLL(None)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    c.mallopt(_MMAP_THRESHOLD, min(max(memory // 32, _AFTERWARDS[_MMAP_THRESHOLD]), 2**31 - 1))
    c.mallopt(_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        for parameter, afterwards in _AFTERWARDS.items():
            c.mallopt(parameter, afterwards)
        c.malloc_trim(0)
