"""What counts, widths and range of patterns with known cells allow at best, and what the observer says.

    python benchmarks/measured/ceilings.py OUT.csv --patterns PATTERNS.parquet [--source NAME ...]
        [--rows even|odd|all]
    python benchmarks/measured/ceilings.py OUT.csv --structures STRUCTURES.parquet [--per-system 6] [--seed 1]

For each pattern the ceilings of class and group (`xtinct.ceiling.counted_patterns`: an ideal judge who
knows the cell), all groups of the family alike, and by the square roots of their frequencies, as
`xtinct index` takes them; and whether the observer names the class first when it is told the cell, all
groups alike. Columns of PATTERNS as `benchmarks/joint/collect.py` says. STRUCTURES (columns material_id,
cif and one that begins with spacegroup) are measured by the simulation, with texture, ghosts, foreign lines
and processed counts or without (`--clean`). With `--drawn` each pattern is drawn anew before the observer is
asked: lines of its cell and group with heights of the law, profiles and background of its fit, counts of
Poisson's law. Then the observer meets what the ideal judge met, and shares no code with it. OUT holds no
spectra.
"""

import argparse
import csv
import itertools
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from xtinct.auditing.counting_limits import counting_ceiling
from xtinct.auditing.label_fits import fit_label
from xtinct.auditing.pattern_sets import PatternLabel
from xtinct.ceiling.priors import occurrence
from xtinct.errors import XtinctError
from xtinct.measurements import Measurement, radiation_of
from xtinct.observer.judging.pattern_evidence import (
    INTENSITY_MEANS,
    INTENSITY_WEIGHTS,
    lorentz_polarization,
)
from xtinct.observer.observe import peaks_of
from xtinct.observer.peaks.peak_shapes import add_up, columns, doublet, shapes
from xtinct.observer.simulation import Settings, simulate_measurement
from xtinct.scores.metrics import wilson_interval
from xtinct.sources.given import standard_of
from xtinct.symmetry.families import CRYSTAL_SYSTEMS, space_groups

_CELL = ("a", "b", "c", "alpha", "beta", "gamma")
_CEILINGS = ("class_ceiling", "group_ceiling", "class_usual", "group_usual")
COLUMNS = ("source", "id", "space_group", "counts", "fwhm", *_CEILINGS, "observer")
#: Patterns as a simulation draws them without what no ideal judge meets.
CLEAN = {"textured": 0.0, "foreign_lines": 0.0, "second_phase": 0.0, "ghosts": 0.0, "processed": 0.0}


def measured_patterns(options):
    """(source, identifier, measurement, label) of rows with a cell and a group."""
    rows = [
        row
        for row in pq.read_table(options.patterns).to_pylist()
        if all(row[x] is not None and np.isfinite(row[x]) for x in ("a", "spacegroup_number"))
        and (not options.source or row["source"] in options.source)
    ]
    for row in {"all": rows, "even": rows[::2], "odd": rows[1::2]}[options.rows]:
        told = row["wavelength"]
        points = [np.array(row[name], dtype=np.float64) for name in ("two_theta", "intensity")]
        rays = radiation_of(told if told and np.isfinite(told) else "Cu")
        cell = np.array([row[name] for name in _CELL], dtype=np.float64)
        yield (
            row["source"],
            row["id"],
            Measurement(*points, None, rays, name=row["id"]),
            PatternLabel(int(row["spacegroup_number"]), cell=cell),
        )


def simulated_patterns(options):
    """The same of crystals drawn per crystal system."""
    number = next(x for x in pq.read_schema(options.structures).names if x.startswith("spacegroup"))
    rows = pq.read_table(options.structures, columns=["material_id", "cif", number]).to_pylist()
    random = np.random.default_rng([options.seed, 3])
    settings = Settings(counts=(50.0, 1e5), **(CLEAN if options.clean else {}))
    for first, last in CRYSTAL_SYSTEMS.values():
        own = [row for row in rows if first <= int(row[number] or 0) <= last]
        left = options.per_system
        for at in random.permutation(len(own)):
            if not left:
                break
            try:
                crystal = standard_of(own[at]["cif"])
                if np.prod(crystal.crystal.cell[:3]) > 3000:
                    continue
                pattern = simulate_measurement(crystal, int(random.integers(1 << 30)), settings)
            except XtinctError as error:
                print(error, file=sys.stderr)
                continue
            left -= 1
            yield (
                "simulated",
                own[at]["material_id"],
                Measurement(pattern.two_theta, pattern.intensity, None, pattern.radiation, name="simulated"),
                PatternLabel(crystal.number, cell=np.array(crystal.crystal.cell)),
            )


