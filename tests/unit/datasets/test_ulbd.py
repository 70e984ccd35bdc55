"""ULBD: what its rows promise, whatever the number of shards."""

import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest

from xtinct.datasets.manifest import write_manifest
from xtinct.datasets.merging import Identity, merge_lines
from xtinct.datasets.settings import UlbdSettings
from xtinct.datasets.ulbd import build_shard
from xtinct.errors import XtinctError
from xtinct.files.parquet import file_metadata
from xtinct.files.schema import LINES, check_table
from xtinct.files.shards import Shard
from xtinct.linelists.line_tables import line_lists
from xtinct.symmetry.absences import absent
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import space_groups

SETTINGS = {
    "family": "tetragonal",
    "lattices": {
        "kind": "continuous",
        "lengths": [4, 7],
        "angles": [90, 90],
        "spacing": "uniform",
        "count": 12,
        "draws": 3,
    },
    "intensities": "uniform",
    "d_star_max": 0.6,
    "split": "lattice",
    "fractions": {"train": 0.5, "validation": 0.25, "test": 0.25},
}


def build(folder, shards=1, seed=7, ranges=None, **changes):
    settings = UlbdSettings(**{**SETTINGS, **changes}, seed=seed)
    parts = []
    for shard in range(shards):
        parts.append(folder / f"{shards}-{shard}.parquet")
        build_shard(settings, Shard(shard, shards), parts[-1], ranges=ranges)
    out = folder / f"{shards}-{seed}-{len(changes)}.parquet"
    assert merge_lines(parts, out, settings.identity) == pq.read_metadata(out).num_rows
    return out


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return pq.read_table(build(tmp_path_factory.mktemp("ulbd")))


def test_every_group_lattice_and_draw_once_in_order(table):
    check_table(table, LINES, "ulbd")
    expected = [
        f"ulbd-tetragonal-{g:03d}-{i:07d}-{j:03d}"
        for g in space_groups("tetragonal")
        for i in range(12)
        for j in range(3)
    ]
    assert table["sample_id"].to_pylist() == expected == sorted(expected)
    assert set(table["dataset"].to_pylist()) == {"ulbd"}
    numbers = table["spacegroup_number"].to_pylist()
    assert [class_symbol(n) for n in numbers] == table["extinction_class"].to_pylist()


def test_lines_obey_bragg_and_the_extinction_law(table):
    """Each line has an allowed hkl at its place, each allowed hkl a line."""
    box = np.arange(-5, 6)
    hkl = np.stack(np.meshgrid(box, box, box), axis=-1).reshape(-1, 3)
    hkl = hkl[(hkl != 0).any(axis=1)]
    lines = line_lists(table)
    for i in range(0, table.num_rows, 37):
        a, c = table["a"][i].as_py(), table["c"][i].as_py()
        number = table["spacegroup_number"][i].as_py()
        d_star = np.sqrt((hkl[:, 0] ** 2 + hkl[:, 1] ** 2) / a**2 + hkl[:, 2] ** 2 / c**2)
        shown = np.unique(np.round(d_star[(d_star <= 0.6) & ~absent(number, hkl)], 10))
        np.testing.assert_allclose(lines[i][0], shown, rtol=1e-6)


def test_lattices_keep_to_one_part_and_all_groups_meet_them(table):
    parts = {}
    for row in table.select(["a", "c", "split"]).to_pylist():
        parts.setdefault((row["a"], row["c"]), set()).add(row["split"])
    assert len(parts) == 12
    assert all(len(part) == 1 for part in parts.values())


def test_draws_may_share_lattices_as_in_the_seed_paper(tmp_path):
    table = pq.read_table(build(tmp_path, split="draw"))
    parts = {}
    for row in table.select(["a", "split"]).to_pylist():
        parts.setdefault(row["a"], set()).add(row["split"])
    assert all(part == {"train", "validation", "test"} for part in parts.values())
    share = table["split"].to_pylist().count("train") / table.num_rows
    assert share == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / table.num_rows))


def test_draws_differ_and_share_positions(table):
    lines = line_lists(table)
    for i in (0, 3, 300):
        np.testing.assert_array_equal(lines[i][0], lines[i + 1][0])
        assert not np.isclose(lines[i][1], lines[i + 1][1], atol=1e-4).all()
    first_of_each = np.array([lines[i][1][:2] for i in range(table.num_rows)])
    assert len(np.unique(first_of_each, axis=0)) == table.num_rows


def test_bytes_depend_on_the_seed_only(tmp_path):
    one, five = build(tmp_path, 1), build(tmp_path, 5)
    assert one.read_bytes() == five.read_bytes()
    other = build(tmp_path, 1, seed=8)
    a, b = pq.read_table(one), pq.read_table(other)
    assert not np.isclose(a["a"].to_numpy(), b["a"].to_numpy()).any()


def test_metadata_and_manifest_say_where_it_comes_from(tmp_path):
    path = build(tmp_path)
    stored = file_metadata(path)
    assert stored["dataset"] == "ulbd"
    assert stored["seed"] == 7
    assert stored["config"]["lattices"]["count"] == 12
    assert stored["rows"] == 68 * 12 * 3
    write_manifest(tmp_path / "m.json", Identity("ulbd", 7, SETTINGS), {"tetragonal": path})
    manifest = json.loads((tmp_path / "m.json").read_text())
    counts = manifest["families"]["tetragonal"]
    assert counts["samples"] == sum(counts["splits"].values()) == 68 * 36
    assert set(counts["spacegroups"].values()) == {36}
    assert len(counts["extinction_classes"]) == 31


def test_unknown_settings_are_refused(tmp_path):
    with pytest.raises(XtinctError, match=r"splits\.ulbd"):
        build(tmp_path, split="random")
    with pytest.raises(XtinctError, match="intensities"):
        build(tmp_path, intensities="cauchy")
    with pytest.raises(XtinctError, match=r"1000000000 draws of up to .* take more lattices"):
        build(tmp_path, lattices=SETTINGS["lattices"] | {"draws": 10**9})
    assert not list(tmp_path.glob("*.parquet"))


def test_ranges_of_a_group_keep_its_lattices_inside_them_and_nothing_else(tmp_path, table):
    """The rest of the set, bytes of its lines included, is that of the set without ranges."""
    numbers = np.array(table["spacegroup_number"].to_pylist())
    # Some samples of groups 75 and 99 stand for the real structures; no other group has any.
    real = table.filter(np.isin(numbers, [75, 99])).take([0, 4, 9, 40, 45, 60])
    pq.write_table(real, tmp_path / "real.parquet")
    kept = pq.read_table(build(tmp_path, ranges=tmp_path / "real.parquet"))
    expected = []
    for row, number in enumerate(numbers):
        cells = [(r["a"], r["c"]) for r in real.to_pylist() if r["spacegroup_number"] == number]
        a, c = table["a"][row].as_py(), table["c"][row].as_py()
        if cells and all(
            min(cell[i] for cell in cells) <= x <= max(cell[i] for cell in cells)
            for i, x in enumerate((a, c))
        ):
            expected.append(row)
    assert 0 < len(expected) < len(numbers)
    assert kept.replace_schema_metadata(None) == table.take(expected).replace_schema_metadata(None)
    in_parts = pq.read_table(build(tmp_path, 5, ranges=tmp_path / "real.parquet"))
    assert in_parts == kept
