import gemmi
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spglib
from pymatgen.core import Structure

from xtinct.datasets.cddd import structure_line_list
from xtinct.errors import XtinctError
from xtinct.files.parquet import file_metadata, write_parquet
from xtinct.files.schema import CELL, RAW
from xtinct.lattices.conventional import conventional_cell_errors
from xtinct.structures.cleaning import clean_or_reject, clean_shard, merge
from xtinct.structures.labels import prototype
from xtinct.structures.parsing import expand, read_listing
from xtinct.symmetry.families import FAMILIES, crystal_system

CLEANING = {
    "symprec": 0.01,
    "second_finder": True,
    "disordered": "keep",
    "missing_hydrogen": "keep",
    "max_gap": 0,
    "max_sites": 400,
    "min_distance": 0.3,
    "protostructures": True,
}
PROTOTYPES = pq.read_table("data/prototypes/aflow_prototypes.parquet").to_pylist()


def raw_row(identifier, cif, declared=0, error=""):
    return {
        "structure_id": f"own:{identifier}",
        "cif": cif,
        "spacegroup_declared": declared,
        "source": "own",
        "source_version": "1",
        "licence": "CC0-1.0",
        "error": error,
    }


def clean(cif, **cleaning):
    return clean_or_reject(raw_row("x", cif), {**CLEANING, **cleaning})


@pytest.fixture(scope="module")
def cleaned():
    """Every third prototype: (source row, cleaned row)."""
    pairs = [(row, clean(row["cif"])) for row in PROTOTYPES[::3]]
    assert sum(table == "structures" for _, (table, _) in pairs) > 355
    return [(row, result) for row, (table, result) in pairs if table == "structures"]


def test_group_is_that_of_the_encyclopedia(cleaned):
    agree = [row["spacegroup_number"] == result["spacegroup_number"] for row, result in cleaned]
    # The Encyclopedia rounds coordinates: about 1 in 100 has a higher symmetry within 0.01 angstrom.
    assert np.mean(agree) > 0.98
    assert all(
        row["spacegroup_number"] == result["spacegroup_declared"] or row["spacegroup_number"] == 1
        for row, result in cleaned
    )


def test_both_finders_nearly_always_agree(cleaned):
    assert (
        np.mean([result["spacegroup_number"] == result["spacegroup_spglib"] for _, result in cleaned]) > 0.99
    )


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # of spglib's own making
def test_written_cell_has_exactly_the_group_found(cleaned):
    # An independent finder, at a tolerance that only exact symmetry meets.
    for _, result in cleaned[::3]:
        crystal = expand(read_listing(result["cif"]), max_sites=1000, min_distance=0.1)
        kinds = {kind: i + 1 for i, kind in enumerate(sorted(set(crystal.species)))}
        cell = (crystal.basis, crystal.frac, [kinds[kind] for kind in crystal.species])
        assert spglib.get_symmetry_dataset(cell, symprec=1e-6).number == result["spacegroup_number"], result[
            "cif"
        ]


def test_cell_is_conventional_and_its_metric_exact(cleaned):
    for _, result in cleaned:
        family = next(
            f for f, own in FAMILIES.items() if crystal_system(result["spacegroup_number"]) in own.systems
        )
        cell = np.array([[result[name] for name in CELL]])
        assert conventional_cell_errors(family, cell)[0] == 0
        small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(result["cif"]).sole_block())
        assert np.array_equal(small.cell.parameters, cell[0])


def test_atoms_are_neither_lost_nor_won(cleaned):
    for row, result in cleaned:
        before = expand(read_listing(row["cif"]), max_sites=2000, min_distance=0.3)
        after = expand(read_listing(result["cif"]), max_sites=2000, min_distance=0.3)
        volumes = [abs(np.linalg.det(crystal.basis)) for crystal in (before, after)]
        densities = [
            {symbol: amount / volume for symbol, amount in crystal.composition().items()}
            for crystal, volume in zip((before, after), volumes, strict=True)
        ]
        assert densities[0].keys() == densities[1].keys()
        # Symmetrisation may strain the cell within the tolerance of the search.
        assert np.allclose(list(densities[0].values()), list(densities[1].values()), rtol=5e-3)


