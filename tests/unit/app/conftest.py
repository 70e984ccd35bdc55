"""A running `xtinct app`, and measured patterns to ask it about."""

import http.client
import json
import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest

#: Seconds after which an answer is taken for missing; a busy machine compiles for minutes.
PATIENCE = 280


#: h^2 + k^2 + l^2 of the lines of rock salt, and their relative intensities (halite, ICDD 5-628).
HALITE = {3: 13, 4: 100, 8: 55, 11: 2, 12: 15, 16: 6, 19: 1, 20: 11, 24: 7, 27: 1}


def rock_salt(length, seed=1):
    """A measurement of rock salt, lines "angle counts": Cu K-alpha1, 15 to 90 degrees, Poisson counts."""
    angles = np.arange(15, 90, 0.02)
    expected = np.full(len(angles), 30.0)
    for square, intensity in HALITE.items():
        sine = 1.54056 * square**0.5 / (2 * length)
        if sine < 1:
            place = 2 * np.degrees(np.arcsin(sine))
            expected += 50 * intensity * np.exp(-(((angles - place) / 0.06) ** 2))
    counts = np.random.default_rng(seed).poisson(expected)
    return "".join(f"{x:.3f} {y}\n" for x, y in zip(angles, counts, strict=True)).encode()


@dataclass(frozen=True)
class Reply:
    """Status and body of a response."""

    status: int
    body: bytes
    headers: dict

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Server:
    """`xtinct app` in a process of its own."""

    process: subprocess.Popen
    address: str

    @property
    def port(self):
        return int(re.search(r":(\d+)/", self.address)[1])

    def send(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Reply(response.status, response.read(), dict(response.getheaders()))
        finally:
            connection.close()

    def hand_in(self, body, **told):
        sent = self.send("POST", f"/questions?{urlencode(told)}", body)
        assert sent.status == 202, sent.body
        return sent.json["key"]

    def until(self, key, states):
        """What is said of a question when it has come to one of some states."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            said = self.send("GET", f"/questions/{key}").json
            if said["state"] in states:
                return said
            time.sleep(0.05)
        raise AssertionError(f"no answer within {PATIENCE} s")

    def ask(self, body, **told):
        return self.until(self.hand_in(body, **told), {"done"})

    def workers(self):
        """Process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        if not children.exists():
            pytest.skip("no /proc that lists the children of a process")
        # Every thread of the server may have started some.
        found = []
        for task in children.parent.parent.iterdir():
            with suppress(OSError):  # a thread that has ended meanwhile
                found += map(int, (task / "children").read_text().split())
        return [pid for pid in found if b"spawn_main" in _command(pid)]


def _command(pid):
    with suppress(OSError):  # a process that has ended meanwhile
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


@pytest.fixture(scope="package")
def server(known_structures, tmp_path_factory):
    command = [sys.executable, "-m", "xtinct", "app", "--port", "0", "--no-browser"]
    command += ["--database", str(known_structures / "table.parquet")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=tmp_path_factory.mktemp("app"), env=dict(os.environ)
    )
    try:
        yield Server(process, process.stdout.readline())
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()


@pytest.fixture(scope="package")
def salt():
    return rock_salt(5.64)


@pytest.fixture(scope="package")
def other_salt():
    return rock_salt(6.6, seed=2)
