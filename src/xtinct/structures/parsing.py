"""Text of a CIF or POSCAR, or an object of another library -> the sites and words that it lists.

gemmi reads CIFs. Where it gives up on the syntax, quotes that are never closed are closed, and it reads
again: there is one set of rules for all files.
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import gemmi
import numpy as np

from xtinct.structures.crystal import Crystal, RejectedError, on_right_handed_axes, without_isotopes
from xtinct.structures.elements import occupants
from xtinct.structures.filling import Listing, resolve
from xtinct.structures.groups import settings_named
from xtinct.structures.statements import Statements, positive, read_formula
from xtinct.structures.symmetry_words import Words, symmetry_of

_CELL_TAGS = tuple(f"_cell_length_{x}" for x in "abc") + tuple(
    f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma")
)
_TRIPLET_TAGS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_MAGNETIC_TAGS = ("_space_group_symop_magn_operation_xyz", "_space_group_symop_magn_xyz")
_MAGNETIC_CENTRINGS = ("_space_group_symop_magn_centering_xyz",)
_HALL_TAGS = ("_space_group_name_Hall", "_symmetry_space_group_name_Hall")
_SYMBOL_TAGS = ("_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M", "_space_group_name_H-M_full")
_NUMBER_TAGS = ("_space_group_IT_number", "_symmetry_Int_Tables_number")
_SYMMETRY_TAGS = (*_TRIPLET_TAGS, *_HALL_TAGS, *_SYMBOL_TAGS, *_NUMBER_TAGS)
_CODE_TAGS = ("_space_group_IT_coordinate_system_code",)
_SYSTEM_TAGS = ("_space_group_crystal_system", "_symmetry_cell_setting")
_FORMULA_TAGS = ("_chemical_formula_sum",)
_STRUCTURAL_TAGS = ("_chemical_formula_structural",)
_UNITS_TAGS = ("_cell_formula_units_Z",)
_DENSITY_TAGS = ("_exptl_crystal_density_diffrn",)
#: Parts of tags that only files of magnetic or modulated structures have.
_MODULATED = ("_cell_modulation", "_cell_wave_vector", "_ssg_")
_SPECIAL = ("_magn", *_MODULATED)
#: Characters that look like a minus or a space, and marks that are no character at all.
_LOOKALIKES = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d", "-")
    | dict.fromkeys("\u00a0\u2002\u2003\u2007\u2009\u202f\u3000", " ")
    | dict.fromkeys("\ufeff\u200b\u00ad", "")
)
#: g/cm^3; no crystal is heavier.
_HEAVIEST_CRYSTAL = 50
_DOTTED_MARKS = ("_cell.", "_atom_site.", "_space_group.", "_symop.", "_operation.", "_centering.")
#: A line that begins a data block; lines end as for `str.splitlines`.
_DATA_BLOCK = re.compile(r"(?:\A|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])\s*data_", re.IGNORECASE)
_DOTTED_TAG = re.compile(r"^(\s*_[A-Za-z][\w-]*)\.(?=[A-Za-z])", re.MULTILINE)


def expand(listing: Listing, *, max_sites: int, min_distance: float) -> Crystal:
    """The crystal of `resolve`."""
    return resolve(listing, max_sites=max_sites, min_distance=min_distance).crystal


def read_listing(text: str) -> Listing:
    """The structure that `text` (CIF or POSCAR) lists; RejectedError if it holds none that can be used."""
    if not text.isascii():
        text = text.translate(_LOOKALIKES)
    if not text or text.isspace():
        raise RejectedError("empty", "there is no text")
    if _like_poscar(text):
        return _read_poscar(text)
    if not (text.startswith("data_") or "\ndata_" in text or _DATA_BLOCK.search(text)):
        raise RejectedError("unreadable", "neither a CIF (no line begins with data_) nor a POSCAR")
    document = _document(text)
    blocks = [block for block in document if len(block.find_values("_atom_site_fract_x"))]
    if not blocks:
        raise RejectedError("no_sites", "no data block lists atom sites with fractional coordinates")
    if len(blocks) > 1:
        names = ", ".join(block.name for block in blocks[:5])
        raise RejectedError(
            "several_structures", f"{len(blocks)} data blocks hold a structure ({names}), expected 1"
        )
    return _read_block(blocks[0], special=_has_any(text, _SPECIAL))


def _has_any(text: str, marks: tuple[str, ...]) -> bool:
    for mark in marks:  # noqa: SIM110 (twice as fast as any, for every file)
        if mark in text:
            return True
    return False


def _document(text: str) -> gemmi.cif.Document:
    # Dictionaries since 2011 write _cell.length_a; the names before the dot are the same.
    if _has_any(text, _DOTTED_MARKS):
        text = _DOTTED_TAG.sub(r"\1_", text)
    try:
        return gemmi.cif.read_string(text)
    except (ValueError, RuntimeError) as error:
        mended = _close_quotes(text).encode("ascii", "replace").decode()
        try:
            return gemmi.cif.read_string(mended)
        except (ValueError, RuntimeError):
            # gemmi says where the syntax breaks.
            raise RejectedError("unreadable", _one_line(error)) from None


def _close_quotes(text: str) -> str:
    """`text` with every quote that is open at the end of its line closed there."""
    lines, in_field = [], False
    for line in text.splitlines():
        if line.startswith(";"):
            in_field = not in_field
        elif not in_field:
            rest = re.sub(r"(?<!\S)(?:'.*?'|\".*?\")(?!\S)|(?<!\S)[^\s'\"#]\S*", "", line).lstrip()
            if rest[:1] in ("'", '"'):
                line = line.rstrip() + rest[0]
        lines.append(line)
    return "\n".join(lines) + "\n"


def _read_block(block: gemmi.cif.Block, *, special: bool) -> Listing:
    lengths_and_angles = list(map(block.find_value, _CELL_TAGS))
    if None in lengths_and_angles:
        raise RejectedError("bad_cell", f"{_CELL_TAGS[lengths_and_angles.index(None)]} is missing")
    # Not the cell of the small structure: there, an unknown value (?) is 1 angstrom.
    cell = np.array(list(map(gemmi.cif.as_number, lengths_and_angles)))
    for tag in _NUMBER_TAGS:
        # gemmi fails on a number in quotes.
        if (value := block.find_value(tag)) is not None and not value.isdecimal():
            number = gemmi.cif.as_string(value).strip()
            block.set_pair(tag, number if number.isdecimal() else "?")
    formula = read_formula(formula_text := _value(block, _FORMULA_TAGS))
    statements, words = _statements(block, formula), _words(block, special)
    try:
        small = _small_structure(block)
    except (ValueError, RuntimeError) as error:
        raise RejectedError("unreadable", _one_line(error)) from None
    dummies = _dummy_labels(block)
    sites = [site for site in small.sites if site.occ != 0 and site.label not in dummies]
    if not block.find_values("_atom_site_type_symbol"):
        # gemmi repeats the label where there is no type.
        for site in sites:
            site.type_symbol = ""
    multiplicities = None
    if len(sites) == len(small.sites):
        multiplicities = _numbers(block.find_values("_atom_site_symmetry_multiplicity"), len(sites))
    return _listing(
        sites,
        _elements(formula_text if formula else ""),
        cell=cell,
        symmetry=symmetry_of(words),
        statements=statements,
        multiplicities=multiplicities,
    )


def _small_structure(block: gemmi.cif.Block) -> gemmi.SmallStructure:
    """The sites of a block, which loses its words on symmetry.

    gemmi would look for a group with such operations in its whole table, ten times the work of the sites.
    """
    for tag in _SYMMETRY_TAGS:
        block.find([tag]).erase()
    return gemmi.make_small_structure_from_block(block)


def _statements(block: gemmi.cif.Block, formula: Mapping[str, float] | None) -> Statements:
    units = positive(gemmi.cif.as_number(_value(block, _UNITS_TAGS) or "?"))
    if formula and units and units > 1 and (structural := _value(block, _STRUCTURAL_TAGS)):
        unit = read_formula(structural)
        if unit is not None and unit != formula and _times(unit, units) == formula:
            # pymatgen writes the whole cell as the sum, and the formula unit as the structural formula.
            formula = unit
    density = positive(gemmi.cif.as_number(_value(block, _DENSITY_TAGS) or "?"))
    if density is not None and density > _HEAVIEST_CRYSTAL:
        density /= 1000  # kg/m^3
    return Statements(formula, units, density)


def _times(formula: Mapping[str, float], units: float) -> dict[str, float]:
    return {symbol: amount * units for symbol, amount in formula.items()}


def _listing(
    sites: list[gemmi.SmallStructure.Site], elements: frozenset[str], *, cell: np.ndarray, **words: Any
) -> Listing:
    """The listing of `sites`; `elements` are those of the file's formula."""
    found, groups = [], False
    for site in sites:
        here, is_group = occupants(site.type_symbol, site.label, elements)
        found.append(here)
        groups |= is_group
    rows = [i for i, here in enumerate(found) for _ in here]
    frac = np.array([site.fract.tolist() for site in sites], dtype=np.float64).reshape(-1, 3)
    occupancies = np.array([site.occ for site in sites], dtype=np.float64)
    if len(rows) > len(sites):
        frac = frac[rows]
        occupancies = occupancies[rows] * [share for here in found for _, share in here]
        if (counts := words.get("multiplicities")) is not None:
            words["multiplicities"] = counts[rows]
    symbols = [symbol for here in found for symbol, _ in here]
    hydrogen_missing = (groups or not elements.isdisjoint("HDT")) and not {"H", "D", "T"}.intersection(
        symbols
    )
    return Listing(cell, symbols, frac, occupancies, hydrogen_missing=hydrogen_missing, **words)