def drawn_anew(found, told, label, random):
    """A pattern of the same cell, group, profiles, background and noise, by the observer's own parts."""
    fit, measured = told.fit, found.measured
    m = len(fit.lines)
    allowed = told.posterior.allowed(told.posterior.class_of(label.number))
    geometry = fit.lines.multiplicity * lorentz_polarization(np.clip(fit.angle[:m], 1.0, 175.0))
    near = np.exp(-0.5 * ((fit.angle[:m, None] - fit.angle[:m]) / 8.0) ** 2)
    mean = geometry * (near @ fit.area[:m]) / (near @ (geometry * allowed))
    kinds = random.choice(len(INTENSITY_MEANS), m, p=INTENSITY_WEIGHTS)
    area = np.where(allowed, mean * INTENSITY_MEANS[kinds] * random.exponential(1.0, m), 0.0)
    shape = shapes(fit.angle[:m], fit.profile, measured.narrowest)
    lines = doublet(fit.angle[:m], measured.radiation, fit.profile)
    profiles = columns(measured.grid, lines, shape.fwhm, shape.eta, shape.skew, 25.0, False)
    y = measured.background + add_up(profiles, 0, area, len(measured.two_theta))
    noise = measured.noise
    gain = max(noise.gain, float(y.max()) / 1e6, 1e-300)
    raised = max(noise.floor, 0.0) / gain
    counts = random.poisson(np.maximum(y + raised, 0.0) / gain).astype(np.float64)
    return Measurement(measured.two_theta, counts, None, measured.radiation, name="drawn")


def row_of(source, name, measurement, label, random=None):
    found = peaks_of(measurement)
    told = fit_label(found, label)
    asked = told
    if random is not None:
        asked = fit_label(peaks_of(drawn_anew(found, told, label, random)), label)
    own = {g: Fraction(w) for g, w in occurrence().items() if g in space_groups(told.fit.family)}
    shares = [
        counting_ceiling(found, told, label.number, prior=prior).right[target][1]
        for prior in (None, own)
        for target in ("extinction_class", "spacegroup")
    ]
    noise, highest = found.measured.noise, float(found.measured.intensity.max())
    return {
        "source": source,
        "id": name,
        "space_group": label.number,
        "counts": f"{highest**2 / max(noise.gain * highest + noise.floor, 1e-300):.0f}",
        "fwhm": f"{np.median(found.peaks.fwhm):.3f}",
        **{name: f"{share:.3f}" for name, share in zip(_CEILINGS, shares, strict=True)},
        "observer": asked.posterior.rank(label.number),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--patterns", type=Path)
    parser.add_argument("--source", action="append")
    parser.add_argument("--rows", choices=["all", "even", "odd"], default="all")
    parser.add_argument("--structures", type=Path)
    parser.add_argument("--per-system", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clean", action="store_true")
    parser.add_argument("--drawn", action="store_true")
    options = parser.parse_args()
    random = np.random.default_rng(options.seed) if options.drawn else None
    rows = []
    for one in measured_patterns(options) if options.patterns else simulated_patterns(options):
        try:
            rows.append(row_of(*one, random))
        except (XtinctError, np.linalg.LinAlgError, ValueError) as error:
            print(f"{one[1]}: {error}", file=sys.stderr)
    with options.out.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    for source in sorted({row["source"] for row in rows}):
        own = [row for row in rows if row["source"] == source]
        right = sum(row["observer"] == 1 for row in own)
        ceiling = np.array([[float(row[x]) for x in _CEILINGS] for row in own])
        means = ceiling.mean(axis=0)
        low, high = wilson_interval(right, len(own))
        print(
            f"{source}: n {len(own)}, ceiling of the class {means[0]:.3f}, of the group {means[1]:.3f}; by "
            f"the usual prior {means[2]:.3f} and {means[3]:.3f}; observer with the cell "
            f"{right / len(own):.3f} ({low:.2f}-{high:.2f})"
        )
        edges = (0.0, 0.7, 0.9, 0.98, 1.01)
        for low, high in itertools.pairwise(edges):
            inside = (ceiling[:, 0] >= low) & (ceiling[:, 0] < high)
            hits = sum(row["observer"] == 1 for row, x in zip(own, inside, strict=True) if x)
            if inside.any():
                mean = ceiling[inside, 0].mean()
                print(
                    f"  ceiling {low:.2f} to {high:.2f}, mean {mean:.2f}: observer {hits} of {inside.sum()}"
                )


if __name__ == "__main__":
    main()
