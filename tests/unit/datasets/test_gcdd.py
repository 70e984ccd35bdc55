import json

import gemmi
import pyarrow.parquet as pq
import pytest

from xtinct.datasets.gcdd import build_shard, merge_attempts
from xtinct.datasets.merging import merge_lines, merge_quarantine, merge_structures
from xtinct.datasets.settings import GcddSettings
from xtinct.errors import XtinctError
from xtinct.files.schema import LINES, STRUCTURES, check_table
from xtinct.files.shards import Shard
from xtinct.generators.crystal_statistics import learn_to_file
from xtinct.sources.fetching import fetch
from xtinct.structures.cleaning import clean_shard
from xtinct.symmetry.absences import absent
from xtinct.symmetry.families import family_of

CLEANING = {
    "symprec": 0.01,
    "second_finder": False,
    "disordered": "keep",
    "missing_hydrogen": "keep",
    "max_gap": 0,
    "max_sites": 2000,
    "min_distance": 0.3,
    "protostructures": True,
}
CONFIG = {
    "gcdd": {
        "generator": "statistical",
        "per_group": 3,
        "elements": [1, 5],
        "max_sites": 200,
        "min_distance_scale": 0.0,
        "max_attempts": 2000,
    },
    "lines": {
        "d_star_max": 0.6,
        "radiation": "xray",
        "b_iso": 0.5,
        "max_reflections": 2_000_000,
        "intensity_floor": 1e-9,
    },
    "splits": {"fractions": {"train": 0.5, "validation": 0.25, "test": 0.25}, "gcdd": "random"},
    "cleaning": CLEANING,
}
FAMILIES = ("cubic", "triclinic")


@pytest.fixture(scope="module")
def statistics(tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned")
    fetch("aflow", {"kind": "prototypes"}, folder / "raw.parquet")
    clean_shard(
        raw=[folder / "raw.parquet"],
        cleaning=CLEANING,
        shard=0,
        shards=1,
        structures_out=folder / "structures.parquet",
        quarantine_out=folder / "quarantine.parquet",
    )
    learn_to_file(folder / "structures.parquet", folder / "statistics.json")
    return folder / "statistics.json"


def build(statistics, folder, shards, least=0, **changes):
    splits = {**CONFIG["splits"], "least": least}
    config = {**CONFIG, "splits": splits, "gcdd": {**CONFIG["gcdd"], **changes}}
    settings = GcddSettings.from_config(config, seed=5)
    parts = []
    for shard in range(shards):
        outs = {
            "structures_out": folder / f"{shard}-structures.parquet",
            "lines_out": {family: folder / f"{shard}-{family}.parquet" for family in FAMILIES},
            "quarantine_out": folder / f"{shard}-quarantine.parquet",
            "attempts_out": folder / f"{shard}-attempts.json",
        }
        build_shard(statistics, settings, Shard(shard, shards), **outs)
        parts.append(outs)
    outs = [folder / "structures.parquet", *(folder / f"{family}.parquet" for family in FAMILIES)]
    merge_structures([part["structures_out"] for part in parts], outs[0], settings.identity)
    for family, out in zip(FAMILIES, outs[1:], strict=True):
        merge_lines([part["lines_out"][family] for part in parts], out, settings.identity)
    outs += [folder / "quarantine.parquet", folder / "attempts.json"]
    merge_quarantine([part["quarantine_out"] for part in parts], outs[-2])
    merge_attempts([part["attempts_out"] for part in parts], outs[-1])
    return outs


@pytest.fixture(scope="module")
def built(statistics, tmp_path_factory):
    return build(statistics, tmp_path_factory.mktemp("one"), 1)


def test_bytes_do_not_depend_on_shards(statistics, built, tmp_path):
    again = build(statistics, tmp_path, 3)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in built]


def test_the_rare_groups_that_cddd_leaves_out_stay(statistics, built, tmp_path):
    """`splits.least` is of CDDD: a shard of generated crystals has few of each group."""
    again = build(statistics, tmp_path, 3, least=3)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in built]


