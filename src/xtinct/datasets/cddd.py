"""Line lists of crystal structures: CDDD, and GCDD for generated crystals.

A structure that has no lines, or too many, becomes a row of quarantine with its reason; nothing is
lost: accepted + quarantined = received.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xtinct.datasets.settings import CrystalSettings
from xtinct.datasets.splits import STRUCTURE_COLUMNS, rare_groups, structure_parts
from xtinct.files.parquet import open_parquet, parquet_writer
from xtinct.files.quarantine import Quarantine
from xtinct.files.schema import LINES, STRUCTURES, check_table
from xtinct.files.shards import Shard, iter_rows
from xtinct.lattices.conventional import conventional_cell, conventional_cell_errors
from xtinct.linelists import wang2025
from xtinct.linelists.gemmi_tables import dispersion
from xtinct.linelists.line_lists import LineLists
from xtinct.linelists.line_tables import Samples, lines_table
from xtinct.linelists.scattering import ISOTOPES, scatterer_number
from xtinct.linelists.structure_factors import (
    StructureRefusedError,
    preferred_orientation,
    structure_lines,
)
from xtinct.symmetry.families import family_of
from xtinct.symmetry.operations import group_name

#: Columns of `structures.parquet` that lines are made from.
_COLUMNS = (*STRUCTURE_COLUMNS, "spacegroup_number", "cif", "licence")
#: Structures that are read at a time.
_HELD = 256
#: Rows that each family's file holds in memory: less than elsewhere, for all families are open at once.
_GROUP_ROWS = 1024
#: Relative (lengths) or absolute (degrees) departure from the family's metric that printing explains.
_METRIC_TOLERANCE = 1e-3

#: Reasons of this module beside those of `linelists.structure_factors.REASONS`.
REASONS = {
    "unreadable_cif": "the CIF does not parse into atoms",
    "cell_not_conventional": "the cell does not have the metric of its space group's family",
    "family_not_built": "a crystal family that the configuration does not list",
    "rare_group": "a space group with fewer structures in the training part than `least`",
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
            "cell_not_conventional",
            f"space group {group_name(spacegroup_number)} on a cell {tuple(cell.tolist())}",
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
    settings: CrystalSettings,
    shard: Shard,
    *,
    lines_out: Mapping[str, str | Path],
    quarantine_out: str | Path,
) -> dict[str, int]:
    """Lines of one part of a table of structures (schema STRUCTURES, ordered by structure_id).

    lines_out       family -> file to write (schema LINES); a structure of another family is quarantined
    quarantine_out  file to write (schema QUARANTINE)

    Returns counts: received, accepted, quarantined.
    """
    quarantine = Quarantine(settings.dataset)
    received, accepted = write_lines(structures, settings, shard, lines_out, quarantine)
    quarantine.write(quarantine_out)
    return {"received": received, "accepted": accepted, "quarantined": len(quarantine)}


def write_lines(
    structures: str | Path,
    settings: CrystalSettings,
    shard: Shard,
    lines_out: Mapping[str, str | Path],
    quarantine: Quarantine,
) -> tuple[int, int]:
    """`build_shard` with the rejected structures added to `quarantine`; returns received and accepted."""
    file = open_parquet(structures)
    check_table(file.schema_arrow, STRUCTURES, str(structures))
    total = file.metadata.num_rows
    rows = shard.rows(total)
    first = rows.start
    rejected = len(quarantine)
    rare = _rare(file, settings) if settings.least else {}
    with ExitStack() as files:
        writers = {
            family: files.enter_context(parquet_writer(out, LINES, group_rows=_GROUP_ROWS))
            for family, out in lines_out.items()
        }
        for batch in iter_rows(structures, rows, _COLUMNS, batch_size=_HELD):
            found = [{**row, "place": place} for place, row in enumerate(batch.to_pylist(), first)]
            first += len(found)
            kept = _without_rare(found, rare, settings.least, quarantine)
            of_family = _with_lines(kept, settings.lines, frozenset(writers), quarantine)
            for family, found in of_family.items():
                writers[family].write(_table(found, settings, total))
    accepted = sum(writer.rows for writer in writers.values())
    if accepted + len(quarantine) - rejected != len(rows):
        raise AssertionError(f"{structures}: {accepted} accepted, {len(quarantine)} quarantined of {rows}")
    return len(rows), accepted


def _rare(file: pq.ParquetFile, settings: CrystalSettings) -> dict[int, int]:
    """Space groups that are left out, and how many structures of each are in the training part."""
    rows = file.read(columns=[*STRUCTURE_COLUMNS, "spacegroup_number"]).to_pylist()
    parts = _parts(rows, range(len(rows)), len(rows), settings)
    return rare_groups(zip((row["spacegroup_number"] for row in rows), parts, strict=True), settings.least)


def _parts(
    rows: Sequence[Mapping[str, Any]], places: Sequence[int], total: int, settings: CrystalSettings
) -> list[str]:
    """Part of each row, which is number `places` of the `total` of the table."""
    return structure_parts(
        settings.split, rows, places, total=total, fractions=settings.fractions, seed=settings.seed
    )


def _without_rare(
    rows: Iterable[dict[str, Any]], rare: Mapping[int, int], least: int, quarantine: Quarantine
) -> Iterator[dict[str, Any]]:
    for row in rows:
        number = row["spacegroup_number"]
        if number in rare:
            detail = f"space group {number} has {rare[number]} structures for training, fewer than {least}"
            quarantine.add(row["structure_id"], "rare_group", detail)
        else:
            yield row


def _with_lines(
    rows: Iterable[dict[str, Any]],
    lines: Mapping[str, Any],
    families: Collection[str],
    quarantine: Quarantine,
) -> dict[str, list[dict[str, Any]]]:
    """The rows of each family with cell, d_star and intensity in place of the CIF, in their order."""
    of_family: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        number = row["spacegroup_number"]
        family = family_of(number)
        try:
            if family not in families:
                raise StructureRefusedError("family_not_built", f"{family} is not among the families")
            row["cell"], row["d_star"], row["intensity"] = structure_line_list(row.pop("cif"), number, lines)
        except StructureRefusedError as error:
            quarantine.add(row["structure_id"], error.reason, str(error))
        else:
            of_family.setdefault(family, []).append(row)
    return of_family


def sample_id(dataset: str, structure_id: str) -> str:
    """Sample id of a structure: dataset, hyphen, structure id; the source `dataset:` is not repeated."""
    return f"{dataset}-{structure_id.removeprefix(f'{dataset}:')}"


def _table(rows: Sequence[Mapping[str, Any]], settings: CrystalSettings, total: int) -> pa.Table:
    ids = [row["structure_id"] for row in rows]
    samples = Samples(
        ids=[sample_id(settings.dataset, structure_id) for structure_id in ids],
        numbers=[row["spacegroup_number"] for row in rows],
        splits=_parts(rows, [row["place"] for row in rows], total, settings),
        cells=np.stack([row["cell"] for row in rows]),
        origins=ids,
        sources=[(row["source"], row["licence"]) for row in rows],
    )
    lines = LineLists(
        np.cumsum([0, *(len(row["d_star"]) for row in rows)]),
        np.concatenate([row["d_star"] for row in rows]),
        np.concatenate([row["intensity"] for row in rows]),
    )
    return lines_table(samples, lines, dataset=settings.dataset, seed=settings.seed)