def _elements(formula: str) -> frozenset[str]:
    return frozenset(re.findall("[A-Z][a-z]?", formula))


def _numbers(column: gemmi.cif.Column, expected: int) -> np.ndarray | None:
    if len(column) != expected:
        return None
    values = np.array([gemmi.cif.as_number(value) for value in column])
    return values if (values > 0).all() else None


def _value(block: gemmi.cif.Block, tags: tuple[str, ...]) -> str:
    """The first known value of `tags`; empty if there is none."""
    for tag in tags:
        value = block.find_value(tag)
        if value is not None and (text := gemmi.cif.as_string(value).strip()) not in ("", "?", "."):
            return text
    return ""


def _words(block: gemmi.cif.Block, special: bool) -> Words:
    triplets, centrings = _triplets(block, _TRIPLET_TAGS), ()
    tags = _special_tags(block) if special else []
    if any(mark in tag for tag in tags for mark in _MODULATED):
        dimension = _value(block, ("_cell_modulation_dimension",))
        if dimension != "0":
            raise RejectedError("modulated", "a modulated structure; its cell alone does not describe it")
    magnetic = _triplets(block, _MAGNETIC_TAGS) if special else ()
    if magnetic:
        # Time reversal, the fourth component, moves no atom.
        triplets = tuple(",".join(text.split(",")[:3]) for text in magnetic)
        centrings = _triplets(block, _MAGNETIC_CENTRINGS)
        centrings = tuple(",".join(text.split(",")[:3]) for text in centrings)
    elif tags and not triplets and any("_symop_magn" in tag or "_group_magn" in tag for tag in tags):
        raise RejectedError("unknown_symmetry", "a magnetic group without a list of its operations")
    number = gemmi.cif.as_number(_value(block, _NUMBER_TAGS) or "?")
    return Words(
        triplets,
        centrings,
        _value(block, _HALL_TAGS),
        _value(block, _SYMBOL_TAGS),
        int(number) if number in range(1, 231) else 0,
        _value(block, _CODE_TAGS),
        _value(block, _SYSTEM_TAGS),
    )


