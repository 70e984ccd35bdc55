"""What a worker does with hostile files, and the desk with work that takes too long."""

import asyncio
import gzip
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from xtinct.app.answering import answer_file
from xtinct.app.desk import MOST_KEPT, MOST_WAITING, Desk
from xtinct.app.questions import MOST_LINES, MOST_POINTS, PageQuestion, shown_name
from xtinct.errors import XtinctError
from xtinct.measurements.axes import NAMED


def error_of(path, **told):
    result = answer_file(str(path), PageQuestion.of({"name": path.name, **told}), None)
    assert "\n" not in result["error"]
    assert str(path.parent) not in result["error"]
    return result["error"]


def test_archives_that_unpack_to_too_much_are_not_unpacked(tmp_path):
    """100 MiB of zeros in 100 kB, of gzip once and twice over, and of zip."""
    zeros = bytes(100 * 2**20)
    packed = gzip.compress(zeros)
    (tmp_path / "one.xy").write_bytes(packed)
    (tmp_path / "parts.xy").write_bytes(gzip.compress(zeros[: 60 * 2**20]) * 2)
    with zipfile.ZipFile(tmp_path / "many.brml", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Experiment0/RawData0.xml", zeros)
    for name in ("one.xy", "parts.xy", "many.brml"):
        assert error_of(tmp_path / name).startswith(f"{name}: unpacks to more than 64 MiB")


def test_a_million_lines_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "long.xy"
    path.write_bytes(b"".join(b"%.4f 7\n" % (i * 1e-4) for i in range(1_000_000)))
    assert error_of(path, wavelength="CuKa").startswith(
        f"long.xy: 1,000,000 lines, the page takes at most {MOST_LINES:,}"
    )


def test_too_many_points_in_few_lines_are_refused(tmp_path):
    """An xrdml file has all its counts in one line."""
    path = tmp_path / "long.xrdml"
    counts = " ".join(["7"] * (MOST_POINTS + 1))
    path.write_text(
        '<?xml version="1.0"?><xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/1.5">'
        "<xrdMeasurement><usedWavelength><kAlpha1>1.5406</kAlpha1></usedWavelength><scan><dataPoints>"
        '<positions axis="2Theta" unit="deg"><startPosition>5</startPosition><endPosition>90</endPosition>'
        f"</positions><intensities>{counts}</intensities></dataPoints></scan></xrdMeasurement></xrdMeasurements>"
    )
    assert error_of(path).startswith(f"long.xrdml: 200,001 points, the page takes at most {MOST_POINTS:,}")


@pytest.mark.parametrize("seed", range(5))
def test_rubbish_is_one_line(tmp_path, seed):
    path = tmp_path / "rubbish.raw"
    path.write_bytes(np.random.default_rng(seed).bytes(50_000))
    assert error_of(path).startswith("rubbish.raw: ")


def test_damaged_archives_are_left_to_their_readers(tmp_path):
    damaged = {"cut.xy": gzip.compress(b"1 2\n" * 999)[:20], "cut.brml": b"PK\x03\x04" + bytes(99)}
    for name, data in damaged.items():
        (tmp_path / name).write_bytes(data)
        assert "damaged" in error_of(tmp_path / name) or "cut short" in error_of(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\sample.xy", "sample.xy"),
        ("a\x00b\x1b[31m\u202e.xy", "a b [31m .xy"),
        ("", "pattern"),
        ("<b>.xy", "<b>.xy"),
    ],
)
def test_names_are_shown_without_folders_and_control_characters(name, shown):
    assert shown_name(name) == shown


def test_the_page_offers_every_axis(root):
    """In the order of the command line's; the first leaves it to the file."""
    page = (root / "src/xtinct/app/static/app.html").read_text()
    (choice,) = re.findall(r'<select id="axis".*?</select>', page, re.DOTALL)
    assert re.findall(r'value="([^"]*)"', choice) == ["", *(axis.value for axis in NAMED)]


def test_long_names_keep_their_ends():
    assert len(shown_name("a" * 5000 + ".xrdml")) == 120
    assert PageQuestion.of({"name": "a" * 5000 + ".xrdml"}).suffix == ".xrdml"


def test_a_worker_and_not_the_machine_runs_out_of_memory():
    """After `prepare`, 5 GiB are refused and 1 GiB is not."""
    code = (
        "import numpy, sys\nfrom xtinct.app.answering import prepare\nprepare(None)\n"
        "if sys.platform != 'linux': raise SystemExit\n"
        "numpy.empty(2**27)\n"
        "try: numpy.empty(5 * 2**27)\nexcept MemoryError: raise SystemExit\n"
        "sys.exit('5 GiB were given')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_takes_too_long_is_ended(tmp_path, salt):
    """A tenth of a second for an answer of seconds; the second question finds a new worker."""

    async def asked():
        said = []
        async with Desk(None, workers=1, time_limit=0.1) as desk:
            for name in ("first.xy", "second.xy"):
                path = tmp_path / name
                path.write_bytes(salt)
                key = desk.hand_in(path, PageQuestion(name=name, wavelength="CuKa1"))
                while (state := desk.state_of(key))["state"] != "done":
                    await asyncio.sleep(0.02)
                said.append(state)
                assert not path.exists()
        return said

    for state in asyncio.run(asked()):
        assert state["error"].startswith("no answer within 0.1 s")


def test_no_more_wait_than_there_is_room_for(tmp_path):
    desk = Desk(None, workers=1, time_limit=1)  # not opened: nobody answers
    path = tmp_path / "some.xy"
    keys = []
    for _ in range(MOST_WAITING):
        path.write_text("1 2\n")
        keys.append(desk.hand_in(path, PageQuestion()))
    assert desk.is_full
    assert desk.state_of(keys[-1])["before"] == MOST_WAITING - 1
    with pytest.raises(XtinctError, match="questions wait already"):
        desk.hand_in(path, PageQuestion())
    assert desk.take_back(keys[0])
    assert not path.exists()
    assert not desk.take_back(keys[0])
    assert desk.state_of(keys[-1])["before"] == MOST_WAITING - 2
    assert MOST_KEPT >= MOST_WAITING
