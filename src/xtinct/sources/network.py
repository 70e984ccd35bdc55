"""What all network sources share: patient requests, a cache that survives faults, progress.

Every answer that was received whole is put into the cache at once, so a pull that ends for whatever
reason goes on where it stopped. A request is repeated with growing pauses for a configured time; a
server that does not recover within it ends the pull with one line.
"""

import email.utils
import html
import logging
import math
import re
import sqlite3
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_any, stop_before_delay
from tqdm import tqdm

from xtinct.errors import XtinctError

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)

#: Answers that may be different a little later.
_PASSING = {408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524}
#: A refusal, as a rule; yet a busy gate in front of a database gives it as well.
_FORBIDDEN = 403
#: Tries of a request whose fault seldom passes: a refusal as above, or a wrong answer of a sound server.
FEW_TRIES = 4
#: Largest answer, bytes, after decompression; a page of a thousand structures has a few megabytes.
LARGEST_ANSWER = 256 * 2**20
#: Likewise of the COD's list of all its entries at once.
LARGEST_LIST = 2 * 2**30
#: Entries that a database may announce; the largest known has a few million.
MOST_ENTRIES = 100_000_000
#: Request headers whose value must not be seen anywhere.
_SECRET_HEADERS = ("x-api-key", "Authorization")
#: Keys handed to SQLite at a time; its limit of parameters is larger in every version.
_KEYS_AT_A_TIME = 500
#: Seconds between two lines of progress in a log.
_LOG_SECONDS = 60.0


class FailedError(Exception):
    """A request that may succeed when it is repeated.

    retry_after   seconds to wait first, if the server says so
    tries         how often it is worth trying; without it, as long as patience lasts
    """

    def __init__(self, reason: str, retry_after: float = 0.0, tries: float = math.inf) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.tries = tries


class RefusedError(Exception):
    """A request that the server will never grant; `status` is its HTTP status."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


class ForbiddenError(FailedError):
    """HTTP 403: a refusal, unless a gate in front of the server is only busy."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, tries=FEW_TRIES)


@dataclass(frozen=True)
class ServerLimits:
    """How a server is treated: the `network` block of a source.

    timeout    seconds for one answer, from the first byte sent to the last one received
    patience   seconds for which one request may go on failing before the pull ends
    backoff    first and longest pause between two tries, seconds; it doubles each time
    rate       requests per second, at most
    parallel   requests under way at the same time, at most
    """

    timeout: float
    patience: float
    backoff: tuple[float, float]
    rate: float
    parallel: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "ServerLimits":
        """The limits of a source's configuration."""
        network = config["network"]
        return cls(**{**network, "backoff": tuple(network["backoff"])})


class Session(requests.Session):
    """A session whose answers are whole, in time and successful; otherwise FailedError or RefusedError."""

    def __init__(self, limits: ServerLimits, gate: "Gate", largest: int | None = None) -> None:
        super().__init__()
        self.headers["User-Agent"] = "xtinct (structures for powder diffraction)"
        adapter = _WholeAnswers(limits, gate, largest or LARGEST_ANSWER)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def mount(self, prefix: str, adapter: requests.adapters.BaseAdapter) -> None:
        """Keep our own adapters: clients that are given a session like to mount theirs."""
        if isinstance(adapter, _WholeAnswers) or prefix not in self.adapters:
            super().mount(prefix, adapter)


class Gate:
    """Lets requests through at a limited rate, whatever thread they come from."""

    def __init__(self, rate: float) -> None:
        self._gap = 1.0 / rate
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Return when it is this request's turn."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._gap
        time.sleep(turn - now)


