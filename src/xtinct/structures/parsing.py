"""Text of a CIF or POSCAR -> every site of the cell it describes.

gemmi reads first; where it gives up on the syntax, pymatgen's more lenient reader has a second say.
"""

import math
import re
import warnings
from dataclasses import dataclass, field
from functools import lru_cache

import gemmi
import numpy as np

from xtinct.structures.crystal import Crystal, RejectedError, Species
from xtinct.structures.geometry import MIN_CELL_HEIGHT, cell_heights, close_pairs

#: Symmetry images of one site closer than this are one atom on a special position, given with few decimals.
SPECIAL_POSITION_RADIUS = 0.1
#: Sites closer than this share one position (mixed occupancy).
SHARED_POSITION_RADIUS = 0.05
#: Published occupancies of a shared site are rounded; above this sum they are wrong.
MAX_OCCUPANCY = 1.05
#: Symbols of groups whose hydrogen atoms were not located: the atom that stands for them.
HYDROGEN_GROUPS = {"OH": "O", "OW": "O", "WAT": "O", "NH": "N"}
#: Occupancies are compared at this many decimals.
_OCCUPANCY_DECIMALS = 4

_CELL_TAGS = tuple(f"_cell_length_{x}" for x in "abc") + tuple(
    f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma")
)


@dataclass
class Listing:
    """A structure as its file lists it: the asymmetric unit and the operations that fill the cell."""

    cell: np.ndarray
    symbols: list[str]
    frac: np.ndarray
    occupancies: np.ndarray
    rotations: np.ndarray = field(default_factory=lambda: np.eye(3)[None])
    translations: np.ndarray = field(default_factory=lambda: np.zeros((1, 3)))
    declared: int = 0
    hydrogen_missing: bool = False


def read_listing(text: str) -> Listing:
    """The structure that `text` (CIF or POSCAR) lists; RejectedError if it holds none that can be used."""
    if not text.strip():
        raise RejectedError("empty", "there is no text")
    if not any(line.lstrip().lower().startswith("data_") for line in text.splitlines()):
        return _read_with_pymatgen(text, "poscar")
    try:
        document = gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        try:
            return _read_with_pymatgen(text, "cif")
        except RejectedError:
            # gemmi says where the syntax breaks.
            raise RejectedError("unreadable", _one_line(error)) from None
    blocks = [block for block in document if len(block.find_values("_atom_site_fract_x"))]
    if not blocks:
        raise RejectedError("no_sites", "no data block lists atom sites with fractional coordinates")
    if len(blocks) > 1:
        names = ", ".join(block.name for block in blocks[:5])
        raise RejectedError(
            "several_structures", f"{len(blocks)} data blocks hold a structure ({names}), expected 1"
        )
    return _read_block(blocks[0])


def _read_block(block: gemmi.cif.Block) -> Listing:
    missing = [tag for tag in _CELL_TAGS if block.find_value(tag) is None]
    if missing:
        raise RejectedError("bad_cell", f"{missing[0]} is missing")
    # Not the cell of the small structure: there, an unknown value (?) is 1 angstrom.
    cell = np.array([gemmi.cif.as_number(block.find_value(tag)) for tag in _CELL_TAGS])
    small = gemmi.make_small_structure_from_block(block)
    dummies = _dummy_labels(block)
    sites = [site for site in small.sites if site.occ != 0 and site.label not in dummies]
    rotations, translations = _operations(small)
    return Listing(
        cell=cell,
        symbols=[_element(site) for site in sites],
        frac=np.array([site.fract.tolist() for site in sites], dtype=np.float64).reshape(-1, 3),
        occupancies=np.array([site.occ for site in sites], dtype=np.float64),
        rotations=rotations,
        translations=translations,
        declared=_declared_number(small),
        hydrogen_missing=_hydrogen_missing(block, sites),
    )


def _element(site: gemmi.SmallStructure.Site) -> str:
    group = _hydrogen_group(site.type_symbol)
    if group is not None:
        return group
    # gemmi takes oxidation numbers off (Fe3+) and knows which symbols are no element (X, Va); but NO in
    # capitals (NO3) is a group of two elements, and No is element 102.
    if site.element.atomic_number == 0 or site.type_symbol.startswith("NO"):
        raise RejectedError("unknown_species", f"site {site.label}: {site.type_symbol!r} is not an element")
    # Deuterium scatters X-rays as hydrogen and has its chemistry: one element for all labels.
    return "H" if site.element.name == "D" else site.element.name


@lru_cache(maxsize=4096)
def _hydrogen_group(type_symbol: str) -> str | None:
    letters = re.match("[A-Za-z]*", type_symbol).group()
    # NH in capitals is imine or ammonium; Nh is element 113.
    return None if letters == "Nh" else HYDROGEN_GROUPS.get(letters.upper())


