"""What is to be known of an answer: why there is none, what speaks against it, and what would help."""

from collections.abc import Sequence

import numpy as np

from xtinct.lattices.bravais import POINTS, reduced, relation, same
from xtinct.observer.answer.answer_data import AnswerData, LatticeAnswer, LineAnswer, Statement
from xtinct.observer.indexing.candidates import Candidate
from xtinct.observer.peaks.peak_search import Peaks
from xtinct.observer.peaks.peak_shapes import q_of
from xtinct.observer.peaks.radiation_found import Found
from xtinct.symmetry.families import BY_SYMMETRY, TRICLINIC

#: FWHM at copper's wavelength, degree, above which a hump is no crystal's peak; and above which lines hide.
_HUMP, _BROAD = 2.0, 0.45
#: Peaks below which little can be told, and 1/d of the first point above which low lines are missing.
_FEW, _FIRST_Q = 8, 0.04
#: Share of the area in foreign lines that another phase explains, and their number.
_SECOND_SHARE, _SECOND_LINES = 0.04, 3
#: M20 below which an indexing is doubtful (de Wolff 1968, J. Appl. Cryst. 1, 108), and above which it fits;
#: lines that it is judged by.
_DOUBTFUL_M20, _GOOD_M20, _MERIT_LINES = 10.0, 20.0, 10
#: How many times as large M20 is in a lower symmetry that is said.
_BETTER = 1.2
#: Share of lengths, and degrees, within which two lattices of one pattern are hardly two phases.
_ALIKE = 0.01, 1.0
#: Volume of a lattice point, angstrom^3, below which no crystal is known: nickel has 10.9 (Swanson and Tatge
#: 1953, NBS Circular 539, 1, 13), diamond 11.3.
_SMALLEST = 10.0
#: Shift of the lines, degree, that is said.
_SHIFT = 0.02
_COPPER = 1.5406

NO_LATTICE = (
    "No lattice explains the lines better than chance.",
    "More than one phase, a wrong wavelength or too few lines are the usual causes: measure longer, begin at "
    "lower angles, take off the lines of known phases, or give the family or the cell.",
)
#: Fewest peaks that a lattice is found on, or refined.
LEAST = 3
_TOO_FEW = (
    f"A cell that is told is refined on {LEAST} lines or more.",
    "Measure longer or further.",
)
_OUT_OF_RANGE = (
    "The cell that was told has too few lines in the range of the list, or too many, to be held against it.",
    "Look at its numbers (angstrom and degrees), and at the wavelength.",
)


def _scaled(found: Found) -> float:
    """Widths in degrees at this wavelength over those at copper's."""
    return found.measured.radiation.wavelength / _COPPER


def amorphous(found: Found) -> bool:
    """Whether the pattern shows humps and no peaks."""
    if not len(found.peaks):
        return True
    return bool(np.median(found.peaks.fwhm) > _HUMP * _scaled(found))


def _places(peaks: Peaks) -> str:
    strongest = np.sort(peaks.two_theta[np.argsort(-peaks.area, kind="stable")[:4]])
    return ", ".join(f"{x:.1f}" for x in strongest)


def of_peaks(found: Found) -> list[Statement]:
    """What the beginning of the pattern and the peaks alone tell."""
    return [*of_beginning(found), *_of_peaks(found)]


def of_beginning(found: Found) -> list[Statement]:
    """What was left out, and what was added, before peaks were looked for."""
    return [*_of_beam(found), *_of_level(found)]


def _of_level(found: Found) -> list[Statement]:
    """That the level between the peaks is below zero, where it is."""
    if not found.measured.raised:
        return []
    return [
        Statement(
            "reading",
            f"Between the peaks intensities are below zero: {found.measured.raised:.4g} was added to all.",
            "Too large a background was taken off; give the pattern as it was counted.",
        )
    ]


def _of_beam(found: Found) -> list[Statement]:
    """That the flank of the primary beam was left out, where it was."""
    if found.beam is None:
        return []
    return [
        Statement(
            "range",
            f"Below {found.beam:.2f} degrees the intensity falls as the flank of the primary beam does: that "
            "part was left out.",
            "Lines there are not seen: narrower slits, a knife edge or a larger beam stop would show them.",
        )
    ]


