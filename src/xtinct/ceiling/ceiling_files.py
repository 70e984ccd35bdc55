"""The files of `results/limits/`: what each limitation of a measurement leaves of a ceiling, and what
Wilson's statistics of intensities add to it. The workflow writes them, the section `remaining` of the
report shows them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from xtinct.ceiling.extinction import USUAL, CeilingQuestion, ceilings
from xtinct.ceiling.hypotheses import Window
from xtinct.ceiling.lattice_ranges import lattice_ceiling
from xtinct.ceiling.measured_lines import MeasurementModel, measurement_ceiling
from xtinct.ceiling.wilson import wilson_estimate
from xtinct.files import schema
from xtinct.files.parquet import write_parquet
from xtinct.files.writing import write_json
from xtinct.lattices.distributions import LatticeSpec
from xtinct.patterns.instrument import Instrument

#: In the order in which they add up.
LIMITATIONS = ("extinction", "lattices", "window", "resolution", "threshold")


@dataclass(frozen=True)
class Sampling:
    """How many lattices are drawn from a distribution, and the seed of the draw."""

    seed: int = 0
    lattices: int = 200


_SAMPLED = Sampling()


def limitations(
    family: str,
    spec: LatticeSpec,
    instrument: Instrument,
    *,
    threshold: float,
    d_star_max: float,
    question: CeilingQuestion = USUAL,
    sampling: Sampling = _SAMPLED,
) -> dict[str, list[dict]]:
    """What each limitation leaves of a family's ceiling, one after the other.

    extinction  classes only (xtinct.ceiling.extinction)
    lattices    and only the lattices of `spec`, with all lines up to `d_star_max` (1/angstrom)
    window      and only lines on the instrument's grid
    resolution  and only resolution elements as wide as the instrument's peaks
    threshold   and only elements above `threshold` (see xtinct.ceiling.measured_lines)

    Returns rows of schema.LIMITATIONS, MERGED_LATTICES (seen through the window) and LOST_PAIRS under
    the keys "limitations", "merged_lattices" and "lost_pairs".
    """
    ks, lattices = question.ks, sampling.lattices
    asked = {"question": question, "seed": sampling.seed}
    window = Window.of_instrument(instrument)
    whole = Window(0.0, max(d_star_max, window.d_star_max))
    of_lattices = lattice_ceiling(family, spec, whole, samples=lattices, **asked)
    of_window = lattice_ceiling(family, spec, window, samples=lattices, **asked)
    measured = {
        name: measurement_ceiling(
            family, spec, MeasurementModel.of_instrument(instrument, value), lattices=lattices, **asked
        )
        for name, value in (("resolution", 0.0), ("threshold", threshold))
    }
    stages = [
        (
            "extinction",
            ceilings(family, question.target, ks=ks, prior=question.prior),
            dict.fromkeys(ks, 0.0),
            0,
            True,
        )
    ]
    for name, result in (("lattices", of_lattices), ("window", of_window)):
        stages.append((name, result.ceilings, result.standard_errors, result.n_lattices, result.exact))
    for name, result in measured.items():
        stages.append((name, result.ceilings, result.standard_errors, lattices, False))
    return {
        "limitations": [
            {
                "family": family,
                "limitation": name,
                "target": question.target,
                "k": k,
                "ceiling": float(values[k]),
                "standard_error": errors[k],
                "n_lattices": n,
                "exact": exact,
            }
            for name, values, errors, n, exact in stages
            for k in ks
        ],
        "merged_lattices": [
            {"family": family, **dict(zip(schema.CELL, merged.cell, strict=True)), "share": merged.share}
            | {"first": first, "second": second}
            for merged in of_window.merged
            for first, second in merged.pairs
        ],
        "lost_pairs": [
            {"family": family, "limitation": name, "first": first, "second": second, "probability": p}
            for name, result in measured.items()
            for first, second, p in result.lost_pairs
        ],
    }


def write_limitations(
    folder: str | Path,
    specs: Mapping[str, LatticeSpec],
    instrument: Instrument,
    *,
    threshold: float,
    d_star_max: float,
    ks: Iterable[int] = (1, 2, 3, 4, 5),
    sampling: Sampling = _SAMPLED,
) -> None:
    """`limitations` of every family of `specs`, as limitations, merged_lattices and lost_pairs.

    Writes one .parquet each (schema of the same name) and limits.json with the first and the last.
    """
    tables: dict[str, list[dict]] = {"limitations": [], "merged_lattices": [], "lost_pairs": []}
    for family, spec in specs.items():
        rows = limitations(
            family,
            spec,
            instrument,
            threshold=threshold,
            d_star_max=d_star_max,
            question=CeilingQuestion(ks=ks),
            sampling=sampling,
        )
        for name, table in tables.items():
            table += rows[name]
    settings = {
        "instrument": instrument.to_dict(),
        "threshold": threshold,
        "seed": sampling.seed,
        "lattices": sampling.lattices,
    }
    _write(folder, "limitations", tables["limitations"], schema.LIMITATIONS, settings)
    _write(folder, "merged_lattices", tables["merged_lattices"], schema.MERGED_LATTICES, settings)
    _write(folder, "lost_pairs", tables["lost_pairs"], schema.LOST_PAIRS, settings)
    records = {name: tables[name] for name in ("limitations", "lost_pairs")}
    write_json(Path(folder) / "limits.json", records, indent=1, sort_keys=False)


def write_wilson(
    folder: str | Path,
    specs: Mapping[str, LatticeSpec],
    instrument: Instrument,
    *,
    ks: Iterable[int] = (1, 2, 3, 4, 5),
    seed: int = 0,
    lattices: int = 30,
    draws: int = 10,
) -> None:
    """The estimate of `xtinct.ceiling.wilson` for every family of `specs`.

    Writes wilson.parquet, wilson_pairs.parquet and wilson.json (both) into `folder`.
    """
    question = CeilingQuestion(ks=ks)
    measurement = MeasurementModel.of_instrument(instrument, 0.0)
    rows, pairs = [], []
    for family, spec in specs.items():
        estimate = wilson_estimate(
            family, spec, measurement, question=question, seed=seed, lattices=lattices, draws=draws
        )
        rows += [
            {
                "family": family,
                "target": "spacegroup",
                "k": k,
                "accuracy": estimate.accuracies[k],
                "standard_error": estimate.standard_errors[k],
                "extinction_ceiling": estimate.extinction[k],
            }
            for k in question.ks
        ]
        pairs += [
            {"family": family, "first": first, "second": second, "accuracy": accuracy}
            for first, second, accuracy in estimate.pairs
        ]
    settings = {"instrument": instrument.to_dict(), "seed": seed, "lattices": lattices, "draws": draws}
    _write(folder, "wilson", rows, schema.WILSON, settings)
    _write(folder, "wilson_pairs", pairs, schema.WILSON_PAIRS, settings)
    records = {"wilson": rows, "wilson_pairs": pairs}
    write_json(Path(folder) / "wilson.json", records, indent=1, sort_keys=False)


def _write(
    folder: str | Path, name: str, rows: Sequence[dict], columns: pa.Schema, settings: Mapping[str, object]
) -> None:
    table = pa.Table.from_pylist(list(rows), schema=columns)
    write_parquet(Path(folder) / f"{name}.parquet", [table], columns, {"settings": settings})
