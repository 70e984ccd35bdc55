"""How like real crystals the generated ones are: distributions and statistics by crystal system."""

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from scipy.stats import ks_2samp

from xtinct.files.json_reading import read_json
from xtinct.files.parquet import open_parquet, read_batches
from xtinct.files.schema import CELL, STRUCTURES, check_table
from xtinct.files.writing import write_csv
from xtinct.generators.crystal_statistics import sphere_volume
from xtinct.generators.reach import RECIPE_ATOMS, group_within
from xtinct.lattices.metric import cell_volume
from xtinct.randomness import stream_key
from xtinct.structures.parsing import read_cleaned
from xtinct.symmetry.families import CRYSTAL_SYSTEMS, family_of_system

log = logging.getLogger(__name__)

#: What is compared: name -> unit.
QUANTITIES = {
    "volume": "cubic angstrom, conventional cell",
    "sites": "in the conventional cell",
    "volume_per_atom": "cubic angstrom",
    "density": "gram per cubic centimetre",
    "packing_factor": "cell volume / volume of atomic spheres",
    "elements": "distinct elements",
    "ln(c/a)": "logarithm of the axial ratio",
    "ln(b/a)": "logarithm of the axial ratio",
    "beta": "degree",
}
#: Those that a crystal system may fix; there they are not compared.
_SHAPE = ("ln(c/a)", "ln(b/a)", "beta")
_HISTOGRAM_BINS = 30
#: Crystals of one group that are compared at most: enough to see a difference of 10 %.
_MATCHED = 200
_DALTON = 1.66053906660  # g/cm^3 of 1 dalton per cubic angstrom (CODATA 2018)


