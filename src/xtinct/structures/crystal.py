"""A crystal as the cleaning stage sees it: every site of one cell, each with what occupies it."""

import math
from dataclasses import dataclass

import gemmi
import numpy as np


class RejectedError(Exception):
    """An entry that cannot be used: `reason` for counting, `detail` for a person, in one line."""

    def __init__(self, reason: str, detail: str) -> None:
        # What it quotes of a file may have several.
        detail = " ".join(detail.split())
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


#: What occupies a site: (element symbol, occupancy) pairs, sorted by symbol.
Species = tuple[tuple[str, float], ...]


def without_isotopes(species: Species) -> Species:
    """`species` with deuterium and tritium as the hydrogen that they are to chemistry and X-rays."""
    if not any(symbol in ("D", "T") for symbol, _ in species):
        return species
    amounts: dict[str, float] = {}
    for symbol, occupancy in species:
        element = "H" if symbol in ("D", "T") else symbol
        amounts[element] = amounts.get(element, 0.0) + occupancy
    return tuple((symbol, round(amounts[symbol], 4)) for symbol in sorted(amounts))


@dataclass(frozen=True)
class Crystal:
    """All sites of a cell.

    cell     float64 (6,), a b c in angstrom, alpha beta gamma in degrees
    frac     float64 (n, 3), fractional coordinates
    species  what occupies each site (n); deuterium D and tritium T apart from hydrogen
    """

    cell: np.ndarray
    frac: np.ndarray
    species: list[Species]

    def __len__(self) -> int:
        return len(self.species)

    @property
    def basis(self) -> np.ndarray:
        """float64 (3, 3): rows are the basis vectors in angstrom."""
        return np.array(gemmi.UnitCell(*self.cell).orth.mat.tolist()).T

    @property
    def disordered(self) -> bool:
        """Whether some site is shared by elements or partly occupied."""
        return any(len(site) > 1 or site[0][1] != 1.0 for site in map(without_isotopes, self.species))

    def composition(self) -> dict[str, float]:
        """Atoms of each element in the cell, D and T apart from H, sorted by symbol."""
        amounts: dict[str, float] = {}
        for site in self.species:
            for symbol, occupancy in site:
                amounts[symbol] = amounts.get(symbol, 0.0) + occupancy
        return dict(sorted(amounts.items()))


def cell_of_basis(basis: np.ndarray) -> np.ndarray:
    """Cell parameters, float64 (6,), of basis vectors given as rows, float64 (3, 3)."""
    metric = basis @ basis.T
    lengths = np.sqrt(np.diag(metric))

    def angle(i: int, j: int) -> float:
        cosine = metric[i, j] / (lengths[i] * lengths[j])
        # acos is inaccurate near 0 and 180 degrees only, where no cell is.
        return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))

    return np.array([*lengths, angle(1, 2), angle(0, 2), angle(0, 1)])


def on_right_handed_axes(basis: np.ndarray, frac: np.ndarray) -> np.ndarray:
    """Coordinates float64 (n, 3) for the cell parameters of a basis, rows (3, 3), on right-handed axes.

    Left-handed axes are turned round, and the coordinates with them; as they stand those are of the mirror
    image, P 32 2 1 for P 31 2 1.
    """
    return -frac if np.linalg.det(basis) < 0 else frac


_ANGLES = ("alpha", "beta", "gamma")


def format_cif(name: str, crystal: Crystal) -> str:
    """CIF text of `crystal` in P 1 form: one row for every atom, shared sites once per element.

    Coordinates and cell are written with ten decimals, so positions are exact to 1e-8 angstrom for
    cells up to 100 angstrom.
    """
    cell = np.round(crystal.cell, 10).tolist()
    lines = [
        f"data_{''.join(c if (c.isascii() and c.isalnum()) or c in '-_.' else '_' for c in name)}",
        "_space_group_name_H-M_alt 'P 1'",
        *(f"_cell_length_{axis} {value!r}" for axis, value in zip("abc", cell[:3], strict=True)),
        *(f"_cell_angle_{axis} {value!r}" for axis, value in zip(_ANGLES, cell[3:], strict=True)),
        "loop_",
        "_atom_site_label",
        "_atom_site_type_symbol",
        "_atom_site_fract_x",
        "_atom_site_fract_y",
        "_atom_site_fract_z",
        "_atom_site_occupancy",
    ]
    serial: dict[str, int] = {}
    for (x, y, z), site in zip(wrap(crystal.frac).tolist(), crystal.species, strict=True):
        for symbol, occupancy in site:
            serial[symbol] = n = serial.get(symbol, 0) + 1
            # repr is the shortest text that reads back as the same number.
            lines.append(f"{symbol}{n} {symbol} {x!r} {y!r} {z!r} {occupancy!r}")
    return "\n".join(lines) + "\n"


def wrap(frac: np.ndarray) -> np.ndarray:
    """Fractional coordinates rounded to ten decimals and moved into [0, 1)."""
    wrapped = np.round(frac - np.floor(frac), 10)
    return np.where(wrapped >= 1.0, 0.0, wrapped)
