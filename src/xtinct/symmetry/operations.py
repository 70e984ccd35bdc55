"""Operations, Wyckoff positions and descriptors of the 230 space groups, from the packaged tables.

Standard settings: unique axis b, hexagonal axes for R groups, origin choice 2.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from xtinct.errors import XtinctError
from xtinct.files.parquet import read_table
from xtinct.symmetry.families import CUBIC, FAMILIES, MONOCLINIC, N_SPACE_GROUPS, crystal_system, family_of
from xtinct.symmetry.reflection_conditions import DENOMINATOR

#: Folder of the packaged tables, made by `xtinct.symmetry.cctbx_tables`.
DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Operations:
    """All operations x' = R x + t of a conventional cell, centring included.

    rotations     int8 (n, 3, 3), acting on column vectors of fractional coordinates
    translations  int8 (n, 3), in 24ths, each in 0..23
    """

    rotations: np.ndarray
    translations: np.ndarray

    def __len__(self) -> int:
        return len(self.rotations)


@dataclass(frozen=True)
class WyckoffPosition:
    """A Wyckoff position; its points for a parameter vector x are `rotations @ x + translations`.

    letter         ITA letter; "A" is the 27th letter of group 47
    multiplicity   points in the conventional cell
    site_symmetry  geometric crystal class of the site symmetry group ("mm2")
    freedom        free coordinates, 0 to 3
    rotations      float64 (multiplicity, 3, 3): singular except for the general position
    translations   float64 (multiplicity, 3)
    """

    letter: str
    multiplicity: int
    site_symmetry: str
    freedom: int
    rotations: np.ndarray
    translations: np.ndarray


@dataclass(frozen=True)
class Setting:
    """One orientation of the axes of a space group, and what does not depend on it."""

    number: int
    symbol: str
    standard: bool
    centring: str
    point_group: str
    laue_class: str
    operations: Operations


@lru_cache(maxsize=1)
def _settings() -> dict[int, tuple[Setting, ...]]:
    settings: dict[int, list[Setting]] = {}
    for row in read_table(DATA / "operations.parquet").to_pylist():
        number = row["spacegroup_number"]
        rotations = np.array(row["rotations"], dtype=np.int8).reshape(-1, 3, 3)
        translations = np.array(row["translations"], dtype=np.int8).reshape(-1, 3)
        rotations.flags.writeable = translations.flags.writeable = False
        setting = Setting(
            number=number,
            symbol=row["setting"],
            standard=row["standard"],
            centring=row["centring"],
            point_group=row["point_group"],
            laue_class=row["laue_class"],
            operations=Operations(rotations, translations),
        )
        settings.setdefault(number, []).append(setting)
    return {number: tuple(of_group) for number, of_group in settings.items()}


def settings(number: int) -> tuple[Setting, ...]:
    """Tabulated settings of a space group, the standard one first.

    Non-standard ones are tabulated for monoclinic and orthorhombic groups only.
    """
    crystal_system(number)  # raises for numbers outside 1-230
    return _settings()[int(number)]


def find_setting(number: int, symbol: str) -> Setting:
    """The setting of a space group with a given Hermann-Mauguin symbol ("P 1 21/n 1")."""
    for setting in settings(number):
        if setting.symbol == symbol:
            return setting
    known = ", ".join(setting.symbol for setting in settings(number))
    raise XtinctError(f"space group {group_name(number)}: no setting {symbol!r}; known: {known}")


def operations(number: int) -> Operations:
    """Operations of a space group in its standard setting."""
    return settings(number)[0].operations


def hermann_mauguin(number: int) -> str:
    """Full Hermann-Mauguin symbol of the standard setting ("P 1 21/c 1")."""
    return settings(number)[0].symbol


#: Symbols with the double glide plane e, which ITA writes since 1992.
_DOUBLE_GLIDES = {"Aem2": 39, "Aea2": 41, "Cmce": 64, "Cmme": 67, "Ccce": 68}


@lru_cache(maxsize=1)
def _numbers_of_names() -> dict[str, int]:
    """Symbols without spaces -> space group number, of all settings.

    Monoclinic ones also short (P21/c), orthorhombic ones also with e, cubic ones also as before 1983 (Fm3m).
    """
    names: dict[str, int] = dict(_DOUBLE_GLIDES)
    for number in range(N_SPACE_GROUPS, 0, -1):
        for setting in settings(number):
            parts = setting.symbol.split(":")[0].split()
            names["".join(parts)] = number
            if crystal_system(number) == MONOCLINIC:
                names["".join(part for i, part in enumerate(parts) if part != "1" or not i)] = number
            if crystal_system(number) == CUBIC:
                names["".join(parts).replace("-3", "3")] = number
    return names


def group_of_name(name: object) -> int | None:
    """Number of a space group named by number ("62", 62) or Hermann-Mauguin symbol; None if it is none."""
    text = "".join(str(name).split()).replace("_", "")
    if text.isdecimal():
        return int(text) if 1 <= int(text) <= N_SPACE_GROUPS else None
    return _numbers_of_names().get(text[:1].upper() + text[1:].lower())


def group_name(number: int) -> str:
    """Number and symbol, as tables show a space group: "225 F m -3 m"."""
    return f"{number} {hermann_mauguin(number)}"


def group_in_words(number: object) -> str:
    """The same for messages: what is no number of a space group is shown as it is."""
    return group_name(int(number)) if number in range(1, 231) else repr(number)


def centring(number: int) -> str:
    """Centring letter of the standard setting: P, A, C, I, F or R."""
    return settings(number)[0].centring


def point_group(number: int) -> str:
    """Geometric crystal class (32 of them), "-43m"; orientations such as -42m, -4m2 are one."""
    return settings(number)[0].point_group


def laue_class(number: int) -> str:
    """Laue class (11 of them)."""
    return settings(number)[0].laue_class


def bravais_lattice(number: int) -> str:
    """Bravais type (14 of them), "oC": base-centred cells count as C whatever their axes."""
    letter = centring(number)
    return FAMILIES[family_of(number)].letter + ("C" if letter in "AB" else letter)


@lru_cache(maxsize=230)
def wyckoff_positions(number: int) -> tuple[WyckoffPosition, ...]:
    """Wyckoff positions of a space group in its standard setting: letter a first, general position last."""
    crystal_system(number)
    table = read_table(DATA / "wyckoff.parquet")
    rows = table.filter(pc.equal(table["spacegroup_number"], int(number))).to_pylist()
    positions = []
    for row in rows:
        rotations = np.array(row["rotations"], dtype=np.float64).reshape(-1, 3, 3) / DENOMINATOR
        translations = np.array(row["translations"], dtype=np.float64).reshape(-1, 3) / DENOMINATOR
        rotations.flags.writeable = translations.flags.writeable = False
        positions.append(
            WyckoffPosition(
                letter=row["letter"],
                multiplicity=row["multiplicity"],
                site_symmetry=row["site_symmetry"],
                freedom=row["freedom"],
                rotations=rotations,
                translations=translations,
            )
        )
    return tuple(positions)