@pytest.fixture(scope="module")
def protostructures():
    """The module of pymatgen: it takes five seconds to import, which are paid where these tests run alone."""
    from pymatgen.analysis import prototypes

    return prototypes


@pytest.mark.filterwarnings("ignore:gcd is deprecated:FutureWarning")  # pymatgen's own call of monty
def test_labels_are_those_of_pymatgen(cleaned, protostructures):
    label, n = protostructures.get_protostructure_label_from_moyopy, 0
    for row, result in cleaned:
        crystal = expand(read_listing(row["cif"]), max_sites=2000, min_distance=0.3)
        if not crystal.disordered:
            structure = Structure(crystal.basis, [kind[0][0] for kind in crystal.species], crystal.frac)
            assert label(structure, symprec=0.01) == result["protostructure"]
            n += 1
    assert n > 300


def test_prototypes_group_labels_as_pymatgen_does(cleaned, protostructures):
    labels = sorted(
        {result["protostructure"] for _, result in cleaned if len(result["protostructure"].split("_")) < 8}
    )
    ours = [prototype(label) for label in labels]
    theirs = [protostructures.get_prototype_from_protostructure(label) for label in labels]
    assert [ours.index(x) for x in ours] == [theirs.index(x) for x in theirs]
    assert len(labels) > 200


def test_isotypes_share_a_prototype_whatever_their_elements_are_called():
    # Rutile: O-Ti lists oxygen first, Cr-O lists it last.
    assert prototype("A2B_tP6_136_f_a:O-Ti") == prototype("AB2_tP6_136_a_f:Cr-O")
    # Rock salt with the origin on either ion; sphalerite differs.
    assert prototype("AB_cF8_225_a_b:Cl-Na") == prototype("AB_cF8_225_b_a:Cl-Na")
    assert prototype("AB_cF8_225_a_b:Cl-Na") != prototype("AB_cF8_216_a_c:S-Zn")


ROCK_SALT = """data_NaCl
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Na1 Na1+ 0 0 0 1
Cl1 Cl1- 0.5 0.5 0.5 1
"""


def test_rock_salt():
    table, row = clean(ROCK_SALT)
    assert table == "structures"
    assert (row["formula"], row["spacegroup_number"], row["spacegroup_spglib"], row["n_sites"]) == (
        "NaCl",
        225,
        225,
        8,
    )
    assert row["protostructure"] == "AB_cF8_225_a_b:Cl-Na"
    assert (row["a"], row["alpha"], row["crystal_system"]) == (5.64, 90.0, "cubic")


def test_which_atoms_share_a_site_decides_the_symmetry():
    # Half of the sodium sites hold a mixture: told apart from pure sites, this is no rock salt any more.
    p1 = clean(ROCK_SALT)[1]["cif"]
    lines = p1.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("Na1 "))
    site = lines[first].rsplit(" ", 1)[0]
    lines[first] = f"{site} 0.5"
    lines.insert(first + 1, site.replace("Na1 Na", "K1 K") + " 0.5")
    table, row = clean("\n".join(lines))
    assert table == "structures"
    assert row["spacegroup_number"] == 221
    assert row["formula"] == "K0.5Na3.5Cl4"
    assert "(K0.5Na0.5)" in row["protostructure"]
    assert clean("\n".join(lines), disordered="reject")[1]["reason"] == "disordered"


GRAPHENE = """data_graphene
_cell_length_a 2.46
_cell_length_b 2.46
_cell_length_c 20
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
C1 0.333333333 0.666666667 0.98
C2 0.666666667 0.333333333 0.98
"""
HYDRIDE = ROCK_SALT.replace("data_NaCl", "data_x\n_chemical_formula_sum 'Cl H2 Na'")


def test_layers_in_vacuum_are_known_by_the_empty_slab():
    assert clean(GRAPHENE)[0] == "structures"
    assert clean(GRAPHENE, max_gap=10)[1]["reason"] == "low_dimensional"
    assert clean(GRAPHENE.replace("length_c 20", "length_c 6.7"), max_gap=10)[0] == "structures"
    assert clean(ROCK_SALT, max_gap=10)[0] == "structures"


