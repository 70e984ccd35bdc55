"""The server of `xtinct app`, as browsers, other programs and hostile pages meet it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from click.testing import CliRunner

from xtinct.app.desk import Desk
from xtinct.app.questions import LARGEST_UPLOAD
from xtinct.app.serving import application
from xtinct.cli import cli

CUBIC = {"wavelength": "CuKa1", "family": "cubic"}


def has_processes(group):
    """Whether a group of processes has any left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def groups_without_symbol(said):
    """Parts of an answer that have the number of a space group and not its symbol."""
    if isinstance(said, list):
        return [found for one in said for found in groups_without_symbol(one)]
    if not isinstance(said, dict):
        return []
    alone = ("number" in said and "symbol" not in said) or (
        "spacegroup_number" in said and "spacegroup" not in said
    )
    return [said] * alone + [found for one in said.values() for found in groups_without_symbol(one)]


def test_two_users_at_once_get_their_own_answers(server, salt, other_salt):
    """Cells of 5.64 and 6.60 angstrom: neither sees the other's."""
    with ThreadPoolExecutor(2) as pool:
        asked = [
            pool.submit(server.ask, body, name=f"{name}.xy", **CUBIC)
            for name, body in (("first", salt), ("second", other_salt))
        ]
        first, second = (one.result() for one in asked)
    for said, name, length in ((first, "first", 5.64), (second, "second", 6.6)):
        observation = said["answer"]["observation"]
        assert observation["name"] == f"{name}.xy"
        strongest = max(said["chart"]["found"], key=lambda line: line["area"])
        assert strongest["d"] == pytest.approx(length / 2, rel=1e-3)  # 200
        lengths = [lattice["cell"][0] for lattice in observation["lattices"]]
        assert pytest.approx(length, rel=1e-3) in lengths
        assert said["answer"]["families"]["cubic"] == pytest.approx(1)
        assert float(said["cells"][0][0].partition("(")[0]) == pytest.approx(lengths[0], rel=1e-3)
        assert said["has_picture"]
        assert said["answer"]["recognition"]["structures"]
        assert groups_without_symbol(said["answer"]) == []


@pytest.mark.parametrize(("port", "own"), [(80, "localhost"), (8765, "localhost:8765")])
def test_the_server_knows_its_name_as_browsers_say_it(tmp_path, port, own):
    """That of port 80, which others may not take here, has no port in it."""
    served = application(Desk(None, 1, 1.0), tmp_path, port, lambda: None)

    async def status(host):
        told = []

        async def receive():
            return {"type": "http.request", "body": b""}

        async def send(message):
            told.append(message)

        scope = {"type": "http", "method": "GET", "path": "/about", "query_string": b""}
        await served({**scope, "headers": [(b"host", host.encode())]}, receive, send)
        return told[0]["status"]

    hosts = [own, "elsewhere", f"{own}0"]
    assert [asyncio.run(status(host)) for host in hosts] == [200, 403, 403]


def test_the_answer_and_the_picture_are_files(server, salt):
    """A name with a formula's and HTML's marks: the picture holds it as text and stays well-formed."""
    name = '<img src=x onerror="alert(1)"> $_^$.xy'
    key = server.hand_in(salt, name=name, **CUBIC)
    said = server.until(key, {"done"})
    assert "error" not in said
    answer = server.send("GET", f"/questions/{key}/answer.json")
    saved = 'attachment; filename="img_src_x_onerror_alert_1_.xy.json"'
    assert answer.headers["content-disposition"] == saved
    assert answer.json == said["answer"]
    picture = server.send("GET", f"/questions/{key}/picture.svg")
    root = ET.fromstring(picture.body)
    assert not [one for one in root.iter() if one.tag.endswith("}img")]
    assert any(name in (one.text or "") for one in root.iter())
    assert server.send("DELETE", f"/questions/{key}").status == 204
    assert server.send("GET", f"/questions/{key}/answer.json").status == 404


def test_what_is_refused_is_said_in_one_line_with_what_would_help(server, salt):
    said = server.ask(salt, name="salt.xy")
    assert said["needs"] == "wavelength"
    assert said["error"].startswith("salt.xy: ")
    assert "--" not in said["error"]
    uxd = "_FILEVERSION=2\n_WL1=1.5406\n" + "".join(
        f"_DRIVE='COUPLED'\n_STEPSIZE=0.02\n_START={start}\n_2THETACOUNTS\n"
        + "".join(f"{start + 0.02 * i:.2f} {50 + i % 7}\n" for i in range(60))
        for start in (10, 40)
    )
    said = server.ask(uxd.encode(), name="two.uxd")
    assert said["needs"] == "scan"
    assert len(said["scans"]) == 2
    bare = b"".join(b"%.5f\n" % (4.12 / n**0.5) for n in (1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12))
    said = server.ask(bare, name="bare.txt", kind="peaks")
    assert said["needs"] == "axis"
    assert "--" not in said["error"]
    # As d it has the lattice of 4.12 angstrom, as Q none like it.
    for axis, found in (("d", True), ("q", False)):
        said = server.ask(bare, name="bare.txt", kind="peaks", axis=axis, family="cubic")
        lengths = [one["cell"][0] for one in said["answer"]["observation"]["lattices"]]
        assert any(abs(length - 4.12) < 0.01 for length in lengths) is found
    said = server.ask(bytes(range(256)) * 400, name="rubbish.xy")
    assert said["error"].startswith("rubbish.xy: ")
    assert "\n" not in said["error"]
    assert "/tmp" not in said["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:{port}"}, 200),
        ({"Host": "evil.example:{port}"}, 403),  # a name that was bound to 127.0.0.1 anew
        ({"Host": "127.0.0.1.evil.example:{port}"}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Host": "127.0.0.1:{port}", "Origin": "http://evil.example"}, 403),
        ({"Host": "127.0.0.1:{port}", "Origin": "null"}, 403),
        ({"Host": "127.0.0.1:{port}", "Origin": "http://127.0.0.1:1"}, 403),
        ({"Host": "127.0.0.1:{port}", "Origin": "http://127.0.0.1:{port}"}, 200),
    ],
)
def test_only_its_own_pages_reach_the_server(server, headers, status):
    headers = {name: value.format(port=server.port) for name, value in headers.items()}
    assert server.send("GET", "/about", headers=headers).status == status


