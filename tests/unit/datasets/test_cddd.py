"""CDDD: structures in, lines and quarantine out, nothing lost."""

import json
from collections import Counter

import gemmi
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xtinct.datasets import cddd
from xtinct.datasets.cddd import build_shard
from xtinct.datasets.manifest import write_manifest
from xtinct.datasets.merging import merge_lines, merge_quarantine
from xtinct.datasets.settings import CrystalSettings
from xtinct.datasets.structure_splits import write_structure_splits
from xtinct.errors import XtinctError
from xtinct.files.parquet import write_parquet
from xtinct.files.schema import LINES, QUARANTINE, STRUCTURES, check_table
from xtinct.files.shards import Shard
from xtinct.linelists.line_tables import line_lists
from xtinct.linelists.structure_factors import REASONS, StructureRefusedError
from xtinct.symmetry.families import FAMILIES, crystal_system

LINE_SETTINGS = {
    "d_star_max": 0.93,
    "radiation": "xray",
    "b_iso": 0.5,
    "max_reflections": 20_000,
    "intensity_floor": 1e-9,
}
FRACTIONS = {"train": 0.6, "validation": 0.2, "test": 0.2}
HEADER = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")


def p1_cif(cell, atoms) -> str:
    tags = [f"_cell_length_{x}" for x in "abc"] + [f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma")]
    return "\n".join(
        [
            "data_x",
            "_space_group_name_H-M_alt 'P 1'",
            *(f"{tag} {value}" for tag, value in zip(tags, cell, strict=True)),
            "loop_",
            *(f"_atom_site_{name}" for name in HEADER),
            *(f"{el}{i} {el} {x} {y} {z} {occ}" for i, (el, x, y, z, occ) in enumerate(atoms)),
        ]
    )


FACES = ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))


def rock_salt(cation: str, anion: str, a: float) -> str:
    atoms = [(cation, *xyz, 1) for xyz in FACES] + [(anion, (x + 0.5) % 1, y, z, 1) for x, y, z in FACES]
    return p1_cif((a, a, a, 90, 90, 90), atoms)


def row(structure_id: str, number: int, cif: str, prototype: str | None = "p") -> dict:
    return {
        "structure_id": structure_id,
        "formula": structure_id.partition(":")[2],
        "spacegroup_number": number,
        "spacegroup_spglib": number,
        "spacegroup_declared": None,
        "symprec": 0.01,
        "crystal_system": crystal_system(number),
        **dict.fromkeys(("a", "b", "c"), 5.0),
        **dict.fromkeys(("alpha", "beta", "gamma"), 90.0),
        "n_sites": 8,
        "cif": cif,
        "protostructure": prototype,
        "source": "s",
        "source_version": "1",
        "licence": "none",
    }


ROWS = [
    row("s:KCl", 225, rock_salt("K", "Cl", 6.2931), "AB_cF8_225_a_b:Cl-K"),
    row("s:LiF", 225, rock_salt("Li", "F", 4.0270), "AB_cF8_225_a_b:F-Li"),
    row("s:NaCl", 225, rock_salt("Na", "Cl", 5.6402), "AB_cF8_225_a_b:Cl-Na"),
    row("s:broken", 225, "data_x\n_cell_length_a 'five"),
    row("s:empty", 225, "data_x\n_cell_length_a 5"),
    row("s:huge", 1, p1_cif((90, 90, 90, 90, 90, 90), [("Fe", 0, 0, 0, 1)])),
    row("s:nan", 2, p1_cif(("nan", 4, 4, 90, 90, 90), [("Fe", 0, 0, 0, 1)])),
    row("s:oblique", 221, p1_cif((4, 4, 4.2, 90, 90, 90), [("Fe", 0, 0, 0, 1)])),
    row(
        "s:rutile",
        136,
        p1_cif((4.5, 4.5, 2.9, 90, 90, 90), [("Ti", 0, 0, 0, 1), ("Ti", 0.5, 0.5, 0.5, 1)]),
        None,
    ),
    row("s:unobtainium", 221, p1_cif((4, 4, 4, 90, 90, 90), [("Og", 0, 0, 0, 1)])),
    row("s:vacant", 221, p1_cif((4, 4, 4, 90, 90, 90), [("Fe", 0, 0, 0, 0)])),
    row("s:zero", 47, p1_cif((0, 4, 5, 90, 90, 90), [("Fe", 0, 0, 0, 1)])),
]
EXPECTED_REASONS = {
    "s:broken": "unreadable_cif",
    "s:empty": "unreadable_cif",
    "s:huge": "too_many_reflections",
    "s:nan": "bad_cell",
    "s:oblique": "cell_not_conventional",
    "s:unobtainium": "unknown_scatterer",
    "s:vacant": "no_lines",
    "s:zero": "bad_cell",
}


@pytest.fixture(scope="module")
def structures(tmp_path_factory):
    path = tmp_path_factory.mktemp("structures") / "structures.parquet"
    write_parquet(path, [pa.Table.from_pylist(ROWS, schema=STRUCTURES)], STRUCTURES)
    return path