def _dummy_labels(block: gemmi.cif.Block) -> set[str]:
    """Labels of sites that the file itself marks as dummies: calculated points without an atom."""
    table = block.find("_atom_site_", ["label", "calc_flag"])
    return {gemmi.cif.as_string(row[0]) for row in table if row[1].lower() == "dum"}


def _operations(small: gemmi.SmallStructure) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (m, 3, 3) and translations (m, 3): those listed in the file, else those of its group."""
    if small.symops:
        try:
            operations = [gemmi.Op(triplet) for triplet in small.symops]
        except (ValueError, RuntimeError) as error:
            raise RejectedError("unknown_symmetry", f"symmetry operation: {_one_line(error)}") from None
    elif small.spacegroup is not None:
        operations = list(small.spacegroup.operations())
    else:
        named = small.spacegroup_hall or small.spacegroup_hm or small.spacegroup_number
        if named:
            raise RejectedError(
                "unknown_symmetry", f"no operations listed and no known group named {named!r}"
            )
        return np.eye(3)[None], np.zeros((1, 3))
    rotations = np.array([operation.rot for operation in operations], dtype=np.float64) / gemmi.Op.DEN
    translations = np.array([operation.tran for operation in operations], dtype=np.float64) / gemmi.Op.DEN
    return rotations, translations


def _declared_number(small: gemmi.SmallStructure) -> int:
    # P 1 says only that every site is listed.
    number = small.spacegroup.number if small.spacegroup else small.spacegroup_number
    return number if 2 <= number <= 230 else 0


def _hydrogen_missing(block: gemmi.cif.Block, sites: list[gemmi.SmallStructure.Site]) -> bool:
    """Whether the file's formula, or a group symbol such as OH, has hydrogen that no site shows."""
    if any(site.element.atomic_number == 1 for site in sites):
        return False
    formula = gemmi.cif.as_string(block.find_value("_chemical_formula_sum") or "?")
    symbols = re.findall("[A-Z][a-z]?", formula)
    return (
        "H" in symbols
        or "D" in symbols
        or any(_hydrogen_group(site.type_symbol) is not None for site in sites)
    )


def _read_with_pymatgen(text: str, form: str) -> Listing:
    # Imported here: seconds of start-up that most runs never need.
    from pymatgen.io.cif import CifParser
    from pymatgen.io.vasp.inputs import Poscar

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if form == "poscar":
                structure = Poscar.from_str(text).structure
            else:
                parser = CifParser.from_str(text, occupancy_tolerance=100)
                structure = parser.parse_structures(primitive=False, check_occu=False)[0]
    except Exception as error:
        # pymatgen's readers raise whatever the text leads them into.
        raise RejectedError("unreadable", f"{type(error).__name__}: {_one_line(error)}") from None
    rows = [
        (getattr(species, "element", species).symbol, site.frac_coords, occupancy)
        for site in structure
        for species, occupancy in site.species.items()
    ]
    for symbol, *_ in rows:
        if gemmi.Element(symbol).atomic_number == 0:
            raise RejectedError("unknown_species", f"{symbol!r} is not an element")
    return Listing(
        cell=np.array(structure.lattice.parameters),
        symbols=["H" if symbol == "D" else symbol for symbol, *_ in rows],
        frac=np.array([frac for _, frac, _ in rows]).reshape(-1, 3),
        occupancies=np.array([occupancy for *_, occupancy in rows]),
    )


def expand(listing: Listing, *, max_sites: int, min_distance: float) -> Crystal:
    """Every site of the cell, shared positions joined.

    `max_sites` bounds the work; `min_distance` (angstrom): two atoms that are there at the same
    time (occupancies above 1 together) may not be closer. RejectedError says what is wrong.
    """
    basis = _checked_basis(listing.cell)
    if not len(listing.frac):
        raise RejectedError("no_sites", "the structure has no atom")
    if not np.isfinite(listing.frac).all():
        site = int(np.nonzero(~np.isfinite(listing.frac).all(axis=1))[0][0])
        raise RejectedError(
            "bad_coordinates", f"site {site + 1} ({listing.symbols[site]}) has no finite coordinates"
        )
    wrong = ~((listing.occupancies > 0) & (listing.occupancies <= MAX_OCCUPANCY))
    if wrong.any():
        site = int(np.nonzero(wrong)[0][0])
        raise RejectedError("bad_occupancy", f"site {site + 1}: occupancy {listing.occupancies[site]:g}")
    frac, source = _fill_cell(listing, basis, max_sites)
    return _join_shared(listing, basis, frac, source, min_distance)


