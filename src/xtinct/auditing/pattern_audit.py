"""The audit of measured patterns: whether each is a measurement of one phase that its label describes.

A pattern is rejected for one of REJECTING, each of which says what is wrong; remarks do not reject it. What
was found stands beside the verdict, so that other limits can be set afterwards. What the file and its label
show is looked at first, and the peaks of those alone that pass.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from xtinct.auditing.calculated_profiles import is_calculated, turning_share
from xtinct.auditing.counting_limits import counting_ceiling
from xtinct.auditing.label_fits import LabelFit, fit_label
from xtinct.auditing.pattern_sets import PASS, REJECT, LabelledMeasurement, labelled_measurements
from xtinct.auditing.repeated_patterns import duplicates
from xtinct.errors import XtinctError
from xtinct.files.parquet import write_parquet
from xtinct.files.schema import AUDIT
from xtinct.observer.observe import peaks_of
from xtinct.observer.peaks.radiation_found import Found
from xtinct.symmetry.families import HEXAGONAL, TRIGONAL, crystal_system
from xtinct.symmetry.operations import hermann_mauguin

#: What rejects a pattern, and what that means.
REJECTING = {
    "calculated": "a calculated profile: it has no counting noise",
    "duplicate_content": "the same measurement as an earlier pattern",
    "duplicate_specimen": "of the same specimen of one laboratory as an earlier pattern",
    "no_wavelength": "nothing says the wavelength",
    "unreadable": "no peaks can be looked for in it",
    "no_label": "neither space group nor crystal system is known",
    "trigonal_or_hexagonal": "hexagonal by name alone, which many lists say of trigonal crystals too",
    "few_counts": "too few counts",
    "few_peaks": "too few peaks",
    "short_range": "the range is too short",
    "label_inconsistent": "cell and space group of the label do not go together",
    "wrong_label": "the label's cell does not explain the pattern",
    "cell_lost": "the fit left the label's cell",
    "several_phases": "lines of another phase",
    "forbidden_lines": "lines that the label's space group forbids",
    "trigonal_as_hexagonal": "all lines obey the condition of a rhombohedral lattice, the label is hexagonal",
}
#: What is worth knowing and rejects nothing.
REMARKS = {
    "filed_under_hexagonal": "a trigonal space group that the label calls hexagonal",
    "cell_not_tested": "the cell has so many lines that it would explain almost any pattern",
    "cell_off": "the cell had to change by more than half a per cent",
    "label_not_fitted": "the label has no cell, so it was not held against the pattern",
}
#: Counts of the highest point at least; peaks at least; span of 1/d at least, 1/angstrom.
FEWEST_COUNTS, FEWEST_PEAKS, SHORTEST_SPAN = 60.0, 4, 0.25
#: Share of the peaks' area away from the cell's lines, and strong ones of ten: of a wrong label, and of a
#: further phase, for which one strong line does too.
_WRONG, _WRONG_STRONG, _FURTHER = 0.30, 4, 0.04
#: Share of the range within reach of the cell's lines from which on it is not tested; relative
#: change of it that is worth a remark, and that is no longer the same cell.
_UNTESTED, _CHANGED, _LOST = 0.6, 0.005, 0.02
#: Probability of classes of a rhombohedral lattice from which on a hexagonal label is wrong.
_RHOMBOHEDRAL = 0.99


@dataclass
class Audited:
    """A pattern under audit: reasons as they are found, with a clause for each, and the figures of AUDIT."""

    pattern: LabelledMeasurement
    reasons: list[str] = field(default_factory=list)
    clauses: list[str] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)

    def say(self, reason: str, clause: str = "") -> None:
        """Add a reason, or a remark, with what was found."""
        self.reasons.append(reason)
        text = REJECTING.get(reason) or REMARKS[reason]
        self.clauses.append(f"{text} ({clause})" if clause else text)

    @property
    def verdict(self) -> str:
        """PASS unless a reason rejects it."""
        return REJECT if any(reason in REJECTING for reason in self.reasons) else PASS

    def row(self) -> dict[str, object]:
        """A row of AUDIT."""
        m = self.pattern.measurement
        return {
            **dict.fromkeys(AUDIT.names),
            "pattern_id": self.pattern.pattern_id,
            "laboratory": self.pattern.laboratory,
            "verdict": self.verdict,
            "reasons": self.reasons,
            "detail": "; ".join(self.clauses),
            "points": len(m.two_theta),
            "two_theta_min": float(m.two_theta[0]),
            "two_theta_max": float(m.two_theta[-1]),
            "turning": turning_share(m.intensity),
            **self.figures,
        }


def audit(
    patterns: Sequence[LabelledMeasurement], earlier: Iterable[LabelledMeasurement] = ()
) -> Iterator[Audited]:
    """Every pattern of a set, audited in turn; `earlier`: patterns of other sets, which these may repeat."""
    repeated = duplicates(patterns, earlier)
    for one in patterns:
        yield _audited(one, repeated.get(one.pattern_id))


def audit_patterns(patterns: str | Path, earlier: Sequence[str | Path], out: str | Path) -> dict[str, int]:
    """Write the audit of a set to `out` (schema AUDIT) and return how many have each verdict.

    patterns  table MEASURED_PATTERNS of the set; earlier, those of the sets before it
    """
    before = [one for path in earlier for one in labelled_measurements(path)]
    rows = [one.row() for one in audit(labelled_measurements(patterns), before)]
    write_parquet(out, [pa.Table.from_pylist(rows, schema=AUDIT)], AUDIT)
    return {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in (PASS, REJECT)}


def _audited(pattern: LabelledMeasurement, repeats: tuple[str, str] | None) -> Audited:
    audited = Audited(pattern)
    if repeats:
        audited.say(f"duplicate_{repeats[1]}", repeats[0])
        audited.figures["duplicate_of"] = repeats[0]
    if is_calculated(pattern.measurement.intensity):
        turning = turning_share(pattern.measurement.intensity)
        audited.say("calculated", f"{turning:.2f} of the turning points of noise")
    _label_alone(audited)
    # The rest takes a second a pattern: it is asked of those alone that may still pass.
    found = _peaks(audited) if audited.verdict == PASS else None
    if found is not None:
        for check in (_counts, _range):
            check(audited, found)
        if len(found.peaks) >= FEWEST_PEAKS:
            _label_on_pattern(audited, found)
    return audited


def _label_alone(audited: Audited) -> None:
    label = audited.pattern.label
    if label.true_system is None:
        audited.say("no_label")
    elif label.number is None and label.system == HEXAGONAL:
        audited.say("trigonal_or_hexagonal")
    elif label.number is not None and label.system == HEXAGONAL and crystal_system(label.number) == TRIGONAL:
        audited.say("filed_under_hexagonal", hermann_mauguin(label.number))
    if label.n_phases is not None and label.n_phases > 1:
        audited.say("several_phases", f"the label names {label.n_phases}")


def _peaks(audited: Audited) -> Found | None:
    measurement = audited.pattern.measurement
    if measurement.radiation is None:
        audited.say("no_wavelength")
        return None
    try:
        found = peaks_of(measurement)
    except XtinctError as error:
        audited.say("unreadable", str(error))
        return None
    audited.figures["peaks"] = len(found.peaks)
    return found


def _counts(audited: Audited, found: Found) -> None:
    counts = _counts_of(audited.pattern.measurement.intensity, found)
    audited.figures["counts"] = counts
    if counts < FEWEST_COUNTS:
        audited.say("few_counts", f"about {counts:.0f} at the highest point")
    if len(found.peaks) < FEWEST_PEAKS:
        audited.say("few_peaks", f"{len(found.peaks)}")


def _counts_of(intensity: np.ndarray, found: Found) -> float:
    """Counts of the highest point: as its noise tells, and as the smallest of all tells beside zeros."""
    noise, highest = found.measured.noise, float(found.measured.intensity.max())
    counts = highest**2 / max(noise.gain * highest + noise.floor, 1e-300)
    if (intensity == 0).any():
        # Beside no count at all the smallest intensity is one count, whatever the unit.
        counts = min(counts, float(intensity.max() / intensity[intensity > 0].min()))
    return counts


def _range(audited: Audited, found: Found) -> None:
    ends = found.measured.two_theta[[0, -1]]
    low, high = 2 * np.sin(np.radians(ends / 2)) / found.measured.radiation.wavelength
    if high - low < SHORTEST_SPAN:
        audited.say("short_range", f"1/d {low:.2f} to {high:.2f} 1/angstrom")


def _label_on_pattern(audited: Audited, found: Found) -> None:
    label = audited.pattern.label
    if label.number is None or label.cell is None:
        audited.say("label_not_fitted")
        return
    try:
        told = fit_label(found, label)
    except XtinctError as error:
        audited.say("label_inconsistent", str(error))
        return
    except (np.linalg.LinAlgError, ValueError) as error:
        audited.say("wrong_label", f"its cell cannot be fitted: {error}")
        return
    # The last digits of sums depend on how many threads linear algebra has: the table does not.
    audited.figures |= {
        "unexplained": round(told.unexplained, 9),
        "foreign": int(told.foreign.sum()),
        "weighted_r": round(told.fit.weighted_r, 9),
        "class_probability": round(told.probability, 9),
        "cell_change": round(told.cell_change, 9),
    }
    for check in _ON_PATTERN:
        check(audited, told, found)
    if audited.verdict == PASS:
        right = counting_ceiling(found, told, label.number).right
        audited.figures["class_ceiling"] = round(right["extinction_class"][1], 9)
        audited.figures["group_ceiling"] = round(right["spacegroup"][1], 9)


def _lines(audited: Audited, told: LabelFit, found: Found) -> None:
    share = f"{100 * told.unexplained:.0f} % of the area, {told.strong} of the ten highest peaks"
    if told.unexplained > _WRONG or told.strong >= _WRONG_STRONG:
        audited.say("wrong_label", share)
    elif (told.unexplained > _FURTHER or told.strong) and told.foreign.sum() > 1:
        audited.say("several_phases", share)


def _absences(audited: Audited, told: LabelFit, found: Found) -> None:
    if len(told.forbidden):
        angles = ", ".join(f"{x:.2f}" for x in told.forbidden[:4])
        audited.say("forbidden_lines", f"{hermann_mauguin(audited.pattern.label.number)}; {angles} degrees")


def _rhombohedral(audited: Audited, told: LabelFit, found: Found) -> None:
    if crystal_system(audited.pattern.label.number) != HEXAGONAL:
        return
    centred = sum(
        p
        for symbol, p in zip(told.posterior.symbols, told.posterior.probability, strict=True)
        if symbol.startswith("R")
    )
    if centred > _RHOMBOHEDRAL:
        audited.say("trigonal_as_hexagonal")


def _cell(audited: Audited, told: LabelFit, found: Found) -> None:
    if told.chance > _UNTESTED:
        audited.say("cell_not_tested", f"{100 * told.chance:.0f} % of the range is near a line")
    if told.cell_change > _CHANGED:
        reason = "cell_lost" if told.cell_change > _LOST else "cell_off"
        audited.say(reason, f"{100 * told.cell_change:.1f} % in a length")


_Check = Callable[[Audited, LabelFit, Found], None]
_ON_PATTERN: tuple[_Check, ...] = (_lines, _absences, _rhombohedral, _cell)