class _WholeAnswers(HTTPAdapter):
    def __init__(self, limits: ServerLimits, gate: Gate, largest: int) -> None:
        super().__init__(pool_maxsize=limits.parallel)
        self._largest = largest
        self._limits = limits
        self._gate = gate

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        self._gate.wait()
        limit = self._limits.timeout
        end = time.monotonic() + limit
        try:
            response = super().send(request, **{**options, "stream": True, "timeout": limit})
            body = bytearray()
            # read1 comes back with what has arrived, so slow bytes cannot outlive the limit.
            while piece := response.raw.read1(1 << 16, decode_content=True):
                body += piece
                if len(body) > self._largest:
                    response.close()
                    raise FailedError(f"an answer of more than {self._largest:,} bytes", tries=FEW_TRIES)
                if time.monotonic() > end:
                    response.close()
                    raise FailedError(f"no whole answer within {limit:g} s")
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            raise FailedError(f"no answer within {limit:g} s") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise FailedError(_plainly(error)) from None
        response._content = bytes(body)
        response.raw.release_conn()
        _check_status(response)
        return response


def _check_status(response: requests.Response) -> None:
    status = response.status_code
    if status < 400:
        return
    reason = f"HTTP {status} {response.reason or ''}".rstrip()
    if status in _PASSING:
        raise FailedError(reason, _retry_after(response.headers.get("Retry-After", "")))
    said = _said(response)
    if said:
        reason = f"{reason}: {said}"
    if status == _FORBIDDEN:
        raise ForbiddenError(reason)
    raise RefusedError(reason, status)


def _said(response: requests.Response) -> str:
    """The text of a refusal, on one line and without secrets; of a web page, its words."""
    said = response.text
    is_page = bool(re.match(r"\s*<(!doctype|html|\?xml)", said, re.IGNORECASE))
    if is_page:
        said = re.sub(r"(?is)<(script|style|head)\b.*?</\1>|<!--.*?-->|<[^>]*>", " ", said)
        said = html.unescape(said)
    said = " ".join(said.split())
    for header in _SECRET_HEADERS:
        # Some servers repeat what they were sent.
        if secret := response.request.headers.get(header):
            said = said.replace(secret, "***")
    origin = "a web page, as of a proxy or firewall on the way" if is_page else ""
    return ": ".join(filter(None, (origin, said[:200])))


