"""Hostile, damaged and foreign files: one line that names the file, never a crash or a hang."""

import gzip
import io
import random
import time
import zipfile
import zlib

import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.measurements import measurements_in, read_measurement, read_measurements


def refused(path, **told):
    start = time.monotonic()
    with pytest.raises(XtinctError) as raised:
        read_measurement(path, **told)
    message = str(raised.value)
    assert str(path) in message
    assert "\n" not in message
    assert time.monotonic() - start < 10
    return message


def zipped(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5 or NeXus"),
        (b"%PDF-1.4 ...", "a PDF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a picture"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old Excel"),
        (b"PAR1" + bytes(50), "Parquet"),
        (b"\x93NUMPY\x01\x00" + bytes(50), "NumPy"),
        (b"\x80\x04\x95" + bytes(50), "pickle"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(50), "7z"),
        (b"RAW_1.06Powdat" + bytes(500), "STOE"),
        (b"FI\x01\x00\xd8" + bytes(3000), "Rigaku binary"),
        (bytes(range(256)) * 10, "binary content of an unknown format"),
        (b"PK\x03\x04" + bytes(60), "damaged zip"),
        (zipped(xl__workbook_dot_xml="x"), "Excel workbook"),
        (zipped(photo_dot_jpg="x"), "without a measurement that is known (photo.jpg)"),
        (b"<html><body>404</body></html>", "XML or HTML"),
        (b"<?xml version='1.0'?><gpx/>", "XML or HTML"),
        (b"<?xml version='1.0'?><xrdMeasurements><xrdMeasurement>", "damaged XML"),
        (b"<xrdMeasurements/><xrdMeasurement", "damaged XML"),
        (b"\x1f\x8b\x07\x00garbage", "gzip file is damaged"),
        (gzip.compress(b"10 5\n" * 1000)[:-20], "gzip file is cut short"),
        (zipped(Experiment0__RawData0_dot_xml="<RawData><Data"), "damaged XML"),
        (zipped(Data0__Profile0_dot_txt="1 2 3\na b c\n"), "row 2: 'a b c'"),
        (b"*RAS_INT_START\n1 2 3\n1 x 3\n", "row 3: '1 x 3'"),
        (b"*TYPE = Raw\n5 6\n", "row 2: numbers before *BEGIN"),
        (b"SIETRONICS XRD SCAN\n1\n2\n", "damaged CPI"),
        (b"SampleIdent,x,/\nRawScan\n 5, 6/\n", "damaged Philips UDF"),
        (b"SampleIdent,x,/\nDataAngleRange, 10, 45,/\nScanStepSize, 0.02,/\nScanStepTime,", "no intensities"),
        (b"2.0 100 9 99\n3.8 98\n20 20 20 20 20 x\n", "no table"),
        (b"1 1e-308 3\n1 x 3\n", "1 points, expected at least 2"),
        (b"*RAS_INT_START\n1 inf 2\n2 5 2\n3 6 1\n*RAS_INT_END\n", "row 2: the intensity is inf"),
        (b"V3RD" + bytes(100), "cut short"),
        (b"V3RD" + bytes(400), "damaged header"),
        (b"_FILEVERSION=2\n_DRIVE='COUPLED'\n_COUNTS\n5 6 7\n", "without _START"),
        (b'{"x": [1, 2, 3]}', "no rows of numbers"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # archives hold the time they were made
)
def test_what_is_recognised_is_named(file, content, words):
    assert words in refused(file(content, "a.dat"))


def test_entities_are_not_expanded(file):
    """A billion laughs: a document of a kilobyte that would unpack to gigabytes."""
    entities = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10 if k else "ha"}">' for k in range(10))
    body = "<xrdMeasurements><xrdMeasurement>&l9;</xrdMeasurement></xrdMeasurements>"
    text = f"<?xml version='1.0'?><!DOCTYPE x [{entities}]>{body}"
    assert "DTD" in refused(file(text))


def test_archives_that_unpack_to_too_much(file, monkeypatch):
    import xtinct.measurements.decoding as decoding
    import xtinct.measurements.xml as xml

    monkeypatch.setattr(decoding, "LARGEST", 2**20)
    monkeypatch.setattr(xml, "LARGEST", 2**20)
    zeros = bytes(50 * 2**20)
    assert "unpacks to more than 1 MiB" in refused(file(gzip.compress(zeros)))
    assert "unpacks to 50 MiB" in refused(file(zipped(Data0__Profile0_dot_txt=zeros)))
    assert "larger than 1 MiB" in refused(file(b"10 5\n" * 10**6))


def test_an_archive_with_a_false_checksum(file):
    content = bytearray(zipped(Data0__Profile0_dot_txt="10 5 1\n" * 500))
    content[60] ^= 0xFF
    assert "damaged" in refused(file(bytes(content), "a.rasx"))


def test_a_locked_archive(file):
    content = bytearray(zipped(Data0__Profile0_dot_txt="10 5 1\n" * 500))
    # The flag of encryption, in the file's header and in the directory.
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert "damaged" in refused(file(bytes(content), "a.rasx"))


def test_a_long_line_does_not_hang(file):
    refused(file("1 " * 500_000))
    refused(file("9" * 2_000_000))
    refused(file("(" * 100_000 + "\n" + "#" * 100_000))
    refused(file("wavelength " * 50_000 + "\n1 x\n"))
    refused(file("k alpha " * 50_000))


def test_a_long_line_before_the_rows_names_no_columns():
    rows = "\n".join(f"{10 + i / 50} {100 + i % 7}" for i in range(60))
    (scan,) = measurements_in(f"{'remark ' * 50_000}\n{rows}".encode(), "a.dat", wavelength=1.5406)
    assert len(scan.two_theta) == 60


@pytest.mark.parametrize("blanks", [" ", "\t", "\N{NO-BREAK SPACE}"])
def test_a_long_run_of_blanks_does_not_hang(blanks):
    """Patterns that begin with a blank took the square of the run's length: 16 s for 200,000 of them."""
    run, rows = blanks * 100_000, "\n".join(f"{10 + i / 50} {100 + i % 7}" for i in range(60))
    begun = time.process_time()
    for text in (
        f"x{run}y\n{rows}",
        f"two theta{run}(deg)  counts\n{rows}",
        f"# position{run}[deg]  counts\n{rows}",
    ):
        (scan,) = measurements_in(text.encode(), "a.dat", wavelength=1.5406)
        assert len(scan.two_theta) == 60
    assert time.process_time() - begun < 5.0


def test_more_lines_than_a_pattern_has(file):
    """A file of 4 million points would take minutes and gigabytes: it is refused before it is taken apart."""
    begun = time.process_time()
    with pytest.raises(XtinctError, match="holds 1,500,000 lines, expected at most 1,000,000"):
        read_measurement(file("10 2\n" * 1_500_000))
    assert time.process_time() - begun < 1.0


def test_numbers_out_of_reach(file):
    refused(file("".join(f"1e{300 + k} 1e400\n" for k in range(20))))
    refused(file("10.0 0.0000001 45.0\n" + "1 2 3 4\n" * 10))
    refused(file("title\nBANK 1 999999999999 5 CONST 500 2 0 0 STD\n" + "       1" * 10))
    refused(file("title\nBANK 1 99999999999999999999999 5 CONST 500 1e-99 0 0 FXYE\n1 2 3\n"))
    refused(file("x\n1 0.001 1 0 CU 1.54 45.0 999999999999\n1 2 3\n"))
    head = "##TITLE=a\n##XUNITS=2theta\n##FIRSTX=1\n##LASTX=2\n##NPOINTS=99999999999\n"
    refused(file(head + "##XYDATA=(X++(Y..Y))\n1 2\n##END=\n"))


def test_names_of_files_of_any_kind(tmp_path):
    for name in ("мой образец.xy", "a b\tc.xy", "ümläut.XY"):
        path = tmp_path / name
        path.write_text("".join(f"{k} 5\n" for k in range(10, 30)))
        assert read_measurement(path).name == str(path)


SEEDS = {
    "xy": "".join(f"{10 + 0.02 * k:.2f} {k % 7}\n" for k in range(120)).encode(),
    "csv": ("2Theta;I\n" + "".join(f"{10 + 0.02 * k:.2f};{k % 7},5\n" for k in range(120))).encode("utf-16"),
    "xrdml": b"<xrdMeasurements><xrdMeasurement><scan><dataPoints><positions axis='2Theta'>"
    b"<startPosition>5</startPosition>"
    b"<endPosition>9</endPosition></positions><counts>1 2 3 4 5 6 7 8</counts></dataPoints></scan>"
    b"</xrdMeasurement></xrdMeasurements>",
    "cif": b"data_a\n_diffrn_radiation_wavelength 1.5\nloop_\n_pd_meas_2theta_scan\n_pd_meas_counts_total\n"
    + b"".join(b"%d 5(1)\n" % k for k in range(10, 40)),
    "gsas": b"title\nBANK 1 40 4 CONST 1000 2 0 0 STD\n" + (b"       5" * 10 + b"\n") * 4,
    "ras": b'*RAS_DATA_START\n*RAS_HEADER_START\n*HW_XG_WAVE_LENGTH_ALPHA1 "1.54"\n*RAS_INT_START\n'
    + b"".join(b"%d 5 1\n" % k for k in range(10, 40)),
    "uxd": b"_FILEVERSION=2\n_WL1=1.54\n_DRIVE='COUPLED'\n_STEPSIZE=0.02\n_START=10\n_COUNTS\n"
    + b"5 6 7 8\n" * 20,
    "jcamp": b"##TITLE=a\n##XUNITS=2theta\n##FIRSTX=10\n##LASTX=12\n##NPOINTS=9\n##XYDATA=(X++(Y..Y))\n"
    b"10 1 2 3 4 5 6 7 8 9\n##END=\n",
    "grid": b"10 0.1 20\n" + b"5 6 7 8 9 9 8 7 6 5\n" * 10 + b"5\n",
    "raw3": b"RAW1.01\0"
    + bytes(4)
    + b"\1\0\0\0"
    + bytes(696)
    + b"\x30\1\0\0\5\0\0\0"
    + bytes(296)
    + bytes(20),
    "raw4": b"RAW4.00\0" + bytes(53) + bytes(160) + bytes(40),
    "zip": zipped(Data0__Profile0_dot_txt="".join(f"{k} 5 1\n" for k in range(10, 40))),
    "brml": zipped(
        Experiment0__RawData0_dot_xml="<RawData><DataRoute><Datum>1,1,5,2,9</Datum></DataRoute></RawData>"
    ),
    "gz": gzip.compress(b"10 5\n11 5\n12 5\n13 6\n14 6\n15 6\n"),
}


@pytest.mark.parametrize("kind", SEEDS)
def test_damage_of_every_kind_is_one_line_or_read(file, kind):
    """200 files with bytes that are changed, cut, doubled and swapped, by a fixed seed for each format."""
    rng = random.Random(zlib.crc32(kind.encode()))
    for _ in range(200):
        data = bytearray(SEEDS[kind])
        for _ in range(rng.randint(1, 6)):
            place = rng.randrange(len(data) + 1)
            what = rng.randrange(5)
            if what == 0 and data:
                data[min(place, len(data) - 1)] = rng.randrange(256)
            elif what == 1:
                del data[place : place + rng.randint(1, 40)]
            elif what == 2:
                data[place:place] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 8)))
            elif what == 3:
                data[place:place] = data[max(0, place - 30) : place]
            elif data:
                data = data[: max(1, place)]
        path = file(bytes(data), f"a.{kind}")
        message, scans = str(path), []
        try:
            scans = read_measurements(path, wavelength=1.5406)
        except XtinctError as error:
            message = str(error)
        assert str(path) in message
        assert "\n" not in message
        for found in scans:
            assert found.intensity is None or np.isfinite(found.intensity).all()
            assert np.isfinite(found.two_theta).all()
            assert (np.diff(found.two_theta) >= 0).all()
