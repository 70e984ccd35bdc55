"""Example patterns: one of every space group in every dataset, and one group on several lattices."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xtinct.files.parquet import open_parquet
from xtinct.files.schema import CELL
from xtinct.linelists.line_lists import LineLists
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.lorentz import geometric_factor
from xtinct.patterns.rendering import render
from xtinct.symmetry.families import FAMILIES, family_of

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
    yield from _rows(file, np.sort(first))


def _rows(file, wanted: np.ndarray) -> Iterable[dict]:
    """The rows with these numbers, ascending; other row groups stay unread."""
    starts = np.cumsum([0, *(file.metadata.row_group(i).num_rows for i in range(file.num_row_groups))])
    holder = np.searchsorted(starts, wanted, side="right") - 1
    for index in np.unique(holder):
        table = file.read_row_group(int(index))
        yield from table.take(pa.array(wanted[holder == index] - starts[index])).to_pylist()


def patterns_of_lattices(
    paths: Iterable[str | Path], instrument: Instrument, group: int, count: int = 4, points: int = 1024
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Patterns of one group of ULBD on `count` of its lattices, spread evenly from small to large.

    Returns 2theta (degree, float (n,), n at most `points`) and label -> intensity float (n,) with maximum
    about 1: the highest of the neighbouring points of the instrument that become one. Empty if no file
    holds ULBD samples of the group.
    """
    for path in sorted(map(Path, paths)):
        with open_parquet(path) as file:
            labels = file.read(columns=["dataset", "spacegroup_number", *CELL])
            of_group = pc.and_(
                pc.equal(labels["spacegroup_number"], group), pc.equal(labels["dataset"], "ulbd")
            )
            mine = np.flatnonzero(of_group.to_numpy())
            if not len(mine):
                continue
            cells = np.stack([labels[name].to_numpy()[mine] for name in CELL], axis=1)
            _, first = np.unique(np.prod(cells[:, :3], axis=1).round(6), return_index=True)
            spread = np.linspace(0, len(first) - 1, min(count, len(first))).round().astype(int)
            rows = list(_rows(file, np.sort(mine[first[spread]])))
            break
    else:
        return np.empty(0), {}
    rows.sort(key=lambda row: row["a"] * row["b"] * row["c"])
    lines = LineLists(
        np.cumsum([0, *(len(row["d_star"]) for row in rows)]),
        np.concatenate([np.array(row["d_star"], dtype=np.float64) for row in rows]),
        np.concatenate([np.array(row["intensity"], dtype=np.float32) for row in rows]),
    )
    merged = -(-instrument.points // points)
    kept = instrument.points // merged * merged
    patterns = render(lines, instrument)[:, :kept].reshape(len(rows), -1, merged).max(axis=2)
    names = FAMILIES[family_of(group)].parameters
    texts = [
        ", ".join(f"{name} = {row[name]:.2f}{' Å' if len(name) == 1 else '°'}" for name in names)
        for row in rows
    ]
    return instrument.two_theta[:kept].reshape(-1, merged).mean(axis=1), dict(
        zip(texts, patterns, strict=True)
    )


def _visible(d_star: np.ndarray, intensity: np.ndarray, instrument: Instrument) -> list[list[float]]:
    sin_theta = d_star * instrument.wavelength / 2
    reached = sin_theta < 1
    sin_theta, intensity = sin_theta[reached], intensity[reached]
    two_theta = np.degrees(2 * np.arcsin(sin_theta))
    height = intensity * geometric_factor(sin_theta, np.sqrt(1 - sin_theta**2), instrument.polarisation)
    shown = (two_theta >= instrument.two_theta_min) & (two_theta <= instrument.two_theta_max)
    if not shown.any() or height[shown].max() <= 0:
        return []
    height = np.where(shown, height, 0) / height[shown].max()
    kept = np.argsort(-height, kind="stable")[:MAX_LINES]
    kept = np.sort(kept[height[kept] >= WEAKEST])
    return [[round(float(two_theta[i]), 2), round(float(height[i]), 3)] for i in kept]