def _retry_after(value: str) -> float:
    """Seconds that a Retry-After header asks for: a number, or a date."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return 0.0


def _plainly(error: BaseException) -> str:
    """The cause of a connection error in a few words; requests and urllib3 nest it deeply."""
    text = str(error).lower()
    for sign, words in (
        ("name resolution", "the server's name cannot be resolved"),
        ("failed to resolve", "the server's name cannot be resolved"),
        ("refused", "connection refused"),
        ("certificate", "the server's certificate is not accepted"),
        ("reset", "connection reset"),
        ("incomplete", "the answer was cut short"),
        ("invalidchunk", "the answer was cut short"),
        ("closed", "connection closed without an answer"),
        ("aborted", "connection closed without an answer"),
    ):
        if sign in text:
            return words
    return type(error).__name__


def patiently(call: Callable[[], R], limits: ServerLimits, what: str) -> R:
    """Result of `call`, repeated while it raises FailedError, with growing pauses.

    `what` names the request in the XtinctError that ends `limits.patience` seconds without success,
    or the tries that the fault is worth, and that follows a RefusedError at once.
    """

    def pause(state: RetryCallState) -> float:
        first, longest = limits.backoff
        failed = state.outcome.exception()
        return max(min(longest, first * 2 ** (state.attempt_number - 1)), failed.retry_after)

    retrying = Retrying(
        retry=retry_if_exception_type(FailedError),
        wait=pause,
        stop=stop_any(stop_before_delay(limits.patience), _out_of_tries),
        before_sleep=lambda state: log.info("%s: %s; trying again", what, state.outcome.exception()),
        reraise=True,
    )
    try:
        return retrying(call)
    except RefusedError as error:
        raise XtinctError(f"{what}: {error}") from None
    except FailedError as error:
        wait = f"; the server asks to wait {error.retry_after:g} s" if error.retry_after else ""
        tried = retrying.statistics["attempt_number"]
        end = f"in {tried} tries" if tried >= error.tries else f"within {limits.patience:g} s"
        raise XtinctError(f"{what}: {error}{wait}; no success {end}") from None


def _out_of_tries(state: RetryCallState) -> bool:
    return state.attempt_number >= state.outcome.exception().tries


def in_order(function: Callable[[T], R], items: Iterable[T], parallel: int) -> Iterator[R]:
    """Results of `function` in the order of `items`, at most `parallel` at work; stops at the first error."""
    pending: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(parallel)
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > 2 * parallel:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class Cache:
    """Answers by key, in one SQLite file: an answer is in it whole or not at all, whatever happens."""

    def __init__(self, folder: str | Path, name: str) -> None:
        self.path = Path(folder) / f"{name}.sqlite"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = self._guarded(
            lambda: sqlite3.connect(self.path, timeout=60, check_same_thread=False)
        )
        with self._lock:
            # Survives a killed process in full, and costs one synchronisation with the disk, not two.
            self._run("PRAGMA synchronous = NORMAL")
            self._run("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID")

    def get(self, key: str) -> bytes | None:
        """The answer kept under `key`, or None."""
        with self._lock:
            rows = self._run("SELECT body FROM answers WHERE key = ?", (key,))
        return self._guarded(lambda: zlib.decompress(rows[0][0])) if rows else None

    def put(self, answers: Mapping[str, bytes]) -> None:
        """Keep all of `answers`, or none if the process ends meanwhile."""
        rows = [(key, zlib.compress(body, 6)) for key, body in answers.items()]

        def write() -> None:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)

        with self._lock:
            self._guarded(write)

    def present(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that have an answer."""
        keys = list(keys)
        found: set[str] = set()
        for start in range(0, len(keys), _KEYS_AT_A_TIME):
            some = keys[start : start + _KEYS_AT_A_TIME]
            marks = ",".join("?" * len(some))
            with self._lock:
                found.update(
                    row[0] for row in self._run(f"SELECT key FROM answers WHERE key IN ({marks})", some)
                )
        return found

    def forget(self, keys: Iterable[str]) -> None:
        """Remove the answers of `keys`."""
        with self._lock:
            for key in keys:
                self._run("DELETE FROM answers WHERE key = ?", (key,))

    def _run(self, statement: str, values: Iterable[str] = ()) -> list[tuple]:
        def run() -> list[tuple]:
            with self._database, closing(self._database.execute(statement, tuple(values))) as cursor:
                return cursor.fetchall()

        return self._guarded(run)

    def _guarded(self, act: Callable[[], R]) -> R:
        try:
            return act()
        except (sqlite3.Error, zlib.error) as error:
            raise XtinctError(
                f"{self.path}: the cache cannot be used ({error}); if it is damaged, delete the file"
            ) from None

    def close(self) -> None:
        """Release the file."""
        self._database.close()


def estimate(where: str, *, entries: int, cached: int, requests_left: int, limits: ServerLimits) -> None:
    """Say before a pull what it will take at least."""
    seconds = requests_left / limits.rate
    time_left = f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{max(seconds / 60, 0.1):.1f} min"
    log.info(
        "%s: %s entries, %s of them in the cache; %s requests to make, at %g a second in %s or longer",
        where, f"{entries:,}", f"{cached:,}", f"{requests_left:,}", limits.rate, time_left,
    )  # fmt: skip


def progress(items: Iterable[T], *, where: str, total: int | None) -> Iterator[T]:
    """`items`, with a bar if a person is watching, and otherwise with a line in the log each minute."""
    said = time.monotonic()
    bar = tqdm(items, desc=where, total=total, unit=" entries", disable=None, mininterval=1.0)
    for count, item in enumerate(bar, start=1):
        yield item
        if bar.disable and time.monotonic() - said > _LOG_SECONDS:
            said = time.monotonic()
            log.info("%s: %s of %s entries", where, f"{count:,}", f"{total:,}" if total else "unknown many")
