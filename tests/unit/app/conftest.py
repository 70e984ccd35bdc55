"""A running `xtinct app`, and measured patterns to ask it about."""

import http.client
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest

#: Seconds after which an answer is taken for missing; a busy machine compiles for minutes.
PATIENCE = 280


def rock_salt(length, seed=1):
    """A measurement of rock salt, lines "angle counts": CuKa1, 15 to 80 degrees, Poisson counts."""
    import xtinct
    from xtinct.patterns.instrument import Instrument

    cif = (
        "data_NaCl\n_space_group_name_H-M_alt 'F m -3 m'\n"
        + "".join(f"_cell_length_{axis} {length}\n" for axis in "abc")
        + "".join(f"_cell_angle_{angle} 90\n" for angle in ("alpha", "beta", "gamma"))
        + "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
        "Na 0 0 0\nCl 0.5 0.5 0.5\n"
    )
    instrument = Instrument.from_config(
        {
            "wavelength": 1.54056,
            "two_theta": {"min": 15, "max": 80, "points": 3251},
            "lorentz": "lorentz",
            "fwhm": 0.12,
        }
    )
    counts = np.random.default_rng(seed).poisson(30 + 5000 * xtinct.simulate(cif, instrument))
    rows = zip(instrument.two_theta, counts, strict=True)
    return "".join(f"{angle:.3f} {count}\n" for angle, count in rows).encode()


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
            found += map(int, (task / "children").read_text().split())
        return [pid for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


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
