"""Where questions wait: a few workers answer them in turn, each within its time, each in its own process.

A worker is a process pool of one, so that one that dies takes nothing with it but the question it had.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import secrets
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool

from xtinct.app.questions import PageQuestion
from xtinct.errors import XtinctError

#: Most questions that wait, and answers that are kept for being fetched.
MOST_WAITING, MOST_KEPT = 8, 20

_log = logging.getLogger(__name__)


def _prepare(database: str | None) -> None:
    """Imported where it runs: the server itself computes nothing, so it starts at once and stays small."""
    from xtinct.app.answering import prepare

    prepare(database)


def _is_ready() -> bool:
    """Nothing but a first task, for which a worker has to be there."""
    return True


def _answer_file(path: str, question: PageQuestion, database: str | None) -> dict[str, Any]:
    from xtinct.app.answering import answer_file

    return answer_file(path, question, database)


@dataclass
class Ticket:
    """A question and what has become of it.

    state   waiting, running or done
    result  of `answering.answer_file`, None until it is there
    """

    key: str
    path: Path
    question: PageQuestion
    state: str = "waiting"
    result: dict[str, Any] | None = None
    future: Future | None = None
    taken_back: bool = field(default=False)


class Desk:
    """Questions and their answers. An asynchronous context; used from one event loop alone.

    database    file of known structures, None without
    workers     processes that answer
    time_limit  seconds that an answer may take
    """

    def __init__(self, database: str | None, workers: int, time_limit: float):
        self.database, self.time_limit = database, time_limit
        self._workers = workers
        self._tickets: dict[str, Ticket] = {}
        self._queue: asyncio.Queue[Ticket] = asyncio.Queue()
        self._tasks: list[asyncio.Task] = []

    async def __aenter__(self) -> "Desk":
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._workers)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def is_full(self) -> bool:
        """Whether no further question can wait."""
        return sum(ticket.state == "waiting" for ticket in self._tickets.values()) >= MOST_WAITING

    def hand_in(self, path: Path, question: PageQuestion) -> str:
        """The key of a new question on a file, which is removed when the answer is there.

        XtinctError where too many wait.
        """
        if self.is_full:
            raise XtinctError(f"{MOST_WAITING} questions wait already; ask again when some are answered")
        ticket = Ticket(secrets.token_urlsafe(18), path, question)
        self._tickets[ticket.key] = ticket
        self._queue.put_nowait(ticket)
        return ticket.key

    def state_of(self, key: str) -> dict[str, Any] | None:
        """What has become of a question: its state, how many are before it, its result; None if unknown."""
        ticket = self._tickets.get(key)
        if ticket is None:
            return None
        keys = list(self._tickets)
        before = [self._tickets[other] for other in keys[: keys.index(key)]]
        said: dict[str, Any] = {"state": ticket.state, "name": ticket.question.name}
        if ticket.state == "waiting":
            said["before"] = sum(other.state != "done" for other in before)
        if ticket.result is not None:
            said |= {name: value for name, value in ticket.result.items() if name != "picture"}
            said["has_picture"] = bool(ticket.result.get("picture"))
        return said

    def answered(self, key: str) -> Ticket | None:
        """The question with its whole result, None while there is none."""
        ticket = self._tickets.get(key)
        return None if ticket is None or ticket.result is None else ticket

    def take_back(self, key: str) -> bool:
        """Forget a question; whatever works on it is stopped. False if there is none."""
        ticket = self._tickets.pop(key, None)
        if ticket is None:
            return False
        ticket.taken_back = True
        if ticket.future is not None:
            ticket.future.cancel()
        ticket.path.unlink(missing_ok=True)
        return True

    async def _work(self) -> None:
        """Answer one question after another, as long as the desk is open."""
        pool = self._new_pool()
        try:
            while True:
                ticket = await self._queue.get()
                if ticket.taken_back:
                    continue
                if not await _works(pool):
                    _close(pool)
                    pool = self._new_pool()
                if ticket.taken_back:
                    continue
                ticket.state = "running"
                result = await self._answer(pool, ticket)
                ticket.path.unlink(missing_ok=True)
                ticket.state, ticket.result, ticket.future = "done", result, None
                self._forget_the_oldest()
        finally:
            _close(pool)

    async def _answer(self, pool: ProcessPool, ticket: Ticket) -> dict[str, Any]:
        """The result of a question, whatever happens to the worker."""
        arguments = (str(ticket.path), ticket.question, self.database)
        try:
            ticket.future = pool.schedule(_answer_file, args=arguments, timeout=self.time_limit)
        except RuntimeError as error:  # the worker died since it was last looked at
            return _ended(error)
        try:
            return await asyncio.wrap_future(ticket.future)
        except asyncio.CancelledError:
            if ticket.taken_back:
                return _failed("taken back")
            raise
        except TimeoutError:
            return _failed(
                f"no answer within {self.time_limit:g} s, so the work was ended; a known family or elements "
                "make it shorter, and the first answers after an installation are the longest: ask again"
            )
        except (ProcessExpired, BrokenProcessPool) as error:
            return _ended(error)
        except Exception as error:  # a bug must not stop the page, and is not hidden
            _log.error("%s: %s", ticket.question.name, getattr(error, "traceback", error))
            return _failed(
                f"a fault of xtinct ({type(error).__name__}); its terminal shows more, please report it"
            )

    def _new_pool(self) -> ProcessPool:
        """A worker that begins at once to get ready. Spawned: a fork would copy the server's threads."""
        pool = ProcessPool(
            max_workers=1,
            initializer=_prepare,
            initargs=(self.database,),
            context=multiprocessing.get_context("spawn"),
        )
        pool.schedule(_is_ready)
        return pool

    def _forget_the_oldest(self) -> None:
        done = [key for key, ticket in self._tickets.items() if ticket.state == "done"]
        for key in done[:-MOST_KEPT]:
            del self._tickets[key]


async def _works(pool: ProcessPool) -> bool:
    """Whether the worker answers: one that died while it was idle is replaced before it costs a question."""
    if not pool.active:
        return False
    try:
        await asyncio.wrap_future(pool.schedule(_is_ready))
    except (ProcessExpired, BrokenProcessPool, RuntimeError):
        return False
    return True


def _close(pool: ProcessPool) -> None:
    pool.stop()
    with contextlib.suppress(RuntimeError):
        pool.join()


def _ended(error: Exception) -> dict[str, Any]:
    _log.warning("a worker ended: %s", error)
    return _failed(
        "the process that worked on this pattern was ended from outside, mostly for want of memory; "
        "ask again, or cut the range"
    )


def _failed(text: str) -> dict[str, Any]:
    return {"error": text, "needs": None, "scans": []}
