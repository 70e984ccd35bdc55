import json

import gemmi
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from xtinct.errors import XtinctError
from xtinct.files.schema import STRUCTURES
from xtinct.generators.evidence import compare, group_rows, matched, quantities, write_evidence
from xtinct.generators.randomised import KINDS, Randomisation, randomised_copies
from xtinct.generators.sampling import GroupSampler
from xtinct.generators.statistical import generate_one, structure_row
from xtinct.structures.cleaning import clean_row
from xtinct.structures.parsing import read_cleaned

CLEANING = {
    "symprec": 0.01,
    "second_finder": False,
    "disordered": "keep",
    "missing_hydrogen": "keep",
    "max_gap": 0,
    "max_sites": 2000,
    "min_distance": 0.3,
    "protostructures": False,
}


@pytest.fixture(scope="module")
def generated(statistics, structures, tmp_path_factory):
    """As many crystals of each group as the real table has."""
    numbers = pq.read_table(structures, columns=["spacegroup_number"])["spacegroup_number"].to_pylist()
    rows = []
    for number in sorted(set(numbers)):
        sampler = GroupSampler(number, statistics)
        for index in range(numbers.count(number)):
            draw, pearson, _ = generate_one(sampler, 1, index, symprec=0.01, max_attempts=2000)
            rows.append(structure_row(sampler, draw, pearson, index, symprec=0.01, second_finder=False))
    path = tmp_path_factory.mktemp("generated") / "structures.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=STRUCTURES), path)
    return path


def test_a_table_does_not_differ_from_itself(structures):
    records = compare(structures, structures)
    assert {record["ks"] for record in records} == {0.0}
    assert {record["crystal_system"] for record in records} == {
        "triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic",
    }  # fmt: skip
    # A cubic cell has no shape to compare.
    assert not [r for r in records if r["crystal_system"] == "cubic" and r["quantity"] == "ln(c/a)"]


NAMED = """data_x
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt '{group}'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
"""


def test_density_of_known_crystals(tmp_path):
    # CRC Handbook of Chemistry and Physics: halite 2.17, diamond 3.513 g/cm^3.
    texts = [
        NAMED.format(a=5.6402, group="F m -3 m") + "Na1 0 0 0\nCl1 0.5 0.5 0.5\n",
        NAMED.format(a=3.5668, group="F d -3 m:2") + "C1 0.125 0.125 0.125\n",
    ]
    rows = []
    for i, text in enumerate(texts):
        raw = {"structure_id": f"x:{i}", "cif": text, "spacegroup_declared": 0, "error": ""}
        raw |= dict.fromkeys(("source", "source_version", "licence"), "x")
        rows.append(clean_row(raw, CLEANING))
    pq.write_table(pa.Table.from_pylist(rows, schema=STRUCTURES), tmp_path / "s.parquet")
    density = quantities(tmp_path / "s.parquet")["cubic"]["density"]
    assert np.allclose(density, [2.17, 3.513], atol=0.01)


def test_generated_crystals_pack_like_real_ones(structures, generated):
    records = {(r["crystal_system"], r["quantity"]): r for r in compare(structures, generated)}
    # What is sampled from real quantiles comes out within the noise of the samples, or close to it.
    for system in ("orthorhombic", "tetragonal", "cubic"):
        record = records[system, "packing_factor"]
        assert record["ks"] < 2 * record["ks_critical"]
    record = records["tetragonal", "ln(c/a)"]
    assert record["ks"] < 2 * record["ks_critical"]


def test_equally_many_crystals_of_each_group_are_compared(structures, generated, tmp_path):
    table = pq.read_table(generated)
    pq.write_table(table.filter(pc.not_equal(table["spacegroup_number"], 225)), tmp_path / "less.parquet")
    chosen = matched(structures, tmp_path / "less.parquet")
    groups = []
    for path, ids in zip((structures, tmp_path / "less.parquet"), chosen, strict=True):
        table = pq.read_table(path, columns=["structure_id", "spacegroup_number"])
        groups.append(sorted(n for i, n in zip(*table.to_pydict().values(), strict=True) if i in ids))
    assert groups[0] == groups[1]
    assert 225 not in groups[0]
    assert len(groups[0]) > 400


def test_rows_count_what_the_attempts_say():
    attempts = {
        "225": {"requested": 5, "reached": 0, "draws": 10, "wrong_group_221": 4, "wrong_group_229": 6},
        "001": {"requested": 5, "reached": 5, "draws": 7, "wrong_group_2": 1, "too_many_sites": 1},
        "196": {"requested": 5, "reached": 0, "draws": 0, "out_of_reach": 5},
    }
    first, second, third = group_rows(attempts)
    assert list(first) == list(second) == list(third)
    assert [row["spacegroup_number"] for row in (first, second, third)] == [1, 196, 225]
    assert (first["wrong_group"], first["too_many_sites"], third["too_many_sites"]) == (1, 1, 0)
    assert first["wrong_group_share"] == 1 / 6
    assert (second["out_of_reach"], second["wrong_group_share"]) == (5, "")
    assert (third["wrong_group_share"], third["most_frequent_wrong"]) == (1.0, 229)
    # F 2 3 differs from F -4 3 m in its general position alone, which has 48 points.
    assert [row["least_group_of_30_atoms"] for row in (first, second, third)] == [1, 216, 225]