def test_pages_of_other_sites_cannot_ask(server, salt):
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 400)):
        sent = server.send("POST", "/questions?prior=none", salt, {"Sec-Fetch-Site": site})
        assert sent.status == status
    # A link from elsewhere to the page is none of these.
    page = server.send("GET", "/", headers={"Sec-Fetch-Site": "cross-site"})
    assert page.status == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("prior=/etc/passwd", "prior '/etc/passwd'"),
        ("family=quadratic", "crystal family 'quadratic'"),
        ("database=/etc/passwd", "no field 'database'"),
        ("kind=weights", "kind 'weights'"),
        ("axis=energy", "axis: 'energy', expected one of 2theta"),
        (f"elements={'Si,' * 200}", "elements: 600 characters"),
    ],
)
def test_questions_that_make_no_sense_are_refused_at_once(server, query, said):
    sent = server.send("POST", f"/questions?{query}", b"1 2\n")
    assert sent.status == 400
    assert said in sent.json["error"]


def test_what_is_too_large_is_refused_while_it_comes(server):
    declared = server.send("POST", "/questions", None, {"Content-Length": str(LARGEST_UPLOAD + 1)})
    assert declared.status == 413
    assert "32 MiB" in declared.json["error"]
    # Without a declared length it is counted, and cut off.
    piece = b"x" * 2**20
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        head = (
            f"POST /questions HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        connection.sendall(head.encode())
        try:
            for _ in range(LARGEST_UPLOAD // len(piece) + 1):
                connection.sendall(b"100000\r\n" + piece + b"\r\n")
        except OSError:
            pass  # cut off while it is sent
        assert b" 413 " in connection.recv(4096).partition(b"\r\n")[0]


def test_files_of_the_machine_are_not_served(server):
    for path in (
        "/static/../serving.py",
        "/static/..%2fserving.py",
        "/static//etc/passwd",
        "/../pyproject.toml",
    ):
        assert server.send("GET", path).status == 404
    assert server.send("GET", "/questions/unknown").status == 404


def test_questions_wait_and_can_be_taken_back(server, salt):
    keys = [server.hand_in(salt, name=f"{i}.xy", wavelength="CuKa1") for i in range(4)]
    waiting = server.send("GET", f"/questions/{keys[3]}").json
    assert waiting["state"] == "waiting"
    assert 1 <= waiting["before"] <= 3
    for key in reversed(keys):
        assert server.send("DELETE", f"/questions/{key}").status == 204
    assert server.send("GET", f"/questions/{keys[0]}").status == 404
    assert "answer" in server.ask(salt, name="after.xy", **CUBIC)


def test_a_killed_worker_is_said_and_the_next_question_answered(server, salt):
    """All workers are killed, the one that works and the one that is idle."""
    key = server.hand_in(salt, name="salt.xy", wavelength="CuKa1")
    server.until(key, {"running"})
    killed = server.workers()
    assert killed
    for pid in killed:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    said = server.until(key, {"done"})
    assert "was ended from outside" in said["error"]
    assert "answer" in server.ask(salt, name="again.xy", **CUBIC)
    assert "answer" in server.ask(salt, name="again.xy", **CUBIC)


def test_a_port_that_is_taken_is_one_line(server, known_structures):
    command = [sys.executable, "-m", "xtinct", "app", "--no-browser", "--port", str(server.port)]
    command += ["--database", str(known_structures / "table.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"xtinct: error: port {server.port}: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_is_none_is_refused_at_the_start(tmp_path):
    (tmp_path / "none.parquet").write_text("no table")
    done = CliRunner().invoke(cli, ["app", "--database", str(tmp_path / "none.parquet"), "--no-browser"])
    assert done.exit_code != 0
    assert "none.parquet" in str(done.exception)


def test_it_ends_with_its_workers(tmp_path):
    """Nothing is left running, and no upload, when it is interrupted."""
    command = [sys.executable, "-m", "xtinct", "app", "--port", "0", "--no-browser"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    process.stdout.readline()
    assert list(tmp_path.glob("xtinct-app-*"))
    assert has_processes(process.pid)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    assert not list(tmp_path.glob("xtinct-app-*"))
    end = time.monotonic() + 30
    while has_processes(process.pid):
        assert time.monotonic() < end
        time.sleep(0.1)