def _special_tags(block: gemmi.cif.Block) -> list[str]:
    """Tags of magnetic and modulated structures, in small letters."""
    found = []
    for item in block:
        tags = [item.pair[0]] if item.pair else item.loop.tags if item.loop else []
        for tag in tags:
            tag = tag.lower()
            if any(mark in tag for mark in _SPECIAL):
                found.append(tag)
    return found


def _triplets(block: gemmi.cif.Block, tags: tuple[str, ...]) -> tuple[str, ...]:
    for tag in tags:
        values = [gemmi.cif.as_string(value) for value in block.find_values(tag)]
        if values and values != ["?"]:
            return tuple(values)
    return ()


def _dummy_labels(block: gemmi.cif.Block) -> set[str]:
    """Labels of sites that the file itself marks as dummies: calculated points without an atom."""
    table = block.find("_atom_site_", ["label", "calc_flag"])
    return {gemmi.cif.as_string(row[0]) for row in table if row[1].lower() == "dum"}


def _like_poscar(text: str) -> bool:
    """Whether lines 2 to 5 are a scale and three vectors, whatever the comment on line 1 says."""
    lines = text.split("\n", 5)
    if len(lines) < 5 or len(_floats(lines[1])) not in (1, 3):
        return False
    return all(len(_floats(line)) >= 3 for line in lines[2:5])


def _floats(line: str) -> list[float]:
    values = []
    for word in line.split():
        try:
            values.append(float(word))
        except ValueError:
            break
    return values


