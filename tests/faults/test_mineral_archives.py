"""Measured patterns of the RRUFF project, from a server that gives its archives, and goes wrong."""

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow.parquet as pq
import pytest
from loopback_servers import Answer, Fault, Server, half_json, http_status

from xtinct.auditing.pattern_sets import labelled_measurements
from xtinct.auditing.pattern_sources import collect_patterns
from xtinct.errors import XtinctError

HEADER = """##NAMES=Rutile
##RRUFFID=R000001
##IDEAL CHEMISTRY=Ti^4+^O_2_
##CELL PARAMETERS=a: 4.5940(1)  b: 4.5940(1)  c: 2.9580(1)  alpha: 90  beta: 90  gamma: 90   \
crystal system: tetragonal
##X-RAY WAVELENGTH=1.541838
"""
LISTED = """      Rutile R000001
      CELL PARAMETERS:  4.5937   4.5937   2.9587   90.000   90.000   90.000
      SPACE GROUP: P4_2/mnm
      X-RAY WAVELENGTH:     1.541838
               2-THETA      INTENSITY    D-SPACING   H   K   L   Multiplicity
                27.47        100.00        3.2483    1   1   0         4
                36.11         45.00        2.4875    1   0   1         8
"""


def zipped(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return out.getvalue()


def rows(seed):
    random = np.random.default_rng(seed)
    return "".join(
        f" {x:.2f}, {y}\n" for x, y in zip(np.arange(5, 90, 0.02), random.poisson(90, 4250), strict=True)
    )


class Minerals(Server):
    """Two archives, as the project names their files."""

    def __init__(self):
        self.files = {
            "/powder/XY_RAW.zip": zipped(
                {
                    "Rutile__R000001-1__Powder__Xray_Data_XY_RAW__11.txt": HEADER + rows(1) + "##END=\n",
                    "Rutile__R000001-2__Powder__Xray_Data_XY_RAW__12.txt": HEADER + rows(2) + "##END=\n",
                    "Odd__R000002__Powder__Xray_Data_XY_RAW__13.txt": "##RRUFFID=R000002\n##END=\n",
                }
            ),
            "/powder/DIF.zip": zipped({"Rutile__R000001-1__Powder__DIF_File__14.txt": LISTED}),
        }
        super().__init__()

    def answer(self, handler, path, query):
        if path in self.files:
            return Answer(self.files[path], headers={"Content-Type": "application/zip"})
        return Answer(b"Not Found", 404)


@pytest.fixture
def minerals():
    server = Minerals()
    yield server
    server.close()


def pulled(server, tmp_path, **changed):
    config = {
        "kind": "rruff",
        "server": f"{server.address}/powder",
        "archives": ["XY_RAW.zip"],
        "line_tables": "DIF.zip",
        "cache": str(tmp_path / "cache"),
        "network": {"timeout": 2, "patience": 4.0, "backoff": [0.01, 0.05], "rate": 2000, "parallel": 1},
        **changed,
    }
    out, quarantine = tmp_path / "out.parquet", tmp_path / "quarantine.parquet"
    counts = collect_patterns("rruff", config, out, quarantine)
    return counts, labelled_measurements(out), pq.read_table(quarantine).to_pylist()


def test_patterns_have_the_cell_and_group_of_the_line_tables(minerals, tmp_path):
    counts, patterns, quarantine = pulled(minerals, tmp_path)
    assert counts == {"received": 3, "patterns": 2, "quarantined": 1}
    first, second = patterns
    assert [one.pattern_id for one in patterns] == ["rruff:R000001-1", "rruff:R000001-2"]
    assert (first.label.number, first.label.system, first.label.formula) == (136, "tetragonal", "TiO2")
    np.testing.assert_allclose(first.label.cell[:3], [4.5937, 4.5937, 2.9587])
    # The other scan has no table of lines: its own header says cell and system.
    assert (second.label.number, second.label.system) == (None, "tetragonal")
    np.testing.assert_allclose(second.label.cell[:3], [4.594, 4.594, 2.958])
    assert {one.specimen for one in patterns} == {"R000001"}
    assert first.measurement.radiation.second is not None  # 1.541838 is the mean of the doublet
    assert [row["structure_id"] for row in quarantine] == ["rruff:R000002"]
    # What is in the cache is not asked for again.
    asked = len(minerals.asked)
    assert pulled(minerals, tmp_path)[0] == counts
    assert len(minerals.asked) == asked == 2


@pytest.mark.parametrize("effect", [http_status(503), half_json, http_status(200)])
def test_a_fault_that_passes_costs_nothing(minerals, tmp_path, effect):
    whole = pulled(minerals, tmp_path)[1]
    minerals.faults.append(Fault("XY_RAW", effect, times=2))
    other = tmp_path / "other"
    other.mkdir()
    again = pulled(minerals, other)[1]
    assert [one.sha256 for one in again] == [one.sha256 for one in whole]


def test_an_archive_that_is_not_there_ends_in_one_line_and_leaves_nothing(minerals, tmp_path):
    with pytest.raises(XtinctError, match=r"patterns\.rruff: http://\S+/NO\.zip: HTTP 404"):
        pulled(minerals, tmp_path, archives=["NO.zip"])
    assert not (tmp_path / "cache" / "NO.zip").exists()
    assert not (tmp_path / "out.parquet").exists()


def test_sets_that_share_a_cache_fetch_an_archive_once(minerals, tmp_path):
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda f: pulled(minerals, f, cache=str(tmp_path / "shared"))[0], folders))
    assert found == [{"received": 3, "patterns": 2, "quarantined": 1}] * 3
    assert len(minerals.asked) == 2
