import pyarrow as pa
import pyarrow.parquet as pq

from xtinct.datasets.structure_splits import write_structure_splits
from xtinct.files.schema import STRUCTURE_SPLITS, STRUCTURES, check_table

FRACTIONS = {"train": 0.6, "validation": 0.2, "test": 0.2}


def row(structure_id, formula, a, protostructure="AB_cF8_225_a_b:Cl-Na"):
    values = {"a": a, "b": a, "c": a, "alpha": 90.0, "beta": 90.0, "gamma": 90.0}
    values |= {"structure_id": structure_id, "formula": formula, "protostructure": protostructure}
    values |= {
        "source": structure_id.partition(":")[0],
        "spacegroup_number": 225,
        "symprec": 0.01,
        "n_sites": 8,
    }
    for name in ("crystal_system", "cif", "source_version", "licence"):
        values[name] = "x"
    return {name: values.get(name) for name in STRUCTURES.names}


def build(rows, tmp_path):
    pq.write_table(pa.Table.from_pylist(rows, schema=STRUCTURES), tmp_path / "s.parquet")
    counts = write_structure_splits(
        tmp_path / "s.parquet", tmp_path / "out.parquet", fractions=FRACTIONS, seed=2
    )
    table = pq.read_table(tmp_path / "out.parquet")
    check_table(table, STRUCTURE_SPLITS, "out")
    assert counts["structures"] == len(rows) == table.num_rows
    return counts, table.to_pylist()


def test_the_same_crystal_is_linked_across_sources_and_kept(tmp_path):
    rows = [
        row("cod:1", "NaCl", 5.640),
        row("cod:2", "NaCl", 5.400),  # the same salt under pressure: another cell
        row("mp:1", "NaCl", 5.691),  # calculated: 0.9 % longer
        row("mp:2", "NaF", 5.640),
        row("mp:3", "NaCl", 5.640, protostructure=None),
    ]
    counts, links = build(rows, tmp_path)
    assert [link["duplicate_of"] for link in links] == ["cod:1", "cod:2", "cod:1", "mp:2", "mp:3"]
    assert counts["duplicates"] == 1


def test_small_differences_do_not_chain(tmp_path):
    # Each cell is 1.5 % longer than the one before: the third is no duplicate of the first.
    rows = [row(f"a:{i}", "NaCl", 5.0 * 1.015**i) for i in range(3)]
    _, links = build(rows, tmp_path)
    assert [link["duplicate_of"] for link in links] == ["a:0", "a:0", "a:2"]


def test_no_group_crosses_its_split(tmp_path):
    rows = [
        row(f"{source}:{i:03d}", f"NaBr{i % 50}", 5.0, protostructure=f"AB{i % 40 + 2}_cF8_225_a_b:Cl-Na")
        for source in ("cod", "mp")
        for i in range(300)
    ]
    _, links = build(rows, tmp_path)
    groups = {
        "formula": lambda r: r["formula"],
        "protostructure": lambda r: r["protostructure"],
        "source": lambda r: r["source"],
    }
    for kind, group_of in groups.items():
        part = {}
        for structure, link in zip(rows, links, strict=True):
            assert part.setdefault(group_of(structure), link[kind]) == link[kind]
    for kind in ("random", "formula", "protostructure"):
        assert {link[kind] for link in links} == set(FRACTIONS)