def _read_poscar(text: str) -> Listing:
    # Imported here: seconds of start-up that most runs never need.
    from pymatgen.io.vasp.inputs import Poscar

    if not text.splitlines()[0].strip():
        text = "no comment" + text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            poscar = Poscar.from_str(text, read_velocities=False)
    except Exception as error:
        # pymatgen's readers raise whatever the text leads them into.
        raise RejectedError("unreadable", f"POSCAR: {type(error).__name__}: {_one_line(error)}") from None
    if not poscar.true_names:
        raise RejectedError(
            "unknown_species", "a POSCAR without element names: write them on the line before the counts"
        )
    return listing_of_pymatgen(poscar.structure)


def listing_of_pymatgen(structure: Any) -> Listing:
    """The sites of a pymatgen Structure."""
    rows = [
        (_pymatgen_symbol(species), site.frac_coords, occupancy)
        for site in structure
        for species, occupancy in site.species.items()
    ]
    with np.errstate(all="ignore"):  # of vectors beyond all numbers, whose cell is refused later
        cell = np.array(structure.lattice.parameters)
        return _of_atoms(cell, structure.lattice.matrix, rows)


def _pymatgen_symbol(species: Any) -> str:
    # The symbol of deuterium is H there; its name is D. Dummies have no name.
    element = getattr(species, "element", species)
    return getattr(element, "name", element.symbol)


def listing_of_ase(atoms: Any) -> Listing:
    """The sites of an ASE Atoms that is periodic in three directions.

    Hydrogen of mass 2 or 3 is deuterium or tritium, and `info["occupancy"]` is heeded, as ASE writes them.
    """
    if not atoms.pbc.all() or atoms.cell.rank < 3:
        raise RejectedError("bad_cell", "an ASE Atoms without three periodic directions is no crystal")
    shares = atoms.info.get("occupancy") or {}
    kinds = atoms.arrays.get("spacegroup_kinds")
    rows = []
    for i, (symbol, mass, frac) in enumerate(
        zip(atoms.get_chemical_symbols(), atoms.get_masses(), atoms.get_scaled_positions(), strict=True)
    ):
        here = shares.get(str(kinds[i]), {symbol: 1.0}) if kinds is not None else {symbol: 1.0}
        for name, occupancy in here.items():
            isotope = {2: "D", 3: "T"}.get(round(float(mass)), "H") if name == "H" else name
            rows.append((isotope, frac, occupancy))
    return _of_atoms(np.array(atoms.cell.cellpar()), atoms.cell.array, rows)


def _of_atoms(cell: np.ndarray, basis: np.ndarray, rows: Sequence[tuple[str, np.ndarray, float]]) -> Listing:
    """The sites `rows`: symbol, coordinates and occupancy of each."""
    symbols = [symbol for symbol, _, _ in rows]
    for symbol in dict.fromkeys(symbols):
        if symbol not in ("D", "T") and gemmi.Element(symbol).atomic_number == 0:
            raise RejectedError("unknown_species", f"{symbol!r} is not an element")
    frac = np.array([place for _, place, _ in rows], dtype=np.float64).reshape(-1, 3)
    occupancies = np.array([occupancy for _, _, occupancy in rows], dtype=np.float64)
    return Listing(cell, symbols, on_right_handed_axes(basis, frac), occupancies)


def listing_of_gemmi(small: gemmi.SmallStructure) -> Listing:
    """The sites of a gemmi SmallStructure, with the symmetry in the words that it carries."""
    symbol = small.spacegroup_hm
    if not (small.symops or small.spacegroup_hall or settings_named(symbol) or small.spacegroup_number):
        symbol = small.spacegroup.xhm() if small.spacegroup is not None else symbol
    words = Words(tuple(small.symops), (), small.spacegroup_hall, symbol, max(0, small.spacegroup_number))
    sites = [site for site in small.sites if site.occ != 0]
    for site in sites:
        if not site.type_symbol and not site.label:
            site.type_symbol = site.element.name
    cell = np.array(small.cell.parameters)
    return _listing(sites, frozenset(), cell=cell, symmetry=symmetry_of(words))


def read_cleaned(cif: str) -> Crystal:
    """The crystal that `crystal.format_cif` wrote: rows at exactly the same place share a site.

    Deuterium and tritium come as hydrogen, for the statistics of chemistry, also beside it on one site.
    """
    small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(cif).sole_block())
    sites: dict[tuple[float, ...], list[tuple[str, float]]] = {}
    for site in small.sites:
        symbol = site.type_symbol if site.type_symbol in ("D", "T") else site.element.name
        sites.setdefault(tuple(site.fract.tolist()), []).append((symbol, site.occ))
    return Crystal(
        cell=np.array(small.cell.parameters),
        frac=np.array(list(sites)),
        species=[without_isotopes(tuple(sorted(atoms))) for atoms in sites.values()],
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
