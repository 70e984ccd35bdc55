"""How like real crystals the generated ones are: distributions and statistics by crystal system."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from scipy.stats import ks_2samp

from xtinct.parquet import open_parquet
from xtinct.schema import CELL, STRUCTURES, check_table
from xtinct.structures.generators.shapes import cell_volume
from xtinct.structures.generators.statistics import sphere_volume
from xtinct.structures.parsing import read_cleaned
from xtinct.symmetry.families import CRYSTAL_SYSTEMS

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
#: Quantities that a crystal system fixes are not compared there.
_FREE = {
    "ln(c/a)": ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal"),
    "ln(b/a)": ("triclinic", "monoclinic", "orthorhombic"),
    "beta": ("triclinic", "monoclinic"),
}
_HISTOGRAM_BINS = 30
_DALTON = 1.66053906660  # g/cm^3 of 1 dalton per cubic angstrom (CODATA 2018)


def quantities(structures: str | Path) -> dict[str, dict[str, np.ndarray]]:
    """Crystal system -> quantity -> values, float64 (n,), of the crystals in a table of STRUCTURES."""
    file = open_parquet(structures)
    check_table(file.schema_arrow, STRUCTURES, str(structures))
    found: dict[str, dict[str, list[float]]] = {
        system: {name: [] for name in QUANTITIES} for system in CRYSTAL_SYSTEMS
    }
    for batch in file.iter_batches(batch_size=256, columns=["crystal_system", "cif", *CELL]):
        for row in batch.to_pylist():
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
            for name, value in values.items():
                found[row["crystal_system"]][name].append(float(value))
    return {
        system: {name: np.array(values) for name, values in of_system.items()}
        for system, of_system in found.items()
    }


def compare(real: str | Path, generated: str | Path) -> list[dict[str, Any]]:
    """One record per crystal system and quantity, for two tables of STRUCTURES.

    `n_real`, `n_generated`, medians, the two-sample Kolmogorov-Smirnov statistic `ks` (0: same
    distribution, 1: no overlap) with its 1 % critical value `ks_critical`, and `edges` with the
    histograms `real` and `generated` (shares). Systems without crystals in either table are left out.
    """
    ours, theirs = quantities(generated), quantities(real)
    records = []
    for system in CRYSTAL_SYSTEMS:
        for name, unit in QUANTITIES.items():
            a, b = theirs[system][name], ours[system][name]
            if not len(a) or not len(b) or system not in _FREE.get(name, (system,)):
                continue
            low, high = np.quantile(np.concatenate([a, b]), [0.005, 0.995])
            edges = np.linspace(low, high if high > low else low + 1, _HISTOGRAM_BINS + 1)
            records.append(
                {
                    "crystal_system": system,
                    "quantity": name,
                    "unit": unit,
                    "n_real": len(a),
                    "n_generated": len(b),
                    "median_real": float(np.median(a)),
                    "median_generated": float(np.median(b)),
                    "ks": float(ks_2samp(a, b).statistic),
                    # Smirnov (1948): c(0.01) = sqrt(-ln(0.005) / 2).
                    "ks_critical": float(np.sqrt(-np.log(0.005) / 2) * np.sqrt(1 / len(a) + 1 / len(b))),
                    "edges": edges.tolist(),
                    "real": (np.histogram(a, edges)[0] / len(a)).tolist(),
                    "generated": (np.histogram(b, edges)[0] / len(b)).tolist(),
                }
            )
    return records


def yields(attempts: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    """What the attempts per space group (of `datasets.gcdd.merge_attempts`) say, over all groups.

    `wrong_group_share`: of the draws that gave a crystal, those with another group than asked for.
    """
    wrong = {
        number: sum(n for name, n in counts.items() if name.startswith("wrong_group"))
        for number, counts in attempts.items()
    }
    reached = {number: counts.get("reached", 0) for number, counts in attempts.items()}
    crystals = {number: wrong[number] + reached[number] for number in attempts}
    total = sum(crystals.values())
    return {
        "requested": sum(counts.get("requested", 0) for counts in attempts.values()),
        "reached": sum(reached.values()),
        "draws": sum(counts.get("draws", 0) for counts in attempts.values()),
        "wrong_group_share": sum(wrong.values()) / total if total else None,
        "wrong_group_share_by_group": {
            number: wrong[number] / crystals[number] for number in attempts if crystals[number]
        },
        "groups_not_reached": [number for number in attempts if not reached[number]],
    }


def write_evidence(
    real: str | Path, generated: str | Path, attempts: str | Path, out: str | Path
) -> dict[str, Any]:
    """`compare` and `yields`, written to `out` as JSON for the report."""
    content = {
        "comparison": compare(real, generated),
        "yields": yields(json.loads(Path(attempts).read_text())),
    }
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    return content