def _checked_basis(cell: np.ndarray) -> np.ndarray:
    shown = " ".join(f"{value:g}" for value in cell)
    if not np.isfinite(cell).all() or (cell <= 0).any() or (cell[3:] >= 180).any():
        raise RejectedError("bad_cell", f"cell parameters {shown}")
    unit_cell = gemmi.UnitCell(*cell)
    if not (math.isfinite(unit_cell.volume) and unit_cell.volume > 0):
        raise RejectedError("bad_cell", f"cell parameters {shown} enclose no volume")
    basis = np.array(unit_cell.orth.mat.tolist()).T
    if cell_heights(basis).min() < MIN_CELL_HEIGHT:
        raise RejectedError("bad_cell", f"cell parameters {shown}: thinner than {MIN_CELL_HEIGHT:g} angstrom")
    return basis


def _fill_cell(listing: Listing, basis: np.ndarray, max_sites: int) -> tuple[np.ndarray, np.ndarray]:
    """Symmetry images of the listed sites: float64 (n, 3), and the listed site of each, int64 (n,)."""
    if len(listing.frac) > max_sites:
        raise RejectedError(
            "too_many_sites", f"{len(listing.frac)} listed sites, at most {max_sites} allowed"
        )
    if len(listing.rotations) == 1:
        return listing.frac, np.arange(len(listing.frac))
    positions, sources, total = [], [], 0
    for i, site in enumerate(listing.frac):
        images = listing.rotations @ site + listing.translations
        shift = images - site
        shift -= np.round(shift)
        same = np.linalg.norm(shift @ basis, axis=1) < SPECIAL_POSITION_RADIUS
        if np.count_nonzero(same) > 1:
            # The mean over the site's own group lies exactly on the special position.
            images = listing.rotations @ (site + shift[same].mean(axis=0)) + listing.translations
            images = _distinct(images, basis)
        total += len(images)
        if total > max_sites:
            raise RejectedError("too_many_sites", f"more than {max_sites} sites in the cell")
        positions.append(images)
        sources.append(np.full(len(images), i))
    return np.concatenate(positions), np.concatenate(sources)


def _distinct(images: np.ndarray, basis: np.ndarray) -> np.ndarray:
    kept: list[np.ndarray] = []
    left = images
    while len(left):
        kept.append(left[0])
        shift = left - left[0]
        shift -= np.round(shift)
        left = left[np.linalg.norm(shift @ basis, axis=1) >= SPECIAL_POSITION_RADIUS]
    return np.array(kept)


def _join_shared(
    listing: Listing, basis: np.ndarray, frac: np.ndarray, source: np.ndarray, min_distance: float
) -> Crystal:
    symbols = [listing.symbols[i] for i in source]
    occupancies = np.round(listing.occupancies[source], _OCCUPANCY_DECIMALS)
    first, second, distance = close_pairs(frac, basis, max(min_distance, SHARED_POSITION_RADIUS))
    if not len(first) and (occupancies == 1.0).all():
        return Crystal(cell=listing.cell, frac=frac, species=[((symbol, 1.0),) for symbol in symbols])
    host = np.arange(len(frac))
    for i, j, d in zip(first.tolist(), second.tolist(), distance.tolist(), strict=True):
        together = occupancies[i] + occupancies[j]
        if d < min_distance and together > MAX_OCCUPANCY:
            raise RejectedError(
                "atoms_too_close",
                f"{symbols[i]} and {symbols[j]}: {d:.3f} angstrom, expected at least {min_distance:g}",
            )
        if d < SHARED_POSITION_RADIUS and together <= MAX_OCCUPANCY:
            host[j] = host[i]
    species: list[Species] = []
    positions = []
    members: dict[int, list[int]] = {}
    for i, h in enumerate(host.tolist()):
        members.setdefault(h, []).append(i)
    for h, atoms in members.items():
        amounts: dict[str, float] = {}
        for i in atoms:
            amounts[symbols[i]] = amounts.get(symbols[i], 0.0) + float(occupancies[i])
        total = sum(amounts.values())
        if total > MAX_OCCUPANCY:
            raise RejectedError(
                "bad_occupancy", f"a shared site ({'/'.join(sorted(amounts))}) holds {total:.3f} atoms"
            )
        scale = total if total > 1 else 1.0
        species.append(
            tuple((symbol, round(amounts[symbol] / scale, _OCCUPANCY_DECIMALS)) for symbol in sorted(amounts))
        )
        positions.append(frac[h])
    return Crystal(cell=listing.cell, frac=np.array(positions), species=species)


def read_cleaned(cif: str) -> Crystal:
    """The crystal that `crystal.format_cif` wrote: rows at exactly the same place share a site."""
    small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(cif).sole_block())
    sites: dict[tuple[float, ...], list[tuple[str, float]]] = {}
    for site in small.sites:
        sites.setdefault(tuple(site.fract.tolist()), []).append((site.element.name, site.occ))
    return Crystal(
        cell=np.array(small.cell.parameters),
        frac=np.array(list(sites)),
        species=[tuple(sorted(atoms)) for atoms in sites.values()],
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
