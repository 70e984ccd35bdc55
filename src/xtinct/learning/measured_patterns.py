"""What a trained model says about a measured pattern, held against what the positions of its lines say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xtinct.errors import XtinctError
from xtinct.learning.predictor import Predictor
from xtinct.radiation.tubes import Radiation
from xtinct.scores.outputs import ALL, NothingLeftError
from xtinct.scores.prediction import Prediction
from xtinct.symmetry.families import CUBIC

# scipy and gemmi are loaded with a measured pattern alone: machines that only train do without.
if TYPE_CHECKING:
    from xtinct.measurements import Measurement
    from xtinct.observer.exact.explaining import Explanation

_NO_SET = "no set of classes is given"


@dataclass(frozen=True)
class MeasuredPattern:
    """A pattern as it was measured, and what its lines say.

    two_theta    float64 (n,), degrees, ascending
    intensity    float64 (n,), without background
    measured     float64 (n,), with it
    radiation    wavelengths, angstrom
    explained    family -> how its best lattice explains the lines; see `explaining.best_families`
    best         the family that explains them; None: none of those that are checked
    """

    two_theta: np.ndarray
    intensity: np.ndarray
    measured: np.ndarray
    radiation: Radiation
    explained: Mapping[str, "Explanation"]
    best: str | None


@dataclass(frozen=True)
class Asked:
    """How a model is asked: see `xtinct.predict`."""

    coverage: float = 0.95
    fill_missing: bool = False
    any_width: bool = False
    prior: Mapping[int, Any] | None = None
    subtract_background: bool = False


def as_trained(predictor: Predictor, measurement: "Measurement") -> np.ndarray:
    """A measurement as the model's training patterns are, float32 (1, points), on the model's grid.

    The background stays where training patterns had one, and is taken off where they had none; the model's
    transform (`pattern_transform.PatternTransform`) comes after this. What was not
    measured of the model's range is zero. A doublet counts as its mean wavelength where the model's
    instrument has a single one. XtinctError where the wavelength is not known, and where nothing of the
    model's range was measured.
    """
    from xtinct.measurements.preparation import checked_pattern, on_grid, without_background

    radiation, instrument = measurement.radiation, predictor.instrument
    if radiation is None:
        raise XtinctError(f"{measurement.name}: pattern: no wavelength is known")
    wavelength = radiation.beside(bool(instrument.further_wavelengths))
    two_theta, intensity = checked_pattern(measurement.two_theta, measurement.intensity, wavelength)
    # A model that takes it off itself has learned what is left of it then.
    if not predictor.trained_with_background and predictor.render.transform.background != "snip":
        intensity = without_background(two_theta, intensity)
    return on_grid(two_theta, intensity, wavelength, instrument, fill_missing=True)[None]


def answer_of(predictor: Predictor, measured: MeasuredPattern, asked: Asked) -> dict[str, Any]:
    """The answer of one model, as `xtinct.predict` describes it."""
    from xtinct.measurements.preparation import on_grid, with_model_widths
    from xtinct.symmetry.operations import hermann_mauguin

    instrument = predictor.instrument
    pattern = on_grid(
        measured.two_theta,
        # A model that takes off the background itself has learned what is left of it then.
        measured.measured if predictor.render.transform.background == "snip" else measured.intensity,
        measured.radiation.beside(bool(instrument.further_wavelengths)),
        instrument,
        fill_missing=asked.fill_missing,
    )
    pattern, warnings = with_model_widths(
        pattern, instrument, predictor.width_factors, any_width=asked.any_width
    )
    prior, said = _usable(asked.prior, predictor)
    warnings += said
    found = predictor.from_patterns(pattern, prior=prior)
    groups = found.top_groups(0)
    answer = {
        "condition": _condition(predictor.family),
        "lattice": _lattice(predictor.family, measured),
        "classes": found.top_classes(0),
        "groups": groups,
        "space_groups": [
            {"number": group, "symbol": hermann_mauguin(group), "probability": p} for group, p in groups
        ],
        "warnings": warnings,
    }
    if doubt := _doubt(predictor, measured):
        warnings.append(doubt)
    elif found.calibration is not None:
        answer["set"] = _set_of_classes(found, asked.coverage, warnings)
    elif predictor.calibration is not None:
        warnings.append(
            "no set of classes: their probabilities depend on the prior, and it is not that of training"
        )
    return answer


def _usable(prior: Mapping[int, Any] | None, predictor: Predictor) -> tuple[Mapping | None, list[str]]:
    """(the prior as far as the model can be weighed by it, what is to be said of that)."""
    if prior is None:
        return None, []
    try:
        predictor.outputs.prior_shift(prior, predictor.training_prior)
    except NothingLeftError as error:
        return None, [f"{error}; answered with the frequencies of its training"]
    missing = predictor.never_shown(prior)
    if not missing:
        return prior, []
    named = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
    total = sum(float(prior.get(int(group), 0)) for group in predictor.outputs.groups)
    share = sum(float(prior[group]) for group in missing) / total
    return prior, [
        f"the prior has {100 * share:.2g} % of its weight on space groups that training never showed "
        f"({named}); they cannot be weighed"
    ]


def _set_of_classes(found: Prediction, coverage: float, warnings: list[str]) -> list[str]:
    """The classes of the set by falling probability; a warning where it is empty."""
    size = int(found.class_sets(coverage)[0].sum())
    if not size:
        warnings.append(
            f"undecided, so the set is empty: no class has a probability of "
            f"{found.calibration.threshold(coverage):.4g}, which the true class had in "
            f"{100 * coverage:g} % of the calibration samples"
        )
    return [symbol for symbol, _ in found.top_classes(0, len(found.class_symbols))[:size]]


def _condition(family: str) -> str:
    return "no condition: the model knows every family" if family == ALL else f"if the crystal is {family}"


def _shown(family: str, measured: MeasuredPattern) -> "Explanation":
    """The explanation that is told: the family's own, else the best, else one for the number of lines."""
    return measured.explained.get(family) or measured.explained[measured.best or CUBIC]