def test_every_group_has_what_was_asked_for(built):
    structures, cubic, triclinic, quarantine, _ = (
        pq.read_table(path) if path.suffix == ".parquet" else None for path in built
    )
    check_table(structures, STRUCTURES, "structures")
    check_table(cubic, LINES, "lines")
    assert structures.num_rows == 3 * 38
    assert cubic.num_rows + triclinic.num_rows + quarantine.num_rows == 3 * 38
    numbers = cubic["spacegroup_number"].to_pylist()
    assert {number: numbers.count(number) for number in set(numbers)} == dict.fromkeys(range(195, 231), 3)
    assert cubic["sample_id"][0].as_py() == "gcdd-195-000000"
    assert cubic["origin"][0].as_py() == "gcdd:195-000000"
    assert set(cubic["split"].to_pylist()) == {"train", "validation", "test"}


def test_generated_crystals_obey_the_extinction_law_of_their_group(built):
    # Every line of every crystal needs an allowed hkl at its place.
    for path in built[1:3]:
        for row in pq.read_table(path).to_pylist():
            cell = gemmi.UnitCell(*(row[name] for name in ("a", "b", "c", "alpha", "beta", "gamma")))
            hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup(1), 1 / 0.61)
            allowed = hkl[~absent(row["spacegroup_number"], hkl)]
            d_star = 1 / cell.calculate_d_array(allowed)
            for line in row["d_star"]:
                assert abs(d_star / line - 1).min() < 1e-6


def test_attempts_add_up(built):
    attempts = json.loads(built[-1].read_text())
    assert set(attempts) == {f"{number:03d}" for number in (1, 2, *range(195, 231))}
    for number, counts in attempts.items():
        assert family_of(int(number)) in FAMILIES
        rejected = sum(n for name, n in counts.items() if name not in ("requested", "reached", "draws"))
        assert counts["draws"] == counts["reached"] + rejected


def test_crystals_that_cannot_be_reached_are_reported(statistics, tmp_path):
    # One attempt and a rule that only loose crystals pass: many groups give up, none is lost.
    outs = build(statistics, tmp_path, 1, max_attempts=1, min_distance_scale=1.3)
    quarantine = pq.read_table(outs[3]).to_pylist()
    structures = pq.read_table(outs[0])
    assert 0 < len(quarantine) < 3 * 38
    assert structures.num_rows + len(quarantine) == 3 * 38
    assert {row["reason"] for row in quarantine} == {"group_not_reached"}
    assert all(row["detail"].startswith("1 draws: 1 ") for row in quarantine)


def test_an_unknown_generator_is_named(statistics, tmp_path):
    with pytest.raises(XtinctError, match=r"gcdd\.generator: 'magic'"):
        build(statistics, tmp_path, 1, generator="magic")


@pytest.mark.slow
def test_the_seed_papers_recipe_makes_the_same_tables(statistics, tmp_path):
    outs = build(statistics, tmp_path, 1, generator="pyxtal", per_group=1, max_attempts=1)
    structures, cubic, triclinic, quarantine = (pq.read_table(path) for path in outs[:4])
    assert structures.num_rows == cubic.num_rows + triclinic.num_rows > 0
    assert structures.num_rows + quarantine.num_rows == 38
    reasons = {int(r["structure_id"][5:8]): r["reason"] for r in quarantine.to_pylist()}
    # F 2 3, F m -3, F d -3, F 4 3 2, F 41 3 2, F -4 3 c, P n -3 n, F m -3 c, F d -3 c.
    never = {196, 202, 203, 209, 210, 219, 222, 226, 228}
    assert {number for number, reason in reasons.items() if reason == "group_out_of_reach"} == never
    attempts = json.loads(outs[-1].read_text())
    assert {int(number) for number, counts in attempts.items() if "out_of_reach" in counts} == never