@pytest.mark.parametrize(
    ("cif", "cleaning", "reason"),
    [
        (HYDRIDE, {"missing_hydrogen": "reject"}, "missing_hydrogen"),
        ("garbage", {}, "unreadable"),
        (ROCK_SALT, {"max_sites": 7}, "too_many_sites"),
        (ROCK_SALT, {"min_distance": 2.9}, "atoms_too_close"),
        (ROCK_SALT.replace("5.64", "nan"), {}, "bad_cell"),
    ],
)
def test_rejected_rows_carry_reason_and_hash(cif, cleaning, reason):
    table, row = clean(cif, **cleaning)
    assert (table, row["reason"]) == ("quarantine", reason)
    assert len(row["raw_sha256"]) == 64
    assert row["detail"]
    assert "\n" not in row["detail"]


def write_raw(path, rows):
    about = {"source": "own", "kind": "files", "source_version": "1", "licence": "CC0-1.0"}
    write_parquet(path, [pa.Table.from_pylist(rows, schema=RAW)], RAW, about)
    return path


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    rows = [
        raw_row(f"p{i:04d}", row["cif"], row["spacegroup_number"]) for i, row in enumerate(PROTOTYPES[::20])
    ]
    rows[7]["cif"] = "garbage"
    rows[20]["cif"] = ROCK_SALT.replace("5.64", "0")
    rows.insert(11, raw_row("p0003#2", "again", error="duplicate_id: p0003 came before"))
    return write_raw(tmp_path_factory.mktemp("raw") / "own.parquet", rows[::-1])


def build(raw, folder, shards, time_limit=60.0):
    parts = {"structures": [], "quarantine": []}
    for shard in range(shards):
        outs = {name: folder / f"{name}-{shard}.parquet" for name in parts}
        clean_shard(
            raw=[raw],
            cleaning=CLEANING,
            shard=shard,
            shards=shards,
            structures_out=outs["structures"],
            quarantine_out=outs["quarantine"],
            time_limit=time_limit,
        )
        for name, out in outs.items():
            parts[name].append(out)
    outs = {name: folder / f"{name}.parquet" for name in parts}
    manifest = merge(
        raw=[raw],
        **parts,
        structures_out=outs["structures"],
        quarantine_out=outs["quarantine"],
        manifest_out=folder / "manifest.json",
        metadata={"seed": 1},
    )
    return manifest, [outs["structures"], outs["quarantine"], folder / "manifest.json"]


def test_bytes_do_not_depend_on_shards_and_nothing_is_lost(raw, tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "3").mkdir()
    manifest, one = build(raw, tmp_path / "1", 1)
    _, three = build(raw, tmp_path / "3", 3)
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in three]
    assert manifest["accepted"] + manifest["quarantined"] == manifest["received"] == len(PROTOTYPES[::20]) + 1
    assert manifest["by_reason"] == {"unreadable": 1, "bad_cell": 1, "duplicate_id": 1}
    ids = pq.read_table(one[0])["structure_id"].to_pylist()
    assert ids == sorted(set(ids))
    assert file_metadata(one[0])["seed"] == 1


def test_counts_say_how_files_stand_to_their_own_words(tmp_path):
    def saying(formula, z, symbol="F m -3 m"):
        words = f"data_x\n_chemical_formula_sum '{formula}'\n_cell_formula_units_Z {z}"
        return ROCK_SALT.replace("data_NaCl", words).replace("F m -3 m", symbol)

    incomplete = "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\nloop_\n_atom_site_label"
    silicon = ROCK_SALT.partition("Na1")[0].replace("5.64", "5.431").replace("F m -3 m", "F d 3 m")
    texts = {
        "a": saying("Cl Na", 4),
        "b": saying("Cl Na", 4).replace("loop_\n_atom_site_label", incomplete),
        "c": saying("Cl Na", 3),
        "d": ROCK_SALT,
        "e": silicon + "Si1 Si 0 0 0 1\n",
        "f": silicon.replace("data_NaCl", "data_x\n_exptl_crystal_density_diffrn 2.33") + "Si1 Si 0 0 0 1\n",
        "g": "garbage",
    }
    path = write_raw(tmp_path / "own.parquet", [raw_row(name, text) for name, text in texts.items()])
    (tmp_path / "1").mkdir()
    (tmp_path / "3").mkdir()
    manifest, outs = build(path, tmp_path / "1", 1)
    assert manifest == build(path, tmp_path / "3", 3)[0]
    assert manifest["sources"]["own"]["own_words"] == {
        "agreeing": 1,
        "resolved": 2,
        "contradicting": 2,
        "silent": 1,
    }
    assert manifest["by_reason"] == {"contradiction": 1, "ambiguous_setting": 1, "unreadable": 1}
    rows = {row["structure_id"]: row for row in pq.read_table(outs[1]).to_pylist()}
    assert "Cl4 Na4 read" in rows["own:c"]["detail"]
    assert "Cl3 Na3 stated" in rows["own:c"]["detail"]


