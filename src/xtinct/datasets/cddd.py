"""Line lists of crystal structures: CDDD, and GCDD for generated crystals.

A structure that has no lines, or too many, becomes a row of quarantine with its reason; nothing is
lost: accepted + quarantined = received.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import gemmi
import numpy as np
import pyarrow as pa

from xtinct.datasets.manifest import file_identity
from xtinct.datasets.splits import split_of, structure_split_keys
from xtinct.files.parquet import open_parquet, write_parquet
from xtinct.files.schema import CELL, LINES, QUARANTINE, STRUCTURES, check_table
from xtinct.files.shards import iter_rows, merge_shards, shard_rows
from xtinct.lattices.conventional import conventional_cell, conventional_cell_errors
from xtinct.linelists import wang2025
from xtinct.linelists.gemmi_tables import dispersion
from xtinct.linelists.line_lists import LineLists
from xtinct.linelists.line_tables import count_rows, lines_table
from xtinct.linelists.scattering import ISOTOPES, scatterer_number
from xtinct.linelists.structure_factors import (
    StructureRefusedError,
    preferred_orientation,
    structure_lines,
)
from xtinct.symmetry.families import FAMILIES, family_of

#: Columns of `structures.parquet` that lines are made from.
_COLUMNS = (
    *("structure_id", "formula", "spacegroup_number", *CELL),
    *("cif", "protostructure", "source", "licence"),
)
#: Structures whose lines are held in memory at a time.
_HELD = 256
#: Relative (lengths) or absolute (degrees) departure from the family's metric that printing explains.
_METRIC_TOLERANCE = 1e-3

#: Reasons of this module beside those of `linelists.structure_factors.REASONS`.
REASONS = {
    "unreadable_cif": "the CIF does not parse into atoms",
    "cell_not_conventional": "the cell does not have the metric of its space group's family",
    "family_not_built": "a crystal family that the configuration does not list",
}


def cddd_config(config: Mapping[str, object], dataset: str = "cddd") -> dict[str, object]:
    """The part of a full configuration that the dataset's lines depend on, the seed excepted."""
    return {
        "lines": dict(config["lines"]),
        "split": config["splits"][dataset],
        "fractions": dict(config["splits"]["fractions"]),
    }


