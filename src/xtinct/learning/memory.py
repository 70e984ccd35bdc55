"""Work on a batch that goes on in smaller parts where memory runs out."""

import logging
from collections.abc import Callable
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