def test_letters_beyond_ascii_in_a_name_do_not_lose_the_structure():
    table, row = clean_or_reject(raw_row("\u00dcberstruktur\u00b2", ROCK_SALT), CLEANING)
    assert table == "structures"
    assert row["cif"].isascii()
    assert len(expand(read_listing(row["cif"]), max_sites=100, min_distance=0.3)) == 8


def test_deuterium_and_tritium_keep_their_neutron_lengths_through_the_pipeline():
    """F111^2 / F200^2 of rock salt is ((b1 - b2) / (b1 + b2))^2: Sears, Neutron News 3(3), 26 (1992)."""
    lithium = -1.90
    lines = {"d_star_max": 0.6, "b_iso": 0, "intensity_floor": 1e-9, "max_reflections": 10000}
    for symbol, length in {"H": -3.739, "D": 6.671, "T": 4.792}.items():
        text = ROCK_SALT.replace("Na1 Na1+", "Li1 Li").replace("Cl1 Cl1-", f"{symbol}1 {symbol}")
        row = clean(text)[1]
        assert row["protostructure"] == "AB_cF8_225_a_b:H-Li"
        _, _, intensity = structure_line_list(row["cif"], 225, {**lines, "radiation": "neutron"})
        ratio = (intensity[0] / 8) / (intensity[1] / 6)
        assert ratio == pytest.approx(((lithium - length) / (lithium + length)) ** 2, rel=2e-3)
        _, _, xrays = structure_line_list(row["cif"], 225, {**lines, "radiation": "xray"})
        hydride = clean(text.replace(f"{symbol}1 {symbol}", "H1 H"))[1]["cif"]
        assert np.array_equal(xrays, structure_line_list(hydride, 225, {**lines, "radiation": "xray"})[2])


def test_an_entry_that_takes_too_long_is_quarantined(tmp_path):
    path = write_raw(
        tmp_path / "own.parquet", [raw_row(str(i), row["cif"]) for i, row in enumerate(PROTOTYPES[:2])]
    )
    manifest, _ = build(path, tmp_path, 1, time_limit=0.0)
    assert manifest["by_reason"] == {"timeout": 2}


def test_the_same_id_twice_is_an_error(raw, tmp_path):
    build(raw, tmp_path, 1)
    part = tmp_path / "structures-0.parquet"
    outs = {"structures_out": tmp_path / "s.parquet", "quarantine_out": tmp_path / "q.parquet"}
    with pytest.raises(XtinctError, match=r"own:p0000.*twice"):
        merge(raw=[raw], structures=[part, part], quarantine=[], manifest_out=tmp_path / "m.json", **outs)
    assert not (tmp_path / "s.parquet").exists()


def test_lost_rows_are_noticed(raw, tmp_path):
    build(raw, tmp_path, 2)
    outs = {"structures_out": tmp_path / "s.parquet", "quarantine_out": tmp_path / "q.parquet"}
    with pytest.raises(AssertionError, match="received"):
        merge(
            raw=[raw],
            structures=[tmp_path / "structures-0.parquet"],
            quarantine=[tmp_path / "quarantine-0.parquet"],
            manifest_out=tmp_path / "m.json",
            **outs,
        )