def _of_peaks(found: Found) -> list[Statement]:
    peaks = found.peaks
    if not len(peaks):
        return [
            Statement(
                "amorphous",
                "No peak stands out of noise and background.",
                "The specimen is amorphous, or was counted too briefly.",
            )
        ]
    if amorphous(found):
        return [
            Statement(
                "amorphous",
                f"The pattern shows humps {np.median(peaks.fwhm):.1f} degrees wide at {_places(peaks)} "
                "degrees, and no peaks of a crystal.",
                "A glass has no lattice.",
            )
        ]
    said = _few(len(peaks))
    if np.median(peaks.fwhm) > _BROAD * _scaled(found):
        said.append(
            Statement(
                "broad",
                f"The peaks are {np.median(peaks.fwhm):.2f} degrees wide (FWHM): weak lines hide under "
                "strong ones.",
                "A better crystallised specimen or a sharper instrument shows more.",
            )
        )
    first = float(q_of(found.measured.two_theta[0], found.measured.radiation.wavelength))
    if np.sqrt(first) > 5 * _FIRST_Q:
        said.append(
            Statement(
                "range",
                f"The pattern begins at d = {1 / np.sqrt(first):.2f} angstrom; lines of longer spacing are "
                "missing.",
                "Begin at lower angles: the first lines decide most.",
            )
        )
    return said


def _few(lines: int) -> list[Statement]:
    if lines >= _FEW:
        return []
    number = f"{lines} lines were" if lines > 1 else "1 line was"
    return [
        Statement(
            "few lines",
            f"Only {number} found; several lattices explain so few.",
            "Measure longer or further, or give the family or the cell.",
        )
    ]


def of_list(lines: int) -> list[Statement]:
    """What is to be known of an answer to a list of peaks, of which there are `lines`."""
    return [
        *_few(lines),
        Statement(
            "reading",
            "A list of peaks shows no absences: classes and groups go by the lattices alone.",
            "Take the whole pattern where you have it.",
        ),
    ]


def of_told_cell(lines: Sequence[LineAnswer]) -> list[Statement]:
    """That some lines of a list are none of the cell that was told."""
    foreign = [line for line in lines if line.hkl is None]
    if not foreign:
        return []
    return [
        Statement(
            "foreign lines",
            f"{len(foreign)} of {len(lines)} lines are none of the cell that was told.",
            "Another phase, another cell or another wavelength: ask without the cell.",
        )
    ]


def no_lattice(peaks: int, *, told: bool) -> list[Statement]:
    """Why no lattice was found on so many peaks; told, whether the cell was."""
    if not told:
        return [Statement("no lattice", *NO_LATTICE)]
    return [Statement("no lattice", *(_TOO_FEW if peaks < LEAST else _OUT_OF_RANGE))]


def two_phases(best: Candidate, first: Candidate, second: Candidate) -> Statement:
    """That `second` explains the lines which `first` leaves; or that it is nearly the same lattice.

    best: the most probable lattice, which need not be the first
    """
    leads = same(best.reduced, first.reduced)
    left = f"the lines that {'the best lattice' if leads else _with_cell(first)} leaves fit"
    if same(first.reduced, second.reduced, *_ALIKE):
        return Statement(
            "second phase",
            f"A lattice comes twice: {left} nearly the same one, {_with_cell(second)}.",
            "A doublet or a wavelength that is told wrongly looks like this (--wavelength), and so do two "
            "phases of one structure type.",
        )
    return Statement(
        "second phase",
        f"Two phases: {left} another, {_with_cell(second)}.{' The answer is of the first.' if leads else ''}",
        "Take off the lines of the other phase for a closer look at one.",
    )


def _with_cell(lattice: Candidate | LatticeAnswer) -> str:
    edges = " ".join(f"{x:.4f}" for x in lattice.cell[:3])
    angles = " ".join(f"{x:.2f}" for x in lattice.cell[3:])
    return f"{lattice.bravais} {edges} {angles} (angstrom, degrees)"


