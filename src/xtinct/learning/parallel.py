"""Several processes that train one model together, and how they are started.

Every process holds the whole model and takes its part of each batch; the gradients are added up over
all of them. `torchrun` says through the environment how many there are.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed
from torch.distributed.elastic.multiprocessing.errors import record

from xtinct.errors import XtinctError


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
        return bool(self.told(float(answer), device))

    def told(self, number: float, device: torch.device) -> float:
        """The number that the first process has."""
        if self.count == 1:
            return number
        told = torch.tensor([number], dtype=torch.float64, device=device)
        distributed.broadcast(told, src=0)
        return float(told.item())

    def require_same(self, state: object, what: str) -> None:
        """XtinctError that begins with `what`, in every process, unless `state` is the same in all."""
        if self.count == 1:
            return
        states: list = [None] * self.count
        distributed.all_gather_object(states, state)
        other = next((rank for rank, one in enumerate(states) if one != states[0]), None)
        if other is not None:
            raise XtinctError(f"{what}: process 0 has {states[0]}, process {other} has {states[other]}")


@contextmanager
def processes(device: torch.device) -> Iterator[Processes]:
    """The processes that torchrun started, joined; a single one without it.

    `device`: cpu, or cuda, which then stands for a GPU of each process's own. XtinctError for a process
    without one.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
        return
    if device.type == "cuda":
        local, n_gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local >= n_gpus:
            raise XtinctError(
                f"train.processes: each needs a GPU of its own, but torch finds {n_gpus} for process "
                f"{local} (from 0) of this machine"
            )
        torch.cuda.set_device(local)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(distributed.get_rank(), count)
    finally:
        distributed.destroy_process_group()


def log_messages(files: Iterable[str] = ()) -> None:
    """Send messages to stderr and to the end of `files`: all of the first process, warnings of the others."""
    rank = int(os.environ.get("RANK", "0"))
    handlers = [*(logging.FileHandler(path, encoding="utf-8") for path in files), logging.StreamHandler()]
    logging.basicConfig(
        level=logging.WARNING if rank else logging.INFO,
        format=f"%(asctime)s process {rank}: %(message)s" if rank else "%(asctime)s %(message)s",
        handlers=handlers,
    )


def launch(function: Callable[..., object], settings: Mapping[str, object], count: int) -> None:
    """Call function(**settings) in `count` processes of this machine, as torchrun starts them.

    A single one is this process, and so is one that torchrun has started: `count` is then torchrun's
    matter. Messages of the first process, and warnings of all, go where those of this process go. A
    process that fails ends the others, and its error is an XtinctError here.
    """
    if count == 1 or "WORLD_SIZE" in os.environ:
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
    log_messages(log_files)
    function(**settings)
