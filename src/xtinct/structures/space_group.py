"""Looking up a space group: its symbols, settings, reflection conditions, and its rivals."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

from xtinct.errors import XtinctError
from xtinct.structures.crystal import RejectedError
from xtinct.structures.groups import (
    NamedOperations,
    TabulatedSetting,
    operations_of,
    settings_named,
    settings_numbered,
)
from xtinct.symmetry.classes import ExtinctionClass, extinction_classes
from xtinct.symmetry.families import N_SPACE_GROUPS, crystal_system, family_of
from xtinct.symmetry.operations import bravais_lattice, hermann_mauguin, laue_class, point_group
from xtinct.symmetry.reflection_conditions import Condition, reflection_conditions
from xtinct.symmetry.symbols import extinction_symbol, unique_axis_of

#: Point groups with an inversion centre, those with a polar direction (ITA 2016, table 3.2.1.3), and those
#: that may be optically active: of rotations alone, and four more (ITA 2006, table 10.2.1.1).
_CENTRES = frozenset({"-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3", "m-3m"})
_POLAR = frozenset({"1", "2", "m", "mm2", "3", "3m", "4", "4mm", "6", "6mm"})
_ACTIVE = frozenset(
    {"1", "2", "222", "3", "32", "4", "422", "6", "622", "23", "432", "m", "mm2", "-4", "-42m"}
)
#: Groups that are mirror images of each other (ITA 2016, section 1.4.2.1).
_ENANTIOMORPHS = frozenset(
    {(76, 78), (91, 95), (92, 96), (144, 145), (151, 153), (152, 154)}
    | {(169, 170), (171, 172), (178, 179), (180, 181), (212, 213)}
)
#: The one point group without a centre in which piezoelectricity and second harmonics vanish.
_WITHOUT_PIEZOELECTRICITY = "432"

LAUE = "Laue class: single-crystal or electron diffraction"
CENTRE = "inversion centre: second-harmonic generation, or statistics of well-resolved intensities"
POLAR = "polar axis: pyroelectricity"
HANDED = "handedness (two enantiomorphs): resonant scattering of a single crystal; never a powder"
ACTIVE = "optical activity, of a single crystal and in some direction"
INTENSITIES = "intensities alone: solve and refine the structure in both"


@dataclass(frozen=True)
class Rival:
    """Another group of the extinction class, and what would tell it from the first.

    number, symbol  of its standard setting
    told_by         measurements that tell the two apart, the strongest first
    """

    number: int
    symbol: str
    told_by: tuple[str, ...]


@dataclass(frozen=True)
class SpaceGroup:
    """A space group in one setting.

    number       1 to 230
    symbol       Hermann-Mauguin symbol of the setting ("P b n m")
    hall         Hall symbol of the setting; as given where no table has it
    operations   all symmetry operations of the cell
    tabulated    whether International Tables list the setting
    """

    number: int
    symbol: str
    hall: str
    operations: NamedOperations
    tabulated: bool

    @property
    def standard_symbol(self) -> str:
        """Symbol of the standard setting: unique axis b, hexagonal axes, origin choice 2."""
        return hermann_mauguin(self.number)

    @property
    def crystal_system(self) -> str:
        """One of the seven."""
        return crystal_system(self.number)

    @property
    def family(self) -> str:
        """One of the six families."""
        return family_of(self.number)

    @property
    def bravais_lattice(self) -> str:
        """One of the 14, "oP"."""
        return bravais_lattice(self.number)

    @property
    def point_group(self) -> str:
        """One of the 32."""
        return point_group(self.number)

    @property
    def laue_class(self) -> str:
        """One of the 11."""
        return laue_class(self.number)

    @property
    def centrosymmetric(self) -> bool:
        """Whether there is an inversion centre."""
        return self.point_group in _CENTRES

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """Reflection conditions on the axes of this setting."""
        return reflection_conditions(self.operations.rotations, self.operations.translations)

    @property
    def extinction_class(self) -> ExtinctionClass:
        """The class on unlabelled axes: what a powder pattern can show."""
        return next(c for c in extinction_classes(self.family) if self.number in c.members)

    @property
    def extinction_symbol(self) -> str | None:
        """Extinction symbol on the axes of this setting; None where International Tables have none."""
        if self.symbol.endswith(":R") or not self.tabulated:
            return None
        axis = unique_axis_of(self.symbol) if self.crystal_system == "monoclinic" else "b"
        try:
            return extinction_symbol(self.crystal_system, self.conditions, axis)
        except (KeyError, ValueError):
            return None

    @property
    def settings(self) -> tuple[str, ...]:
        """Symbols of all settings of the group in International Tables."""
        return tuple(setting.name for setting in settings_numbered(self.number))

    @property
    def rivals(self) -> tuple[Rival, ...]:
        """The other groups of the class."""
        return tuple(
            Rival(number, hermann_mauguin(number), tuple(_told_by(self.number, number)))
            for number in self.extinction_class.members
            if number != self.number
        )

    def to_dict(self) -> dict:
        """Plain values, for JSON."""
        return {
            "number": self.number,
            "symbol": self.symbol,
            "hall": self.hall,
            "standard_symbol": self.standard_symbol,
            "crystal_system": self.crystal_system,
            "family": self.family,
            "bravais_lattice": self.bravais_lattice,
            "point_group": self.point_group,
            "laue_class": self.laue_class,
            "centrosymmetric": self.centrosymmetric,
            "settings": list(self.settings),
            "reflection_conditions": [
                {"zone": c.zone, "condition": c.condition} for c in self.conditions if c.representative
            ],
            "extinction_symbol": self.extinction_symbol,
            "extinction_class": self.extinction_class.symbol,
            "rivals": [
                {"number": r.number, "symbol": r.symbol, "told_by": list(r.told_by)} for r in self.rivals
            ],
        }


@lru_cache(maxsize=512)
def space_group(name: int | str) -> SpaceGroup:
    """The space group of a number (62), Hermann-Mauguin symbol ("Pbnm") or Hall symbol ("-P 2c 2ab").

    A symbol that leaves origin or axes open means the standard setting, if that is among what it can mean.
    Raises XtinctError for what names no space group.
    """
    text = str(name).strip()
    if text.lstrip("-").isdecimal() and not text.startswith("-"):
        if not 1 <= int(text) <= N_SPACE_GROUPS:
            raise XtinctError(f"space group {text}: the number must be between 1 and {N_SPACE_GROUPS}")
        return _of_setting(_standard(settings_named(hermann_mauguin(int(text))), int(text)))
    if found := settings_named(text):
        return _of_setting(_standard(found, found[0].number))
    try:
        operations = operations_of(text, text)
    except RejectedError:
        raise XtinctError(
            f"space group {text!r}: no number (1 to 230), no Hermann-Mauguin symbol (Pnma, P 1 21/n 1, "
            "R -3 m:R) and no Hall symbol (-P 2ac 2n)"
        ) from None
    if operations.tabulated is not None:
        table = operations.tabulated
        return SpaceGroup(table.number, table.xhm(), table.hall, operations, True)
    if not operations.number:
        raise XtinctError(f"space group {text!r}: the operations of this Hall symbol are no space group")
    return SpaceGroup(operations.number, hermann_mauguin(operations.number), text, operations, False)


def _standard(settings: tuple[TabulatedSetting, ...], number: int) -> TabulatedSetting:
    """The setting in the standard orientation, with origin choice 2 or hexagonal axes, if there."""
    symbol = hermann_mauguin(number)
    oriented = [setting for setting in settings if setting.base == symbol] or list(settings)
    return next((setting for setting in oriented if setting.ext in ("2", "H")), oriented[0])


def _of_setting(setting: TabulatedSetting) -> SpaceGroup:
    return SpaceGroup(setting.number, setting.name, setting.hall, setting.operations(), True)


def _told_by(first: int, second: int) -> list[str]:
    """What differs between two groups of one class, as measurements."""
    points = [point_group(first), point_group(second)]

    def differ(kind: frozenset[str]) -> bool:
        return (points[0] in kind) != (points[1] in kind)

    told = [LAUE] if laue_class(first) != laue_class(second) else []
    if differ(_CENTRES) and _WITHOUT_PIEZOELECTRICITY not in points:
        told.append(CENTRE)
    if differ(_POLAR):
        told.append(POLAR)
    if differ(_ACTIVE):
        told.append(ACTIVE)
    if (min(first, second), max(first, second)) in _ENANTIOMORPHS:
        return [HANDED]
    return told or [INTENSITIES]