def of_answer(answer: AnswerData, found: Found) -> list[Statement]:
    """What the best lattice leaves open."""
    said = []
    best = answer.lattices[0]
    point = best.volume / POINTS[best.centring]
    if point < _SMALLEST:
        said.append(
            Statement(
                "undecided",
                f"The best lattice has {point:.1f} angstrom^3 for each lattice point: crystals have more, at "
                "ordinary pressure.",
                "Most probably the wavelength was a longer one: tell it (--wavelength).",
            )
        )
    foreign = [line for line in answer.lines if line.hkl is None]
    share = sum(line.area for line in foreign) / max(sum(line.area for line in answer.lines), 1e-300)
    known = any(statement.kind == "second phase" for statement in answer.statements)
    if len(foreign) >= _SECOND_LINES and share > _SECOND_SHARE and not known:
        said.append(
            Statement(
                "second phase",
                f"{len(foreign)} lines with {100 * share:.0f} % of the intensity do not belong to the best "
                "lattice: more than one phase, or the wrong lattice.",
                "Identify the other phase, or take its lines off (--peaks with the rest).",
            )
        )
    elif foreign and not known:
        places = ", ".join(f"{line.two_theta:.2f}" for line in foreign[:6])
        said.append(
            Statement(
                "foreign lines",
                f"{len(foreign)} line{'s' if len(foreign) > 1 else ''} ({places} degrees) not of the best "
                f"lattice: {100 * share:.1f} % of the intensity.",
            )
        )
    if known and share > 0.5:
        said.append(
            Statement(
                "foreign lines",
                f"The best lattice has {100 * (1 - share):.0f} % of the intensity only: it is that of the "
                "lesser phase, or a wrong one.",
                "The strong lines are of the other phase.",
            )
        )
    said += _of_better_lattices(answer.lattices, len(foreign))
    profile = answer.fit.profile if answer.fit is not None else None
    if profile is not None and abs(profile.zero + profile.displacement) > _SHIFT:
        said.append(
            Statement(
                "shift",
                f"At low angle lines lie {profile.zero + profile.displacement:+.3f} degrees from where the "
                f"lattice has them (zero {profile.zero:+.3f}, displacement of the specimen "
                f"{profile.displacement:+.3f}).",
            )
        )
    if best.m20 < _DOUBTFUL_M20 and best.probability < 0.9 and len(answer.lines) >= _MERIT_LINES:
        said.append(
            Statement(
                "undecided",
                f"The best lattice has M20 = {best.m20:.2g}: below {_DOUBTFUL_M20:.0f} a cell may index the "
                f"lines by chance, the more so a large one ({best.volume:.0f} angstrom^3).",
                "Several phases in the specimen look like this: tell what you know (--family, --cell, and "
                "--elements to xtinct predict), or index the lines without those of known phases (--peaks).",
            )
        )
    if answer.unknown > 0.5:
        said.append(_none_is_right(answer, len(foreign)))
    elif best.probability < 0.5:
        said.append(
            Statement(
                "undecided",
                f"The best lattice has a probability of {best.probability:.2f} only.",
                "Longer counting, a range that begins lower, or the family or cell, if known, would decide.",
            )
        )
    return said


def _of_better_lattices(lattices: Sequence[LatticeAnswer], foreign: int) -> list[Statement]:
    """That a less probable lattice explains the lines better: the best one in a lower symmetry; or a larger
    one that has all its lines and more, where some lines are `foreign`.

    Both have more lines, which M20 charges. A triclinic cell, of six free numbers, does not count as lower.
    """
    best = lattices[0]
    cell = reduced(best.cell, best.centring)
    lower = BY_SYMMETRY[BY_SYMMETRY.index(best.family) + 1 :]
    for one in sorted(lattices[1:], key=lambda x: -x.m20):
        if one.m20 <= best.m20:
            break
        merit = f"{_with_cell(one)}: M20 = {one.m20:.0f} in place of {best.m20:.0f}."
        own = reduced(one.cell, one.centring)
        if foreign and relation(own, cell) > 1:
            text = f"A larger lattice has all lines of the best one, and explains more: {merit}"
            advice = (
                "Weak lines of a superstructure look like this, and so do lines of another phase: longer "
                "counting shows more of them."
            )
            return [Statement("undecided", text, advice)]
        nearly = one.family in lower and one.family != TRICLINIC and same(own, cell)
        if nearly and one.m20 > _BETTER * best.m20:
            text = f"In a lower symmetry the best lattice explains the lines better, {merit}"
            advice = "Look for lines that are split, or wider than others: a sharper instrument shows it."
            return [Statement("undecided", text, advice)]
    return []


def _none_is_right(answer: AnswerData, foreign: int) -> Statement:
    """That none of the lattices is probable, and how that goes with a best one that indexes the lines."""
    best = answer.lattices[0]
    text = f"Probably none of these lattices is right ({answer.unknown:.2f})"
    if best.m20 < _GOOD_M20 or foreign:
        return Statement("no lattice", f"{text}.", NO_LATTICE[1])
    return Statement(
        "no lattice",
        f"{text}, although the first indexes all {len(answer.lines)} lines (M20 = {best.m20:.0f}): lines "
        "that it should show are missing, or the whole pattern fits worse than by a right lattice.",
        "Look at the picture (--plot). A doublet told as one wavelength, texture, other shapes of peaks and "
        "a cell that is too large are the usual causes.",
    )
