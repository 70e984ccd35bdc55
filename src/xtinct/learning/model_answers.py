"""What the trained models of some folders say of a measured pattern: one answer for each crystal family."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xtinct.errors import XtinctError
from xtinct.learning.measured_patterns import Asked, MeasuredPattern, answer_of
from xtinct.radiation.tubes import Radiation


def answers_of_models(
    two_theta: np.ndarray,
    intensity: np.ndarray,
    radiation: Radiation,
    models: str | Path | Sequence[str | Path],
    asked: Asked,
) -> dict[str, dict[str, Any]]:
    """Extinction classes and space groups by each model; `xtinct.predict` describes question and answer.

    two_theta   float (n,), degrees, ascending; intensity, float (n,)
    radiation   wavelengths; an instrument of a single one has its lines at the mean of a doublet
    models      folders of trained models, or a folder that holds some; one of each crystal family

    XtinctError for a pattern without peaks, or one that a model cannot read.
    """
    from xtinct.learning.predictor import Predictor
    from xtinct.measurements.preparation import checked_pattern, without_background
    from xtinct.measurements.strong_peaks import require_peaks, strong_lines
    from xtinct.observer.exact.explaining import best_families

    two_theta, intensity = checked_pattern(two_theta, intensity, radiation.wavelength)
    folders = _model_folders(models)
    require_peaks(two_theta, intensity)
    explained, best = best_families(strong_lines(two_theta, intensity), radiation.wavelength)
    bare = without_background(two_theta, intensity) if asked.subtract_background else intensity
    measured = MeasuredPattern(two_theta, bare, intensity, radiation, explained, best)
    answers: dict[str, dict[str, Any]] = {}
    for folder in folders:
        predictor = Predictor(folder)
        if predictor.family in answers:
            raise XtinctError(f"{folder}: a second model for the {predictor.family} family; name one of each")
        answers[predictor.family] = answer_of(predictor, measured, asked)
    return answers


def _model_folders(models: str | Path | Sequence[str | Path]) -> list[Path]:
    found = []
    for path in map(Path, [models] if isinstance(models, str | Path) else models):
        inside = (
            [path] if (path / "card.json").is_file() else sorted(c.parent for c in path.rglob("card.json"))
        )
        if not inside:
            raise XtinctError(
                f"{path}: holds no trained model (no card.json); run make all, or name other models, "
                "or none: lattice, absences and known structures answer without"
            )
        found += inside
    return found
