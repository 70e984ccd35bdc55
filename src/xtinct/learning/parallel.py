"""Several processes that train one model together, and how they are started.

Every process holds the whole model and takes its part of each batch; the gradients are added up over
all of them. `torchrun` says through the environment how many there are.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed
from torch.distributed.elastic.multiprocessing.errors import record

from xtinct.errors import XtinctError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Processes:
    """This process, number `rank` of `count`."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and messages."""
        return self.rank == 0

    def add_up(self, tensors: list[torch.Tensor]) -> None:
        """Replace each tensor (of any dtype, float32 in transit) by its sum over all processes."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.reshape(-1).float() for tensor in tensors])
        distributed.all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def agree(self, answer: bool, device: torch.device) -> bool:
        """What the first process answers."""
        if self.count == 1:
            return answer
        told = torch.tensor([float(answer)], device=device)
        distributed.broadcast(told, src=0)
        return bool(told.item())


@contextmanager
def processes() -> Iterator[Processes]:
    """The processes that torchrun started, joined; a single one without it."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Processes(distributed.get_rank(), count)
    finally:
        distributed.destroy_process_group()


def launch(function: Callable[..., object], settings: Mapping[str, object], count: int) -> None:
    """Call function(**settings) in `count` processes of this machine, as torchrun starts them.

    A single one is this process. Messages of the first go where those of this process go. A process
    that fails ends the others, and its error is an XtinctError here.
    """
    if count == 1:
        function(**settings)
        return
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    files = [h.baseFilename for h in logging.getLogger().handlers if isinstance(h, logging.FileHandler)]
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id="xtinct",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method="spawn",
    )
    try:
        elastic_launch(config, _work)(function, dict(settings), files)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        message = failure.message["message"] if isinstance(failure.message, dict) else failure.message
        message = message.removeprefix("XtinctError: ")
        raise XtinctError(f"process {rank} of {count}: {message}") from None


@record
def _work(function: Callable[..., object], settings: dict, log_files: list[str]) -> None:
    if os.environ["RANK"] == "0":
        handlers = [logging.FileHandler(path, encoding="utf-8") for path in log_files]
        logging.basicConfig(
            level=logging.INFO,
            format="%(asctime)s %(message)s",
            handlers=[*handlers, logging.StreamHandler()],
        )
    function(**settings)