SETTINGS = CrystalSettings("cddd", LINE_SETTINGS, "protostructure", FRACTIONS, seed=3)


def build(structures, folder, shards, families=tuple(FAMILIES)):
    received, out = 0, {}
    for shard in range(shards):
        counts = build_shard(
            structures,
            SETTINGS,
            Shard(shard, shards),
            lines_out={family: folder / f"{shard}-{family}.parquet" for family in families},
            quarantine_out=folder / f"{shard}-quarantine.parquet",
        )
        assert counts["accepted"] + counts["quarantined"] == counts["received"]
        received += counts["received"]
    assert received == len(ROWS)
    for family in families:
        out[family] = folder / f"{family}.parquet"
        parts = [folder / f"{shard}-{family}.parquet" for shard in range(shards)]
        merge_lines(parts, out[family], SETTINGS.identity)
    quarantine = folder / "quarantine.parquet"
    merge_quarantine([folder / f"{s}-quarantine.parquet" for s in range(shards)], quarantine)
    return out, quarantine


def test_nothing_is_lost_and_every_refusal_has_its_reason(structures, tmp_path):
    tables, quarantine = build(structures, tmp_path, 3)
    rejected = pq.read_table(quarantine)
    check_table(rejected, QUARANTINE, "quarantine")
    reasons = dict(zip(rejected["structure_id"].to_pylist(), rejected["reason"].to_pylist(), strict=True))
    assert reasons == EXPECTED_REASONS
    assert set(reasons.values()) <= {*REASONS, *cddd.REASONS}
    accepted = [i for path in tables.values() for i in pq.read_table(path)["sample_id"].to_pylist()]
    assert sorted(accepted) == ["cddd-s:KCl", "cddd-s:LiF", "cddd-s:NaCl", "cddd-s:rutile"]
    manifest = write_manifest(
        tmp_path / "manifest.json",
        SETTINGS.identity,
        tables,
        quarantine=quarantine,
        received=len(ROWS),
    )
    assert manifest == json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["reasons"] == dict(Counter(EXPECTED_REASONS.values()))
    with pytest.raises(XtinctError, match="13 records received"):
        write_manifest(tmp_path / "m.json", SETTINGS.identity, tables, quarantine=quarantine, received=13)


def test_rows_carry_labels_cells_and_lines(structures, tmp_path):
    tables, _ = build(structures, tmp_path, 1)
    table = pq.read_table(tables["cubic"])
    check_table(table, LINES, "cddd")
    assert table["origin"].to_pylist() == ["s:KCl", "s:LiF", "s:NaCl"]
    assert table["extinction_class"].to_pylist() == ["F - - -"] * 3
    assert table["a"].to_pylist() == pytest.approx([6.2931, 4.0270, 5.6402])
    lines = line_lists(table)
    # Halite, PDF 5-628 (Cu K alpha1): 27.33, 31.69, 45.45, 53.85, 56.47 degrees.
    d_star, intensity = lines[2]
    two_theta = np.degrees(2 * np.arcsin(1.5406 / 2 * d_star))
    np.testing.assert_allclose(two_theta[:5], [27.334, 31.692, 45.449, 53.852, 56.477], atol=0.05)
    # With the Lorentz-polarisation factor, 200 is 100 and 220 about 55.
    theta = np.radians(two_theta / 2)
    measured = intensity * (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))
    assert measured.argmax() == 1
    assert measured[2] / measured[1] == pytest.approx(0.6, abs=0.06)
    # KCl: the ions have 18 electrons each, 111 all but vanishes (Bragg 1913).
    assert lines[0][1][0] < 0.01 * lines[0][1][1]


def test_one_prototype_is_one_part(structures, tmp_path):
    tables, _ = build(structures, tmp_path, 1)
    assert len(set(pq.read_table(tables["cubic"])["split"].to_pylist())) == 1


def test_bytes_do_not_depend_on_the_shards(structures, tmp_path):
    results = []
    for shards in (1, 4):
        folder = tmp_path / str(shards)
        folder.mkdir()
        tables, quarantine = build(structures, folder, shards)
        results.append([path.read_bytes() for path in (*tables.values(), quarantine)])
    assert results[0] == results[1]


def test_families_that_are_not_built_are_counted(structures, tmp_path):
    _, quarantine = build(structures, tmp_path, 2, families=("cubic",))
    rejected = pq.read_table(quarantine)
    counts = Counter(rejected["reason"].to_pylist())
    assert counts["family_not_built"] == 4  # rutile, huge, nan, zero


def test_generated_structures_have_their_own_ids():
    assert cddd.sample_id("gcdd", "gcdd:225-000017") == "gcdd-225-000017"
    assert cddd.sample_id("cddd", "mp:mp-149") == "cddd-mp:mp-149"


