from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xtinct.datasets.cddd_copies import CopySettings, build_copies
from xtinct.datasets.gcdd_statistics import ids_of_part, learn_part
from xtinct.datasets.structure_splits import write_structure_splits
from xtinct.errors import XtinctError
from xtinct.files.schema import LINES, check_table
from xtinct.generators.randomised import KINDS
from xtinct.generators.sampling import read_statistics
from xtinct.sources.fetching import fetch
from xtinct.structures.cleaning import clean_shard
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
LINE_SETTINGS = {
    "d_star_max": 0.6,
    "radiation": "xray",
    "b_iso": 0.5,
    "max_reflections": 2_000_000,
    "intensity_floor": 1e-9,
}
FAMILIES = ("cubic", "tetragonal")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every eighth embedded prototype with its splits, and the statistics of the training part."""
    folder = tmp_path_factory.mktemp("real")
    fetch("aflow", {"kind": "prototypes"}, folder / "raw.parquet")
    clean_shard(
        raw=[folder / "raw.parquet"],
        cleaning=CLEANING,
        shard=0,
        shards=8,
        structures_out=folder / "structures.parquet",
        quarantine_out=folder / "quarantine.parquet",
    )
    fractions = {"train": 0.5, "test": 0.5}
    write_structure_splits(
        folder / "structures.parquet", folder / "splits.parquet", fractions=fractions, seed=1
    )
    learn_part(
        folder / "structures.parquet",
        folder / "splits.parquet",
        folder / "statistics.json",
        part="train",
        split="protostructure",
    )
    return folder


def build(folder, out, kind, least=0):
    outs = {family: out / f"{family}.parquet" for family in FAMILIES}
    counts = build_copies(
        folder / "structures.parquet",
        folder / "splits.parquet",
        folder / "statistics.json",
        CopySettings(kind, "protostructure", LINE_SETTINGS, symprec=0.01, seed=1, least=least),
        structures_out=out / "structures.parquet",
        lines_out=outs,
        quarantine_out=out / "quarantine.parquet",
    )
    return counts, {family: pq.read_table(path) for family, path in outs.items()}


def test_nothing_is_learned_from_test_crystals(folder):
    structures, splits = folder / "structures.parquet", folder / "splits.parquet"
    ids = {part: ids_of_part(splits, part=part, split="protostructure") for part in ("train", "test")}
    table = pq.read_table(structures)
    assert ids["train"] | ids["test"] == set(table["structure_id"].to_pylist())
    # Without the rows of the test crystals the statistics are the same; of all crystals they are others.
    kept = table.filter(pa.array([i in ids["train"] for i in table["structure_id"].to_pylist()]))
    pq.write_table(kept, folder / "train.parquet")
    kept = learn_part(folder / "train.parquet", splits, folder / "a.json", part="all", split="protostructure")
    everything = learn_part(structures, splits, folder / "b.json", part="all", split="protostructure")
    assert read_statistics(folder / "statistics.json") == kept
    assert kept["structures"] + sum(kept["left_out"].values()) == len(ids["train"])
    assert everything["structures"] > kept["structures"]


def test_test_crystals_of_groups_rare_in_training_are_not_copied(folder, tmp_path):
    splits, structures = folder / "splits.parquet", pq.read_table(folder / "structures.parquet")
    group_of = dict(
        zip(*(structures[c].to_pylist() for c in ("structure_id", "spacegroup_number")), strict=True)
    )
    train, test = (ids_of_part(splits, part=p, split="protostructure") for p in ("train", "test"))
    counts = Counter(group_of[i] for i in train)
    least = 1 + min(counts.values())
    kept = [i for i in test if counts[group_of[i]] >= least]
    assert 0 < len(kept) < len(test)
    found, _ = build(folder, tmp_path, "coordinates", least=least)
    assert found["received"] == len(kept)


def test_an_unknown_split_is_named(folder):
    with pytest.raises(XtinctError, match=r"splits\.parquet: no split 'colour'"):
        ids_of_part(folder / "splits.parquet", part="train", split="colour")


@pytest.mark.parametrize("kind", KINDS)
def test_copies_of_the_test_crystals_have_lines_on_the_right_cells(folder, tmp_path, kind):
    counts, tables = build(folder, tmp_path, kind)
    test = ids_of_part(folder / "splits.parquet", part="test", split="protostructure")
    assert counts["received"] == len(test) == counts["accepted"] + counts["quarantined"]
    columns = ["structure_id", "spacegroup_number", "a", "b", "c", "beta"]
    real = {
        row["structure_id"]: row
        for row in pq.read_table(folder / "structures.parquet", columns=columns).to_pylist()
    }
    quarantine = pq.read_table(tmp_path / "quarantine.parquet").to_pylist()
    others = {i for i in test if family_of(real[i]["spacegroup_number"]) not in FAMILIES}
    reasons = [row["reason"] for row in quarantine]
    assert reasons.count("family_not_built") + reasons.count("no_right_copy") >= len(others)
    moved = 0
    for family, table in tables.items():
        check_table(table.schema, LINES, family)
        for row in table.to_pylist():
            original = real[row["origin"].replace(f"-random-{kind}", "")]
            assert row["dataset"] == f"cddd-{kind}"
            assert row["split"] == "test"
            assert row["origin"].replace(f"-random-{kind}", "") in test
            assert row["spacegroup_number"] == original["spacegroup_number"]
            same = np.allclose([row["a"], row["c"]], [original["a"], original["c"]], rtol=1e-6)
            if kind == "coordinates" or family == "cubic":
                # The volume is kept, so a cubic cell has nothing to be drawn anew.
                assert same
            moved += not same
    assert (moved > 5) == (kind != "coordinates")


def test_the_files_are_the_same_every_time(folder, tmp_path):
    for name in ("a", "b"):
        build(folder, tmp_path / name, "both")
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