def quantities(
    structures: str | Path, only: Collection[str] | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Crystal system -> quantity -> values, float64 (n,), of the crystals in a table of STRUCTURES.

    `only`: ids of the crystals to look at, all by default.
    """
    found: dict[str, dict[str, list[float]]] = {
        system: {name: [] for name in QUANTITIES} for system in CRYSTAL_SYSTEMS
    }
    for _, system, values in _described(structures, only):
        for name, value in values.items():
            found[system][name].append(float(value))
    return {
        system: {name: np.array(values) for name, values in of_system.items()}
        for system, of_system in found.items()
    }


def crystal_quantities(
    structures: str | Path, only: Collection[str] | None = None
) -> dict[str, dict[str, float]]:
    """Structure id -> QUANTITIES of the crystals in a table of STRUCTURES, `only` those by default all."""
    return {structure_id: values for structure_id, _, values in _described(structures, only)}


def _described(
    structures: str | Path, only: Collection[str] | None
) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Structure id, crystal system and QUANTITIES of every crystal."""
    file = _structures(structures)
    columns = ["structure_id", "crystal_system", "cif", *CELL]
    for batch in read_batches(file, 256, columns):
        for row in batch.to_pylist():
            if only is not None and row["structure_id"] not in only:
                continue
            crystal = read_cleaned(row["cif"])
            composition = crystal.composition()
            volume = cell_volume(crystal.cell)
            atoms = sum(composition.values())
            a, b, c, _, beta, _ = crystal.cell.tolist()
            values = {
                "volume": volume,
                "sites": len(crystal),
                "volume_per_atom": volume / atoms,
                "density": _DALTON
                * sum(n * gemmi.Element(s).weight for s, n in composition.items())
                / volume,
                "packing_factor": volume / sum(n * sphere_volume(s) for s, n in composition.items()),
                "elements": len(composition),
                "ln(c/a)": np.log(c / a),
                "ln(b/a)": np.log(b / a),
                "beta": beta,
            }
            yield row["structure_id"], row["crystal_system"], values


def matched(real: str | Path, generated: str | Path) -> tuple[set[str], set[str]]:
    """Ids of equally many real and generated crystals of each space group, at most `_MATCHED` of each.

    Otherwise the two would differ because real groups are not equally frequent. Which crystals are taken
    depends on their ids alone.
    """
    by_group: list[dict[int, list[str]]] = []
    for path in (real, generated):
        columns = _structures(path).read(columns=["spacegroup_number", "structure_id"]).to_pydict()
        groups: dict[int, list[str]] = {}
        for number, structure_id in zip(columns["spacegroup_number"], columns["structure_id"], strict=True):
            groups.setdefault(number, []).append(structure_id)
        by_group.append(groups)
    chosen: tuple[set[str], set[str]] = set(), set()
    for number in by_group[0].keys() & by_group[1].keys():
        n = min(_MATCHED, *(len(groups[number]) for groups in by_group))
        for ids, groups in zip(chosen, by_group, strict=True):
            ids.update(sorted(groups[number], key=lambda structure_id: stream_key(0, structure_id))[:n])
    return chosen


def compare(real: str | Path, generated: str | Path) -> list[dict[str, Any]]:
    """One record per crystal system and quantity, for the `matched` crystals of two tables of STRUCTURES.

    `n` crystals of each, medians, the two-sample Kolmogorov-Smirnov statistic `ks` (0: same distribution,
    1: no overlap) with its 1 % critical value `ks_critical`, and `edges` with the histograms `real` and
    `generated` (shares). Systems without a group that both tables have are left out.
    """
    ids_real, ids_generated = matched(real, generated)
    theirs, ours = quantities(real, ids_real), quantities(generated, ids_generated)
    records = []
    for system in CRYSTAL_SYSTEMS:
        for name, unit in QUANTITIES.items():
            a, b = theirs[system][name], ours[system][name]
            if not len(a) or (name in _SHAPE and name not in family_of_system(system).shape):
                continue
            low, high = np.quantile(np.concatenate([a, b]), [0.005, 0.995])
            edges = np.linspace(low, high if high > low else low + 1, _HISTOGRAM_BINS + 1)
            records.append(
                {
                    "crystal_system": system,
                    "quantity": name,
                    "unit": unit,
                    "n": len(a),
                    "median_real": float(np.median(a)),
                    "median_generated": float(np.median(b)),
                    "ks": float(ks_2samp(a, b).statistic),
                    # Smirnov (1948): c(0.01) = sqrt(-ln(0.005) / 2), times sqrt(1/n + 1/n).
                    "ks_critical": float(np.sqrt(-np.log(0.005) / 2) * np.sqrt(2 / len(a))),
                    "edges": edges.tolist(),
                    # What lies outside is counted at the ends.
                    "real": (np.histogram(np.clip(a, low, high), edges)[0] / len(a)).tolist(),
                    "generated": (np.histogram(np.clip(b, low, high), edges)[0] / len(b)).tolist(),
                }
            )
    return records


def group_rows(attempts: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """One row per space group of the attempts (`datasets.gcdd.merge_attempts`), with equal columns.

    requested, reached  crystals
    out_of_reach        crystals not tried, since none of their kind can have the group
    draws               tries for the others
    wrong_group         draws that gave a crystal of another group, in all; the other reasons by their name
    wrong_group_share   of the draws that gave a crystal, before the symmetry finder confirmed the group;
                        empty if none did
    most_frequent_wrong the group that was found most often instead; empty if none
    least_group_of_30_atoms
                        where it is another group (`reach.group_within`), the seed paper's recipe, 1 to 30
                        atoms of each element, cannot reach this one
    """
    rows = []
    for number, counts in sorted(attempts.items(), key=lambda item: int(item[0])):
        wrong = Counter(
            {int(name.rpartition("_")[2]): n for name, n in counts.items() if name.startswith("wrong_group_")}
        )
        crystals = wrong.total() + counts.get("reached", 0)
        row: dict[str, Any] = {"spacegroup_number": int(number)}
        row |= {name: counts.get(name, 0) for name in ("requested", "reached", "out_of_reach", "draws")}
        row |= {"wrong_group": wrong.total()}
        row |= {name: n for name, n in counts.items() if name not in row and "wrong_group_" not in name}
        row |= {"wrong_group_share": wrong.total() / crystals if crystals else ""}
        row |= {"most_frequent_wrong": min(wrong, key=lambda g: (-wrong[g], g)) if wrong else ""}
        row |= {"least_group_of_30_atoms": group_within(int(number), RECIPE_ATOMS[1])}
        rows.append(row)
    first, last = ("requested", "reached", "out_of_reach", "draws", "wrong_group"), tuple(row)[-3:]
    reasons = sorted({name for row in rows for name in row} - {"spacegroup_number", *first, *last})
    columns = ("spacegroup_number", *first, *reasons, *last)
    return [{name: row.get(name, 0) for name in columns} for row in rows]


def write_evidence(
    real: str | Path,
    generated: str | Path,
    attempts: str | Path,
    *,
    comparison_out: str | Path,
    histograms_out: str | Path,
    groups_out: str | Path,
) -> None:
    """Write `compare` as two CSV tables, statistics and histograms in long form, and `group_rows` as one.

    Where no space group has both real and generated crystals, the former two are empty; a warning says so.
    """
    records = compare(real, generated)
    if not records:
        log.warning("no space group has both real and generated crystals to compare")
    bins = [
        {
            "crystal_system": record["crystal_system"],
            "quantity": record["quantity"],
            "low": low,
            "high": high,
            "real": share_real,
            "generated": share_generated,
        }
        for record in records
        for low, high, share_real, share_generated in zip(
            record["edges"][:-1], record["edges"][1:], record["real"], record["generated"], strict=True
        )
    ]
    statistics = [
        {name: value for name, value in record.items() if name not in ("edges", "real", "generated")}
        for record in records
    ]
    _write_rounded(comparison_out, statistics)
    _write_rounded(histograms_out, bins)
    _write_rounded(groups_out, group_rows(read_json(attempts)))


def _structures(path: str | Path):
    file = open_parquet(path)
    check_table(file.schema_arrow, STRUCTURES, str(path))
    return file


def _write_rounded(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    write_csv(
        path,
        [{k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows],
    )