def read_atoms(cif: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cell (6,), scatterers (n,), fractional coordinates (n, 3) and occupancies (n,) of a CIF.

    Scatterers are numbered as `scatterer_number` does: by atomic number, isotopes of hydrogen apart.

    Symmetry that the CIF states is applied; atoms on special positions come out once.
    StructureRefusedError (unreadable_cif) if there is not one block with atoms.
    """
    try:
        small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(cif).sole_block())
        sites = small.get_all_unit_cell_sites()
    except (ValueError, RuntimeError, IndexError) as error:
        raise StructureRefusedError("unreadable_cif", str(error).splitlines()[0][:200]) from None
    if not sites:
        raise StructureRefusedError("unreadable_cif", "no atom sites")
    return (
        np.array(small.cell.parameters),
        np.array([_scatterer(site) for site in sites], dtype=np.int64),
        np.array([site.fract.tolist() for site in sites]),
        np.array([site.occ for site in sites]),
    )


def _scatterer(site: gemmi.SmallStructure.Site) -> int:
    # gemmi knows D, but not T.
    symbol = site.type_symbol if site.type_symbol in ISOTOPES else site.element.name
    return scatterer_number(symbol, site.element.atomic_number)


def structure_line_list(
    cif: str, spacegroup_number: int, lines: Mapping[str, object]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cell (6,) and merged lines (d_star, intensity) of a conventional cell in P 1 form.

    `lines`: the configuration's `lines`. The metric is made exact for the group's family, so that
    hkl of equal d are one line. StructureRefusedError with the reason if there are no lines to have.
    """
    cell, species, frac, occupancy = read_atoms(cif)
    family = family_of(spacegroup_number)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = conventional_cell_errors(family, cell[None])[0]
    # A cell that is no cell at all (error not finite) is refused, with its own reason, below.
    if np.isfinite(error) and error > _METRIC_TOLERANCE:
        raise StructureRefusedError(
            "cell_not_conventional", f"space group {spacegroup_number} on a cell {tuple(cell.tolist())}"
        )
    cell = conventional_cell(family, cell)
    common = {
        key: lines[key] for key in ("d_star_max", "b_iso", "radiation", "intensity_floor", "max_reflections")
    }
    if lines.get("convention") == "wang2025":
        d_star, intensity = wang2025.structure_lines(cell, species, frac, occupancy, **common)
    else:
        d_star, intensity = structure_lines(
            cell,
            species,
            frac,
            occupancy,
            dispersion=dispersion(lines["anomalous"]) if lines.get("anomalous") else None,
            **preferred_orientation(lines),
            **common,
        )
    return cell, d_star, intensity


def build_shard(
    structures: str | Path,
    *,
    lines: Mapping[str, object],
    split: str,
    fractions: Mapping[str, float],
    seed: int,
    shard: int,
    shards: int,
    lines_out: Mapping[str, str | Path],
    quarantine_out: str | Path,
    dataset: str = "cddd",
) -> dict[str, int]:
    """Lines of one part of a table of structures (schema STRUCTURES, ordered by structure_id).

    lines           the configuration's `lines`
    split           `splits.cddd`: random, formula, protostructure or source
    fractions       `splits.fractions`
    lines_out       family -> file to write (schema LINES); a structure of another family is quarantined
    quarantine_out  file to write (schema QUARANTINE)
    dataset         name in the `dataset` column and in the sample ids

    Returns counts: received, accepted, quarantined.
    """
    file = open_parquet(structures)
    check_table(file.schema_arrow, STRUCTURES, str(structures))
    rows = shard_rows(file.metadata.num_rows, shard, shards)
    quarantine: list[dict[str, object]] = []
    accepted = 0
    for family, out in lines_out.items():
        tables = _family_tables(structures, rows, family, lines, split, fractions, seed, dataset, quarantine)
        accepted += write_parquet(out, tables, LINES)
    for family in FAMILIES:
        if family not in lines_out:
            for row in _rows_of(structures, rows, family, ["structure_id", "spacegroup_number"]):
                error = StructureRefusedError("family_not_built", f"{family} is not among the families")
                quarantine.append(_quarantine_row(row["structure_id"], dataset, error))
    quarantine.sort(key=lambda row: row["structure_id"])
    write_parquet(quarantine_out, [pa.Table.from_pylist(quarantine, schema=QUARANTINE)], QUARANTINE)
    counts = {"received": len(rows), "accepted": accepted, "quarantined": len(quarantine)}
    if accepted + len(quarantine) != len(rows):
        raise AssertionError(f"{structures}, shard {shard}: {counts}")
    return counts


def _rows_of(
    structures: str | Path, rows: range, family: str, columns: Sequence[str]
) -> Iterator[dict[str, object]]:
    for batch in iter_rows(structures, rows, columns, batch_size=_HELD):
        for row in batch.to_pylist():
            if family_of(row["spacegroup_number"]) == family:
                yield row


def _family_tables(
    structures, rows, family, lines, split, fractions, seed, dataset, quarantine
) -> Iterator[pa.Table]:
    held: list[dict[str, object]] = []
    for row in _rows_of(structures, rows, family, _COLUMNS):
        try:
            row["cell"], row["d_star"], row["intensity"] = structure_line_list(
                row.pop("cif"), row["spacegroup_number"], lines
            )
        except StructureRefusedError as error:
            quarantine.append(_quarantine_row(row["structure_id"], dataset, error))
            continue
        held.append(row)
        if len(held) == _HELD:
            yield _table(held, split, fractions, seed, dataset)
            held = []
    if held:
        yield _table(held, split, fractions, seed, dataset)


def _quarantine_row(structure_id: str, dataset: str, error: StructureRefusedError) -> dict[str, object]:
    return {
        "structure_id": structure_id,
        "stage": dataset,
        "reason": error.reason,
        "detail": str(error),
        "raw_sha256": None,
    }


def sample_id(dataset: str, structure_id: str) -> str:
    """Sample id of a structure: dataset, hyphen, structure id; the source `dataset:` is not repeated."""
    return f"{dataset}-{structure_id.removeprefix(f'{dataset}:')}"


def _table(rows, split, fractions, seed, dataset) -> pa.Table:
    ids = [row["structure_id"] for row in rows]
    keys = structure_split_keys(
        split,
        ids,
        [row["formula"] for row in rows],
        [row["protostructure"] for row in rows],
        [row["source"] for row in rows],
    )
    return lines_table(
        dataset=dataset,
        sample_ids=[sample_id(dataset, structure_id) for structure_id in ids],
        numbers=[row["spacegroup_number"] for row in rows],
        splits=split_of(keys, fractions, seed),
        cells=np.stack([row["cell"] for row in rows]),
        lines=LineLists(
            np.cumsum([0, *(len(row["d_star"]) for row in rows)]),
            np.concatenate([row["d_star"] for row in rows]),
            np.concatenate([row["intensity"] for row in rows]),
        ),
        origins=ids,
        seed=seed,
        sources=[(row["source"], row["licence"]) for row in rows],
    )


def merge(
    shards: Sequence[str | Path],
    *,
    out: str | Path,
    seed: int,
    config: Mapping[str, object],
    dataset: str = "cddd",
) -> int:
    """Join the shards' line tables of one family into `out` and return its rows.

    `config`: what `cddd_config` returns; stored in the file's metadata with seed and version.
    """
    metadata = {**file_identity(dataset, seed, config), "rows": count_rows(shards)}
    return merge_shards(shards, out, schema=LINES, metadata=metadata)


def merge_quarantine(shards: Sequence[str | Path], *, out: str | Path) -> int:
    """Join the shards' quarantine tables into `out` and return its rows."""
    return merge_shards(shards, out, schema=QUARANTINE, key="structure_id")
