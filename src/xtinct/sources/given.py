"""A structure that a user hands over, in whatever form, as the symmetrised crystal that programs need."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gemmi
import numpy as np

from xtinct.errors import XtinctError
from xtinct.linelists.scattering import scatterer_number
from xtinct.sources.archives import decoded
from xtinct.structures.crystal import Crystal, RejectedError, Species
from xtinct.structures.filling import CONTRADICTION, FilledCell, Listing, resolve
from xtinct.structures.parsing import (
    listing_of_ase,
    listing_of_gemmi,
    listing_of_pymatgen,
    read_listing,
)
from xtinct.structures.standard import Standard, standardise

#: angstrom; two atoms closer than this are an error of the structure, not a bond.
_MIN_DISTANCE = 0.3
_MAX_SITES = 10_000
#: What somebody who has the file at hand can do about a cell that is not what its formula says.
_HINT = "; mend the file, or take formula, Z and density out of it if its sites are right"


def standard_of(structure: Any, *, symprec: float = 0.01) -> Standard:
    """The symmetrised conventional cell of `structure` and its space group.

    `structure`: CIF or POSCAR text, the path of such a file, a pymatgen Structure, a gemmi
    SmallStructure, or an ASE Atoms. `symprec`: angstrom. XtinctError if there is no structure in it.
    """
    with refused_in_one_line():
        return standardise(filled_cell_of(structure).crystal, symprec=symprec, protostructures=False)


def filled_cell_of(structure: Any) -> FilledCell:
    """All sites of `structure` as it is written, and the operations that it states; RejectedError."""
    return resolved(listing_of(structure))


def resolved(listing: Listing) -> FilledCell:
    """All sites of a listing of any size that a user may hand over; RejectedError."""
    return resolve(listing, max_sites=_MAX_SITES, min_distance=_MIN_DISTANCE)


@contextmanager
def refused_in_one_line() -> Iterator[None]:
    """Turn the refusal of a structure into an XtinctError."""
    try:
        yield
    except RejectedError as rejected:
        hint = _HINT if rejected.reason == CONTRADICTION and " stated" in rejected.detail else ""
        raise XtinctError(f"structure: {rejected.reason}: {rejected.detail}{hint}") from None


def atoms_of(crystal: Crystal) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scatterers (n,), fractional coordinates (n, 3) and occupancies (n,) of every element of a site.

    Scatterers are numbered as `scatterer_number` does: by atomic number, isotopes of hydrogen apart.
    """
    sites = list(map(_scatterers, crystal.species))
    atoms = [atom for site in sites for atom in site]
    species, occupancy = np.array([z for z, _ in atoms]), np.array([share for _, share in atoms])
    if len(atoms) == len(sites):
        return species, crystal.frac, occupancy
    return species, np.repeat(crystal.frac, list(map(len, sites)), axis=0), occupancy


@functools.lru_cache(maxsize=4096)
def _scatterers(site: Species) -> tuple[tuple[int, float], ...]:
    return tuple((atomic_number_of(symbol), occupancy) for symbol, occupancy in site)


def atomic_number_of(symbol: str) -> int:
    """Number of a scatterer, as `scatterer_number`; 0 for what is no element."""
    return scatterer_number(symbol, gemmi.Element(symbol).atomic_number)


def listing_of(structure: Any) -> Listing:
    """What `structure` lists; XtinctError if it is of no known kind, RejectedError if it cannot be used."""
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