def test_tables_are_written(structures, generated, tmp_path):
    (tmp_path / "attempts.json").write_text(json.dumps({"001": {"requested": 1, "reached": 1, "draws": 1}}))
    outs = {name: tmp_path / f"{name}.csv" for name in ("comparison_out", "histograms_out", "groups_out")}
    write_evidence(structures, generated, tmp_path / "attempts.json", **outs)
    comparison, bins, groups = (pd.read_csv(path) for path in outs.values())
    assert len(comparison) > 40
    assert len(groups) == 1
    sums = bins.groupby(["crystal_system", "quantity"])[["real", "generated"]].sum()
    assert np.allclose(sums, 1, atol=1e-4)
    assert len(sums) == len(comparison)


def test_real_and_generated_crystals_without_a_common_group_are_not_compared(structures, tmp_path, caplog):
    table = pq.read_table(structures)
    numbers = table["spacegroup_number"].to_numpy()
    paths = [tmp_path / "real.parquet", tmp_path / "generated.parquet"]
    for path, rows in zip(paths, (numbers < 100, numbers > 100), strict=True):
        pq.write_table(table.filter(rows).slice(0, 20), path)
    (tmp_path / "attempts.json").write_text(json.dumps({"225": {"requested": 1, "reached": 1, "draws": 1}}))
    outs = {name: tmp_path / f"{name}.csv" for name in ("comparison_out", "histograms_out", "groups_out")}
    write_evidence(*paths, tmp_path / "attempts.json", **outs)
    assert [path.read_text() for path in outs.values()][:2] == ["", ""]
    assert pd.read_csv(outs["groups_out"])["reached"].tolist() == [1]
    assert "no space group has both real and generated crystals" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_copies_keep_what_they_should(structures, statistics, tmp_path, kind):
    table = pq.read_table(structures).slice(100, 80)
    pq.write_table(table, tmp_path / "real.parquet")
    outs = {"structures_out": tmp_path / "copies.parquet", "quarantine_out": tmp_path / "q.parquet"}
    counts = randomised_copies(tmp_path / "real.parquet", statistics, Randomisation(kind, 1, 0.01), **outs)
    copies = pq.read_table(outs["structures_out"]).to_pylist()
    assert counts["received"] == 80
    assert counts["accepted"] == len(copies) > 70
    real = {row["structure_id"].partition(":")[2]: row for row in table.to_pylist()}
    for copy in copies:
        source, _, identifier = copy["structure_id"].partition(":")
        row = real[identifier]
        assert source == copy["source"] == f"aflow-random-{kind}"
        assert (copy["formula"], copy["spacegroup_number"]) == (row["formula"], row["spacegroup_number"])
        before, after = (read_cleaned(r["cif"]) for r in (row, copy))
        assert before.composition() == pytest.approx(after.composition())
        volumes = [gemmi.UnitCell(*crystal.cell).volume for crystal in (before, after)]
        assert volumes[0] == pytest.approx(volumes[1], rel=1e-6)
        if kind == "coordinates":
            assert np.array_equal(before.cell, after.cell)
        if kind == "lattice":
            assert np.array_equal(before.frac, after.frac)
    changed = [
        atoms(copy["cif"]) != atoms(real[copy["structure_id"].partition(":")[2]]["cif"]) for copy in copies
    ]
    assert sum(changed) > 40


def test_copies_of_several_sources_are_in_the_order_of_their_ids(structures, statistics, tmp_path):
    """`mp2:` stands before `mp:`, and `mp2-random-...` after `mp-random-...`."""
    table = pq.read_table(structures).slice(100, 12)
    ids = [i.partition(":")[2] for i in table["structure_id"].to_pylist()]
    parts = []
    for source in ("mp-x", "mp2", "mp"):
        named = [f"{source}:{i}" for i in ids]
        at = table.schema.get_field_index("structure_id")
        parts.append(table.set_column(at, table.schema.field(at), pa.array(named, pa.string())))
    joined = pa.concat_tables(parts)
    assert joined["structure_id"].to_pylist() == sorted(joined["structure_id"].to_pylist())
    pq.write_table(joined, tmp_path / "real.parquet")
    outs = {"structures_out": tmp_path / "copies.parquet", "quarantine_out": tmp_path / "q.parquet"}
    drawn = Randomisation("coordinates", 1, 0.01)
    counts = randomised_copies(tmp_path / "real.parquet", statistics, drawn, **outs)
    copies = pq.read_table(outs["structures_out"], columns=["structure_id"])["structure_id"].to_pylist()
    assert counts["received"] == 36
    assert len(copies) > 30
    assert copies == sorted(copies)


def atoms(cif):
    """The text without its first line, which holds the id."""
    return cif.split("\n", 1)[1]


def test_an_unknown_kind_is_named(structures, statistics, tmp_path):
    outs = {"structures_out": tmp_path / "a", "quarantine_out": tmp_path / "b"}
    with pytest.raises(XtinctError, match="'colours'"):
        randomised_copies(structures, statistics, Randomisation("colours", 1, 0.01), **outs)
