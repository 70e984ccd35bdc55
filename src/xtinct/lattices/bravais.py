"""Lattices of a peak list: their reduced cells, Bravais names, relatives and symmetry."""

import itertools
from typing import NamedTuple

import gemmi
import moyopy
import numpy as np

from xtinct.errors import XtinctError
from xtinct.lattices.metric import cell_of, cells_of_tensors, direct_tensor, form_metric
from xtinct.symmetry.classes import relabellings
from xtinct.symmetry.families import MONOCLINIC, family_of, known_family
from xtinct.symmetry.operations import centring as centring_of_group

#: Lattice points of a conventional cell.
POINTS = {"P": 1, "A": 2, "B": 2, "C": 2, "I": 2, "R": 3, "F": 4}
#: Two lattices are the same if lengths agree within this share and angles within so many degrees.
SAME_LENGTH, SAME_ANGLE = 0.025, 2.0
#: Least distance of lattice points, angstrom: atoms are no closer.
SHORTEST = 1.0
#: Indices of sublattices and superlattices that are looked for.
INDICES = (2, 3, 4, 6, 8)

_UNIMODULAR = np.array(list(itertools.product((-1, 0, 1), repeat=9))).reshape(-1, 3, 3)
_UNIMODULAR = _UNIMODULAR[np.abs(np.round(np.linalg.det(_UNIMODULAR))) == 1]
#: The vectors that are their rows, and which of them each row is.
_VECTORS = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
_ROWS = (_UNIMODULAR + 1) @ np.array([9, 3, 1])


class Lifted(NamedTuple):
    """A lattice in the conventional cell of its symmetry."""

    family: str
    metric: np.ndarray  # float64 (p,)
    centring: str


def reduced(cell: np.ndarray, centring: str = "P") -> np.ndarray:
    """Niggli cell float64 (6,) of the primitive lattice of a cell (6,) with a centring."""
    vector = gemmi.GruberVector(gemmi.UnitCell(*(float(x) for x in cell)), centring)
    vector.niggli_reduce()
    return np.array(vector.cell_parameters())


def reduced_of(family: str, metric: np.ndarray, centring: str = "P") -> np.ndarray:
    """Niggli cell float64 (6,) of a metric (p,) and centring."""
    return reduced(cell_of(family, metric), centring)


def same(
    first: np.ndarray, second: np.ndarray, length: float = SAME_LENGTH, angle: float = SAME_ANGLE
) -> bool:
    """Whether two reduced cells (6,) are one lattice: within a share of lengths and degrees, on some axes."""
    one, two = direct_tensor(first), direct_tensor(second)
    ratio = np.sqrt(np.linalg.det(one) / np.linalg.det(two))
    if abs(ratio - 1.0) > 2.4 * length:
        return False
    # Most axes have no vector of their length, and few have several.
    lengths = np.sqrt(((_VECTORS @ one) * _VECTORS).sum(axis=1))
    fits = np.abs(lengths[:, None] / second[:3] - 1.0) < length
    if not fits.any(axis=0).all():
        return False
    turns = _UNIMODULAR[(fits[_ROWS, (0, 1, 2)]).all(axis=1)]
    cells = cells_of_tensors(turns @ one @ turns.transpose(0, 2, 1))
    return bool((np.abs(cells[:, 3:] - second[3:]) < angle).all(axis=1).any())


def hermite(index: int) -> list[np.ndarray]:
    """Hermite normal forms int64 (3, 3) of determinant `index`: one for every sublattice of that index."""
    forms = []
    for a in (x for x in range(1, index + 1) if index % x == 0):
        for b in (x for x in range(1, index // a + 1) if (index // a) % x == 0):
            c = index // a // b
            forms += [
                np.array([[a, d, e], [0, b, f], [0, 0, c]])
                for d, e, f in itertools.product(range(b), range(c), range(c))
            ]
    return forms


def relation(first: np.ndarray, second: np.ndarray) -> float:
    """How the lattice of a reduced cell (6,) stands to that of a second one.

    1 the same; n if the first has n times the cell of the second, whose lattice vectors it has in part
    (a sublattice of index n: it predicts all lines of the second and more); 1/n the other way round;
    0 none of these, for n of INDICES.
    """
    if same(first, second):
        return 1.0
    ratio = float(np.sqrt(np.linalg.det(direct_tensor(first)) / np.linalg.det(direct_tensor(second))))
    for index in INDICES:
        for large, small, answer in ((first, second, float(index)), (second, first, 1.0 / index)):
            size = ratio if large is first else 1.0 / ratio
            if abs(size / index - 1.0) > 2.4 * SAME_LENGTH:
                continue
            direct = direct_tensor(small)
            cells = cells_of_tensors(np.array([form @ direct @ form.T for form in hermite(index)]))
            if any(same(reduced(cell), large) for cell in cells):
                return answer
    return 0.0


def bravais(family: str, centring: str) -> str:
    """Bravais lattice: aP mP mC oP oC oI oF tP tI hP hR cP cI cF (one-face and monoclinic centrings as C)."""
    own = known_family(family)
    if centring not in own.centrings:
        raise XtinctError(f"{family} lattice with centring {centring!r}: expected one of {own.centrings}")
    face = (family == MONOCLINIC and centring != "P") or centring in "AB"
    return own.letter + ("C" if face else centring)


def namings(family: str, cell: np.ndarray) -> list[np.ndarray]:
    """Matrices int64 (3, 3) that name the axes of a cell (6,) otherwise, hkl' = hkl @ matrix: `relabellings`.

    That of the present names stands first, then those of the shortest axes.
    """
    tensor = direct_tensor(cell)

    def unlike(matrix: np.ndarray) -> tuple[bool, float]:
        lengths = np.sqrt(np.diag(matrix.T @ tensor @ matrix))
        return bool((matrix != np.eye(3)).any()), round(float(lengths.sum()), 6)

    return sorted(relabellings(family), key=unlike)


def lifted(cell: np.ndarray, tolerance: float) -> Lifted | None:
    """The lattice of a primitive cell (6,) in its highest symmetry within a distance of atoms, angstrom.

    None if moyo finds no symmetry (one atom in the cell: the symmetry of the lattice alone), and where the
    lattice repeats within SHORTEST: no crystal does, and moyo's search in such a cell may never end.
    """
    if reduced(cell)[:3].min() < SHORTEST:
        return None
    basis = np.linalg.cholesky(direct_tensor(cell))
    try:
        data = moyopy.MoyoDataset(moyopy.Cell(basis.tolist(), [[0.0, 0.0, 0.0]], [1]), symprec=tolerance)
    except ValueError:
        return None
    family = family_of(int(data.number))
    standard = np.array(data.std_cell.basis)
    conventional = cells_of_tensors(standard @ standard.T)
    return Lifted(family, form_metric(family, conventional[None])[0], centring_of_group(int(data.number)))


def neighbours(cell: np.ndarray, index: int, larger: bool) -> list[np.ndarray]:
    """Primitive cells float64 (6,) of the sublattices (larger cells) or superlattices of an index."""
    direct = direct_tensor(cell)
    turns = [form.astype(float) if larger else np.linalg.inv(form).T for form in hermite(index)]
    return list(cells_of_tensors(np.array([turn @ direct @ turn.T for turn in turns])))
