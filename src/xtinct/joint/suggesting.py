"""What recognition suggests to the observer: lattices of known structures, and votes for space groups."""

import numpy as np

from xtinct.lattices.bravais import reduced, same
from xtinct.observer.indexing.candidates import Suggestion
from xtinct.recognition.known_structures import Table
from xtinct.recognition.recognising import recognise_targets
from xtinct.recognition.recognition import Recognition
from xtinct.recognition.targets import Targets
from xtinct.symmetry.families import family_of
from xtinct.symmetry.operations import centring


def suggestions_of(
    table: Table, targets: Targets, rows: np.ndarray | None = None
) -> tuple[Recognition, tuple[Suggestion, ...]]:
    """What recognition says of peaks, and the different lattices of its structures, the strongest first."""
    recognition = recognise_targets(table, targets, rows)
    return recognition, lattices_of(recognition)


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
