"""Run a function over many items in a process of its own, so that one bad item costs only itself.

Compiled parsers and symmetry finders can hang or crash on an input. The worker is started as a
plain subprocess, not by `multiprocessing`: neither the caller's main script is imported again, nor
are its threads and locks copied.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from typing import Any

from xtinct.errors import XtinctError

#: Items handed over at a time: enough that the worker rarely waits.
_CHUNK = 32
#: Seconds for a worker to import what it needs.
_START_LIMIT = 300.0


@dataclass(frozen=True)
class Outcome:
    """What became of one item: `result`, or a `failure` (crashed, timeout or exception) with `detail`."""

    item: Any
    result: Any = None
    failure: str | None = None
    detail: str = ""


def isolated_map(
    function: Callable[[Any], Any], items: Iterable[Any], *, time_limit: float
) -> Iterator[Outcome]:
    """Outcomes of `function` over `items`, in their order, one each.

    `function` and the items must be picklable, the function importable by its module's name.
    `time_limit`: seconds for one item; after that the worker is replaced and the item fails.
    An item whose worker was killed (SIGKILL: by hand, or for memory that others took) has a second try, so
    that it is not the item that fails for it.
    XtinctError if a worker cannot start.
    """
    worker = _Worker(function)
    try:
        for chunk in _chunks(items):
            second_try = False
            while chunk:
                if worker.process.poll() is not None:  # it was killed while it was idle
                    worker.kill()
                    worker = _Worker(function)
                worker.connection.send(chunk)
                for i, item in enumerate(chunk):
                    outcome = worker.receive(item, time_limit)
                    if worker.process.returncode == -signal.SIGKILL and not (second_try and i == 0):
                        worker.kill()
                        worker = _Worker(function)
                        chunk, second_try = chunk[i:], True
                        break
                    yield outcome
                    if outcome.failure in ("crashed", "timeout"):
                        worker.kill()
                        worker = _Worker(function)
                        chunk, second_try = chunk[i + 1 :], False
                        break
                else:
                    chunk = []
    finally:
        worker.kill()


def _chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


class _Worker:
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.connection, theirs = Pipe()
        # `-c` and not `-m`: this module is already imported by its package in the child.
        code = "import sys; from xtinct.structures.isolated import serve; serve(int(sys.argv[1]))"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # The order of sets of strings is then the same in every worker.
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
        theirs.close()
        try:
            self.connection.send_bytes(pickle.dumps(function))
            ready = self.connection.poll(_START_LIMIT) and self.connection.recv() == "ready"
        except (EOFError, OSError):
            ready = False
        if not ready:
            self.kill()
            raise XtinctError(f"worker process for {function} did not start (see the messages above)")

    def receive(self, item: Any, time_limit: float) -> Outcome:
        try:
            if not self.connection.poll(time_limit):
                return Outcome(item, failure="timeout", detail=f"no result within {time_limit:g} s")
            kind, value = self.connection.recv()
        except (EOFError, OSError):
            code = self.process.wait()
            return Outcome(item, failure="crashed", detail=f"the worker process ended with code {code}")
        if kind == "exception":
            return Outcome(item, failure="exception", detail=value)
        return Outcome(item, result=value)

    def kill(self) -> None:
        self.connection.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()


def serve(descriptor: int) -> None:
    """The worker's loop: chunks of items come in, one answer per item goes out."""
    connection = Connection(descriptor)
    function = pickle.loads(connection.recv_bytes())
    connection.send("ready")
    while True:
        try:
            chunk = connection.recv()
        except EOFError:
            # Skips the clean-up of compiled libraries, which may hang after a fault.
            os._exit(0)
        for item in chunk:
            try:
                answer = ("result", function(item))
            except Exception as error:
                text = " ".join(str(error).split())
                answer = ("exception", f"{type(error).__name__}: {text}"[:500])
            connection.send(answer)