def _lattice(family: str, measured: MeasuredPattern) -> dict[str, Any]:
    """ "lattice" of an answer: whether the family's lattice explains the lines."""
    best, shown = measured.best, _shown(family, measured)
    known = family in measured.explained or best is not None
    return {
        "explains": best == family if known else None,
        "family": best,
        "lines": shown.lines,
        "explained": shown.explained if known else None,
        "cell": None if shown.cell is None or not known else shown.cell.round(4).tolist(),
    }


def _doubt(predictor: Predictor, measured: MeasuredPattern) -> str | None:
    """Why the positions of the lines allow no set of classes; None where they speak for the family."""
    from xtinct.observer.exact.explaining import FEWEST

    family, best = predictor.family, measured.best
    if family == ALL:
        return None
    if best == family:
        return _doubt_of_axes(predictor, measured.explained[family])
    if best is not None:
        other = measured.explained[best]
        a, _, c = other.cell[:3]
        axes = f"a {a:.3f}" + ("" if best == CUBIC else f", c {c:.3f}")
        return (
            f"{other.explained} of {other.lines} lines lie on a {best} lattice ({axes} angstrom), so the "
            f"crystal is not likely to be {family}: {_NO_SET}"
        )
    own, n_lines = measured.explained.get(family), _shown(family, measured).lines
    if n_lines < FEWEST:
        return f"only {n_lines} lines, too few to tell whether the lattice is {family}: {_NO_SET}"
    if own is None:
        return f"whether the lines lie on a {family} lattice is not checked: {_NO_SET}"
    return (
        f"no {family} lattice explains the lines better than chance does (the best {own.explained} of "
        f"{own.lines}), so the crystal may be of another family or the sample of several phases: {_NO_SET}"
    )


def _doubt_of_axes(predictor: Predictor, own: "Explanation") -> str | None:
    trained = predictor.trained_lengths
    short, long = own.cell[:3].min(), own.cell[:3].max()
    # Lines may show a sublattice of half the axes.
    if trained is None or (2.02 * short >= trained[0] and long <= 1.01 * trained[1]):
        return None
    return (
        f"the lines lie on a lattice with axes of {short:.3f} to {long:.3f} angstrom, but those of "
        f"training were {trained[0]:g} to {trained[1]:g} angstrom: {_NO_SET}"
    )
