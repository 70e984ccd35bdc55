"""A structure that a user hands over, in whatever form, as the symmetrised crystal that programs need."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gemmi
import numpy as np

from xtinct.errors import XtinctError
from xtinct.linelists.scattering import scatterer_number
from xtinct.sources.archives import decoded
from xtinct.structures.crystal import Crystal, RejectedError
from xtinct.structures.filling import Listing
from xtinct.structures.parsing import (
    expand,
    listing_of_ase,
    listing_of_gemmi,
    listing_of_pymatgen,
    read_listing,
)
from xtinct.structures.standard import Standard, standardise

#: angstrom; two atoms closer than this are an error of the structure, not a bond.
_MIN_DISTANCE = 0.3
_MAX_SITES = 10_000


def standard_of(structure: Any, *, symprec: float = 0.01) -> Standard:
    """The symmetrised conventional cell of `structure` and its space group.

    `structure`: CIF or POSCAR text, the path of such a file, a pymatgen Structure, a gemmi
    SmallStructure, or an ASE Atoms. `symprec`: angstrom. XtinctError if there is no structure in it.
    """
    try:
        crystal = expand(_listing(structure), max_sites=_MAX_SITES, min_distance=_MIN_DISTANCE)
        return standardise(crystal, symprec=symprec, protostructures=False)
    except RejectedError as rejected:
        raise XtinctError(f"structure: {rejected.reason}: {rejected.detail}") from None


def atoms_of(crystal: Crystal) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scatterers (n,), fractional coordinates (n, 3) and occupancies (n,) of every element of a site.

    Scatterers are numbered as `scatterer_number` does: by atomic number, isotopes of hydrogen apart.
    """
    atoms = [
        (z, frac, occupancy)
        for frac, site in zip(crystal.frac, crystal.species, strict=True)
        for z, occupancy in _scatterers(site)
    ]
    species, frac, occupancy = (np.array(column) for column in zip(*atoms, strict=True))
    return species, frac, occupancy


def _scatterers(site: Iterable[tuple[str, float]]) -> list[tuple[int, float]]:
    return [
        (scatterer_number(symbol, gemmi.Element(symbol).atomic_number), occupancy)
        for symbol, occupancy in site
    ]


def _listing(structure: Any) -> Listing:
    if isinstance(structure, str | Path):
        text = str(structure)
        # A text has lines; a path has none.
        if isinstance(structure, Path) or "\n" not in text:
            try:
                text = decoded(Path(structure).read_bytes())
            except OSError as error:
                raise XtinctError(f"{structure}: {error.strerror or error}") from None
            except ValueError as error:
                raise XtinctError(f"{structure}: {error}") from None
        return read_listing(text)
    if hasattr(structure, "get_all_unit_cell_sites"):
        return listing_of_gemmi(structure)
    if hasattr(structure, "lattice") and hasattr(structure, "to"):
        return listing_of_pymatgen(structure)
    if hasattr(structure, "get_scaled_positions") and hasattr(structure, "get_masses"):
        return listing_of_ase(structure)
    raise XtinctError(f"structure: {type(structure).__name__}, expected text, a path, pymatgen, gemmi or ASE")