def test_symmetry_stated_in_a_cif_is_applied():
    """Quartz from its asymmetric unit: 3 Si on a special position, 6 O on a general one."""
    text = p1_cif(
        (4.9137, 4.9137, 5.4047, 90, 90, 120), [("Si", 0.4697, 0, 2 / 3, 1), ("O", 0.4135, 0.2669, 0.7858, 1)]
    )
    _, species, _, _ = cddd.read_atoms(text.replace("'P 1'", "'P 32 2 1'"))
    assert Counter(species.tolist()) == {14: 3, 8: 6}


def test_special_positions_keep_their_occupancy():
    """Full occupancy on a special position of multiplicity 4 of 192 stays 1 (gemmi counts images)."""
    text = p1_cif((5.64, 5.64, 5.64, 90, 90, 90), [("Na", 0, 0, 0, 1), ("Cl", 0.5, 0.5, 0.5, 0.25)])
    _, species, _, occupancy = cddd.read_atoms(text.replace("'P 1'", "'F m -3 m'"))
    assert len(gemmi.find_spacegroup_by_number(225).operations()) == 192
    assert (
        sorted(zip(species.tolist(), occupancy.tolist(), strict=True)) == [(11, 1.0)] * 4 + [(17, 0.25)] * 4
    )


def test_a_cif_that_is_not_one():
    for text in ("", "not a cif", "data_a\ndata_b"):
        with pytest.raises(StructureRefusedError) as refused:
            cddd.read_atoms(text)
        assert refused.value.reason == "unreadable_cif"


def test_contiguous_parts_are_those_of_the_table_in_any_number_of_shards(structures, tmp_path):
    """Rejected structures keep their place, so that the parts agree with those of the table of splits."""
    # Some rows of ROWS have a label that is none.
    unlabelled = pa.Table.from_pylist([r | {"protostructure": None} for r in ROWS], schema=STRUCTURES)
    write_parquet(tmp_path / "unlabelled.parquet", [unlabelled], STRUCTURES)
    write_structure_splits(
        tmp_path / "unlabelled.parquet", tmp_path / "splits.parquet", fractions=FRACTIONS, seed=3
    )
    splits = pq.read_table(tmp_path / "splits.parquet").to_pydict()
    expected = dict(zip(splits["structure_id"], splits["contiguous"], strict=True))
    assert Counter(expected.values()) == {"train": 7, "validation": 3, "test": 2}
    settings = CrystalSettings("cddd", LINE_SETTINGS, "contiguous", FRACTIONS, seed=3)
    for count in (1, 5):
        found = {}
        for number in range(count):
            out = {family: tmp_path / f"{family}-{count}-{number}.parquet" for family in FAMILIES}
            quarantine = tmp_path / "quarantine.parquet"
            build_shard(structures, settings, Shard(number, count), lines_out=out, quarantine_out=quarantine)
            for path in out.values():
                rows = pq.read_table(path).to_pydict()
                found |= dict(zip(rows["origin"], rows["split"], strict=True))
        assert len(found) == 4
        assert found.items() <= expected.items()


def test_groups_too_rare_in_training_are_quarantined_in_all_parts_and_shards(tmp_path):
    """Cut where it stands: three of group 225 and one of 221 are in training; of two at least, 225 stays."""
    rows = [row(f"s:{i}", 225, rock_salt("K", "Cl", 5 + i / 10)) for i in (1, 2, 3, 8)]
    rows += [row(f"s:{i}", 221, p1_cif((4, 4, 4, 90, 90, 90), [("Fe", 0, 0, 0, 1)])) for i in (4, 9)]
    rows.sort(key=lambda r: r["structure_id"])
    structures = tmp_path / "s.parquet"
    write_parquet(structures, [pa.Table.from_pylist(rows, schema=STRUCTURES)], STRUCTURES)
    fractions = {"train": 4 / 6, "validation": 0.0, "test": 2 / 6}

    def built(least, count=1):
        settings = CrystalSettings("cddd", LINE_SETTINGS, "contiguous", fractions, seed=3, least=least)
        lines, rejected = [], []
        for number in range(count):
            out, quarantine = tmp_path / "lines.parquet", tmp_path / "q.parquet"
            build_shard(
                structures,
                settings,
                Shard(number, count),
                lines_out={"cubic": out},
                quarantine_out=quarantine,
            )
            lines += pq.read_table(out).to_pylist()
            rejected += pq.read_table(quarantine).to_pylist()
        return {r["origin"]: r["split"] for r in lines}, {r["structure_id"]: r for r in rejected}

    kept, rejected = built(2)
    assert kept == {"s:1": "train", "s:2": "train", "s:3": "train", "s:8": "test"}
    assert set(rejected) == {"s:4", "s:9"}
    assert rejected["s:9"]["reason"] == "rare_group"
    assert rejected["s:9"]["detail"] == "space group 221 has 1 structures for training, fewer than 2"
    assert (built(2, count=3)[0], set(built(2, count=3)[1])) == (kept, set(rejected))
    assert len(built(0)[0]) == len(built(1)[0]) == 6
    assert built(4)[0] == {}
