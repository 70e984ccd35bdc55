"""A structure that a user hands over, in whatever form, as the symmetrised crystal that programs need."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gemmi
import numpy as np

from xtinct.errors import XtinctError
from xtinct.structures.crystal import Crystal, RejectedError
from xtinct.structures.parsing import Listing, expand, read_listing
from xtinct.structures.standard import Standard, standardise

#: angstrom; two atoms closer than this are an error of the structure, not a bond.
_MIN_DISTANCE = 0.3
_MAX_SITES = 10_000


def standard_of(structure: Any, *, symprec: float = 0.01) -> Standard:
    """The symmetrised conventional cell of `structure` and its space group.

    `structure`: CIF or POSCAR text, the path of such a file, a pymatgen Structure, or a gemmi
    SmallStructure. `symprec`: angstrom. XtinctError if there is no structure in it.
    """
    try:
        crystal = expand(_listing(structure), max_sites=_MAX_SITES, min_distance=_MIN_DISTANCE)
        return standardise(crystal, symprec=symprec, protostructures=False)
    except RejectedError as rejected:
        raise XtinctError(f"structure: {rejected.reason}: {rejected.detail}") from None


def atoms_of(crystal: Crystal) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Atomic numbers (n,), fractional coordinates (n, 3) and occupancies (n,) of every element of a site."""
    atoms = [
        (z, frac, occupancy)
        for frac, site in zip(crystal.frac, crystal.species, strict=True)
        for z, occupancy in _atomic_numbers(site)
    ]
    species, frac, occupancy = (np.array(column) for column in zip(*atoms, strict=True))
    return species, frac, occupancy


def _atomic_numbers(site: Iterable[tuple[str, float]]) -> list[tuple[int, float]]:
    return [(gemmi.Element(symbol).atomic_number, occupancy) for symbol, occupancy in site]


def _listing(structure: Any) -> Listing:
    if isinstance(structure, str | Path):
        text = str(structure)
        # A text has lines; a path has none.
        if isinstance(structure, Path) or "\n" not in text:
            try:
                text = Path(structure).read_text(encoding="utf-8", errors="replace")
            except OSError as error:
                raise XtinctError(f"{structure}: {error.strerror or error}") from None
        return read_listing(text)
    if hasattr(structure, "get_all_unit_cell_sites"):
        return read_listing(structure.make_cif_block().as_string())
    if hasattr(structure, "lattice") and hasattr(structure, "to"):
        # Every digit: pymatgen's default would round coordinates to 8 significant figures.
        return read_listing(structure.to(fmt="cif", significant_figures=15))
    raise XtinctError(f"structure: {type(structure).__name__}, expected text, a path, pymatgen or gemmi")
