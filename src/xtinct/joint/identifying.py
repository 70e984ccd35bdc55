"""Observer and recognition asked together."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xtinct.errors import XtinctError
from xtinct.joint.identification import Identification
from xtinct.lattices.bravais import reduced, same
from xtinct.measurements import Measurement, PeakTable, radiation_of
from xtinct.observer.asking import Pattern, Wavelength, asked, observe_list, read
from xtinct.observer.indexing.candidates import Suggestion, candidates
from xtinct.observer.judging.known_lines import KnownLines
from xtinct.observer.observe import observe_found, peaks_of
from xtinct.observer.peaks.radiation_found import Found
from xtinct.observer.question import Question
from xtinct.observer.weighed_lattices import Search
from xtinct.recognition.known_structures import Table
from xtinct.recognition.recognising import chosen_rows, open_table, recognise, recognise_targets
from xtinct.recognition.recognition import Recognition
from xtinct.recognition.targets import TooFewPeaksError, targets_of
from xtinct.symmetry.families import family_of
from xtinct.symmetry.operations import centring

#: What `database` is where no known structure shall be asked.
NO_DATABASE = "none"


def identify(
    pattern: Pattern,
    wavelength: Wavelength = None,
    *,
    database: str | Path | Table | None = None,
    elements: str | Iterable[str] | None = None,
    peaks: bool = False,
    scan: str | None = None,
    axis: str | None = None,
    **known: Any,
) -> Identification:
    """`xtinct.predict` without models, which describes question and answer.

    The lattices of recognised structures are judged on the whole pattern beside those that the observer
    finds, and their space groups vote. With `database="none"` the observer answers alone.
    """
    question = asked(**known)
    table = None if database == NO_DATABASE else open_table(database)
    measured = read(pattern, wavelength, peaks=peaks, scan=scan, axis=axis)
    if table is None and elements is not None:
        raise XtinctError("elements: they choose among known structures, and no database is asked")
    radiation = None if wavelength is None else radiation_of(wavelength)
    if isinstance(measured, PeakTable):
        recognition = None
        if table is not None:
            with suppress(TooFewPeaksError):
                recognition = recognise(measured, table, wavelength, elements=elements)
                # What is to be known of the list stands among the statements of the observation.
                notes = tuple(note for note in recognition.notes if note not in measured.notes)
                recognition = replace(recognition, notes=notes)
        observation = observe_list(measured, radiation, question)
        return Identification(observation, recognition, _path(table))
    rows = None if table is None else chosen_rows(table, elements)
    return identify_found(measured, peaks_of(measured, radiation), question, table, rows)


def identify_found(
    measured: Measurement,
    found: Found,
    question: Question,
    table: Table | None,
    rows: np.ndarray | None,
    search: Search = candidates,
) -> Identification:
    """`identify` of a pattern whose peaks were found before; `rows` of the table are asked.

    search: as `observe_found` takes it.
    """
    recognition = None
    if table is not None:
        # Then lattice and absences answer alone, where they can.
        with suppress(TooFewPeaksError):
            recognition = recognise_targets(table, targets_of(found), rows, measured.name or "pattern", 3)
    if recognition is not None:
        question = told_by(recognition, question)
    return Identification(observe_found(measured, found, question, search), recognition, _path(table))


def _path(table: Table | None) -> Path | None:
    return None if table is None else table.path


def told_by(recognition: Recognition, question: Question) -> Question:
    """The question with the lattices and votes of recognition.

    As it is where no known structure fits, or none of those that fit has the cell that is told.
    """
    suggested = lattices_of(recognition)
    if not recognition.known or (question.cell is not None and not _has_cell(suggested, question.cell)):
        return question
    known = tuple(
        KnownLines(x.number, x.cell, x.probability, x.d_star, x.intensity) for x in recognition.known
    )
    return replace(
        question, suggested=suggested, trust=recognition.probability, votes=recognition.groups, known=known
    )


def _has_cell(suggested: tuple[Suggestion, ...], cell: tuple[float, ...]) -> bool:
    """Whether a suggested lattice is that of a cell on conventional axes, whose centring is not known."""
    told = np.asarray(cell, dtype=np.float64)
    return any(same(reduced(told, one.centring), reduced(one.cell, one.centring)) for one in suggested)


def lattices_of(recognition: Recognition) -> tuple[Suggestion, ...]:
    """The different lattices of the structures that were recognised, the strongest first."""
    found: list[Suggestion] = []
    primitive: list[np.ndarray] = []
    for known in recognition.known:
        letter, family = centring(known.number), family_of(known.number)
        cell = np.asarray(known.cell, dtype=np.float64)
        if not np.isfinite(cell).all():
            continue
        small = reduced(cell, letter)
        if any(x.family == family and same(small, y) for x, y in zip(found, primitive, strict=True)):
            continue
        found.append(Suggestion(family, cell, letter, float(known.score)))
        primitive.append(small)
    return tuple(found)
