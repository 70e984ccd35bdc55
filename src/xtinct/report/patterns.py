"""One example pattern of every space group in every dataset."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from xtinct.diffraction.instrument import LORENTZ, Instrument
from xtinct.diffraction.profile import lorentz_factor
from xtinct.parquet import open_parquet

#: Lines of an example that are kept: the strongest ones, and none weaker than this share of the strongest.
MAX_LINES, WEAKEST = 80, 0.002


def example_patterns(paths: Iterable[str | Path], instrument: Instrument) -> dict[str, dict[str, dict]]:
    """group -> dataset -> {origin, cell, lines: [[2theta, intensity], ...]} with the strongest line 1.

    The example is the group's first sample in a file (rows are ordered by sample_id). Intensities
    include the instrument's Lorentz factor; 2theta in degree, cell in angstrom and degree. Only the
    row groups that hold an example are read.
    """
    examples: dict[str, dict[str, dict]] = {}
    for path in sorted(map(Path, paths)):
        with open_parquet(path) as file:
            for row in _first_rows(file):
                lines = _visible(np.array(row["d_star"]), np.array(row["intensity"]), instrument)
                examples.setdefault(str(row["spacegroup_number"]), {}).setdefault(
                    row["dataset"],
                    {
                        "origin": row["origin"] if row["dataset"] == "cddd" else row["sample_id"],
                        "cell": [round(row[name], 3) for name in ("a", "b", "c", "alpha", "beta", "gamma")],
                        "lines": lines,
                    },
                )
    return examples


def _first_rows(file) -> Iterable[dict]:
    numbers = file.read(columns=["spacegroup_number"])["spacegroup_number"].to_numpy()
    _, first = np.unique(numbers, return_index=True)
    starts = np.cumsum([0, *(file.metadata.row_group(i).num_rows for i in range(file.num_row_groups))])
    holder = np.searchsorted(starts, first, side="right") - 1
    for index in np.unique(holder):
        table = file.read_row_group(int(index))
        yield from table.take(pa.array(np.sort(first[holder == index]) - starts[index])).to_pylist()


def _visible(d_star: np.ndarray, intensity: np.ndarray, instrument: Instrument) -> list[list[float]]:
    sin_theta = d_star * instrument.wavelength / 2
    reached = sin_theta < 1
    sin_theta, intensity = sin_theta[reached], intensity[reached]
    two_theta = np.degrees(2 * np.arcsin(sin_theta))
    kind = LORENTZ.index(instrument.lorentz)
    height = intensity * np.array([lorentz_factor(float(s), kind) for s in sin_theta])
    shown = (two_theta >= instrument.two_theta_min) & (two_theta <= instrument.two_theta_max)
    if not shown.any() or height[shown].max() <= 0:
        return []
    height = np.where(shown, height, 0) / height[shown].max()
    kept = np.argsort(-height, kind="stable")[:MAX_LINES]
    kept = np.sort(kept[height[kept] >= WEAKEST])
    return [[round(float(two_theta[i]), 2), round(float(height[i]), 3)] for i in kept]
