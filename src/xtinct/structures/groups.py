"""Space groups by the names that files give them, and listed symmetry operations held to be a group.

A name may leave open which origin, axes or cell choice it means; then every setting that it can mean is
returned, and the caller decides by the rest of the file.
"""

import math
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice

import gemmi
import numpy as np

from xtinct.compiling import njit
from xtinct.lattices.metric import cells_of_tensors
from xtinct.structures.crystal import RejectedError
from xtinct.symmetry.families import MONOCLINIC, crystal_system

#: gemmi lists the 530 settings of International Tables first, and further ones after them.
_TABULATED = 530
#: Largest relative change of a metric tensor by an operation; cells are published with 4 or 5 digits.
METRIC_TOLERANCE = 5e-3
#: More operations than any group on a cell that holds a few primitive ones.
_MAX_OPERATIONS = 1536
#: Suffixes of symbols: those of the CIF dictionary, and S, Z, H, R of the ICSD.
_SUFFIX = re.compile(
    r"(?:\s*:\s*|\s+)\(?([12SZHR])\)?$|\s*\(([12SZHR])\)$|[\s(,]*origin\s*(?:choice)?\s*([12])\)?$",
    re.IGNORECASE,
)
#: The number of the group behind its symbol: (No. 227).
_NUMBER_BEHIND = re.compile(r"[\s,]*\(?(?:\bno\.?\s*\d{1,3}|(?<=\()\d{2,3})\)?$", re.IGNORECASE)
_ORIGIN_OF_SUFFIX = {"S": "1", "Z": "2"}


@dataclass(frozen=True, eq=False)
class NamedOperations:
    """Symmetry operations x' = R x + t on fractional coordinates, and the name they go by.

    rotations     int64 (m, 3, 3)
    translations  int64 (m, 3), in 24ths of a cell edge, 0 to 23
    name          for a person
    """

    rotations: np.ndarray
    translations: np.ndarray
    name: str

    def __len__(self) -> int:
        return len(self.rotations)

    @cached_property
    def codes(self) -> np.ndarray:
        """int64 (m,), ascending: one number for each operation."""
        return np.unique(_codes(self.rotations, self.translations))

    @cached_property
    def rotations_in_cell(self) -> np.ndarray:
        """float64 (m, 3, 3)."""
        return self.rotations.astype(np.float64)

    @cached_property
    def translations_in_cell(self) -> np.ndarray:
        """float64 (m, 3), in cell edges."""
        return self.translations / gemmi.Op.DEN

    @cached_property
    def point_operations(self) -> np.ndarray:
        """float64 (k, 3, 3): the distinct rotations."""
        return self.point_rotations.astype(np.float64)

    @cached_property
    def point_rotations(self) -> np.ndarray:
        """int64 (k, 3, 3): the same."""
        return np.unique(self.rotations, axis=0)

    @cached_property
    def tabulated(self) -> gemmi.SpaceGroup | None:
        """The setting of gemmi's table that has exactly these operations."""
        try:
            found = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(self._as_gemmi()))
        except (ValueError, RuntimeError):
            return None
        same = found is not None and np.array_equal(operations_of(found.hall, found.xhm()).codes, self.codes)
        return found if same else None

    def _as_gemmi(self) -> list[gemmi.Op]:
        operations = []
        for rotation, translation in zip(self.rotations.tolist(), self.translations.tolist(), strict=True):
            operation = gemmi.Op()
            operation.rot = [[gemmi.Op.DEN * entry for entry in row] for row in rotation]
            operation.tran = translation
            operations.append(operation)
        return operations

    @cached_property
    def closed(self) -> bool:
        """Whether the operations form a group."""
        if self.tabulated is not None:
            return True
        codes = self.codes
        for rotation, translation in zip(self.rotations, self.translations, strict=True):
            product = _codes(
                rotation @ self.rotations,
                (self.translations @ rotation.T + translation) % gemmi.Op.DEN,
            )
            if not np.isin(product, codes).all():
                return False
        return True

    @cached_property
    def number(self) -> int:
        """Space group number of a closed list; 0 if it is none that spglib knows."""
        if self.tabulated is not None:
            return self.tabulated.number
        import spglib

        # A lattice with these symmetries: the mean metric over the point group.
        metric = np.einsum("nki,nkj->ij", self.point_operations, self.point_operations)
        lattice = np.linalg.cholesky(metric / len(self.point_operations))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # spglib announces changes of its error handling
            found = spglib.get_spacegroup_type_from_symmetry(
                self.rotations.astype(np.intc), self.translations_in_cell, lattice=lattice
            )
        return 0 if found is None else int(found.number)

    def keeps(self, metric: np.ndarray) -> bool:
        """Whether every operation is an isometry of the cell with this metric tensor, float64 (3, 3)."""
        return len(self.rotations) == 1 or _are_isometries(self.point_operations, metric, METRIC_TOLERANCE)

    def symmetrised(self, metric: np.ndarray) -> np.ndarray:
        """The mean metric tensor over the point group, float64 (3, 3)."""
        return _mean_metric(self.point_operations, metric)

    def contains(self, other: "NamedOperations") -> bool:
        """Whether every operation of `other` is one of these."""
        return bool(np.isin(other.codes, self.codes).all())


@njit(cache=True)
def _write_moved(rotation, metric, moved):
    """The metric tensor of the cell whose axes a rotation has moved."""
    for i in range(3):
        for j in range(3):
            total = 0.0
            for k in range(3):
                for m in range(3):
                    total += rotation[k, i] * metric[k, m] * rotation[m, j]
            moved[i, j] = total


@njit(cache=True)
def _are_isometries(rotations, metric, tolerance):
    moved = np.empty((3, 3))
    for rotation in rotations:
        _write_moved(rotation, metric, moved)
        for i in range(3):
            for j in range(3):
                if not abs(moved[i, j] - metric[i, j]) <= tolerance * math.sqrt(metric[i, i] * metric[j, j]):
                    return False
    return True


@njit(cache=True)
def _mean_metric(rotations, metric):
    mean, moved = np.zeros((3, 3)), np.empty((3, 3))
    for rotation in rotations:
        _write_moved(rotation, metric, moved)
        mean += moved
    return mean / len(rotations)


def _codes(rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
    # Entries of rotations beyond -5 to 5 never occur in a group on a cell that anybody would publish.
    digits = np.clip(rotations, -5, 5).reshape(-1, 9) + 5
    code = digits @ (11 ** np.arange(9, dtype=np.int64))
    return code * gemmi.Op.DEN**3 + translations @ (gemmi.Op.DEN ** np.arange(3, dtype=np.int64))


def _operations(operations: Iterable[gemmi.Op], name: str) -> NamedOperations:
    unique = {op.triplet(): op for op in (op.wrap() for op in operations)}
    rotations = np.array([op.rot for op in unique.values()], dtype=np.int64)
    if (rotations % gemmi.Op.DEN).any():
        raise RejectedError("unknown_symmetry", f"{name}: a rotation has fractions of cell edges")
    translations = np.array([op.tran for op in unique.values()], dtype=np.int64)
    return NamedOperations(rotations // gemmi.Op.DEN, translations, name)


IDENTITY = _operations([gemmi.Op("x,y,z")], "P 1")


@lru_cache(maxsize=4096)
def listed_operations(triplets: tuple[str, ...], centrings: tuple[str, ...] = ()) -> NamedOperations:
    """The operations that a file lists as `x,y,z` triplets, each with every one of `centrings`.

    Decimals are read as the 24ths that they round. RejectedError if a triplet is no operation.
    """
    if len(triplets) * max(1, len(centrings)) > _MAX_OPERATIONS:
        raise RejectedError("unknown_symmetry", f"{len(triplets)} symmetry operations")
    operations = [_operation(text) for text in triplets]
    if centrings:
        operations = [_operation(text) * operation for text in centrings for operation in operations]
    shown = f"{len(operations)} listed operations"
    return _operations(operations, shown)


@lru_cache(maxsize=65536)
def _operation(text: str) -> gemmi.Op:
    try:
        if not re.fullmatch(r"[-+/.,\dxyzXYZ\s]+", text):
            raise ValueError(f"{text!r} is not of the form x,y,z")
        operation = gemmi.Op(re.sub(r"\d*\.\d*", _fraction, text))
        if abs(operation.det_rot()) != gemmi.Op.DEN**3:
            raise ValueError(f"{text!r} does not keep volumes")
    except (ValueError, RuntimeError) as error:
        raise RejectedError("unknown_symmetry", f"symmetry operation: {error}") from None
    return operation


def _fraction(decimal: re.Match[str]) -> str:
    """`0.3333` as 8/24. Sixths may be cut off as well as rounded (0.66)."""
    text = decimal.group()
    value = float(text)
    parts = round(value * gemmi.Op.DEN)
    last = 10.0 ** -len(text.partition(".")[2])
    allowed = 0.0 if last >= 0.1 else last if parts % 4 == 0 else 0.5 * last
    if abs(value - parts / gemmi.Op.DEN) > allowed * (1 + 1e-9):
        raise ValueError(f"{text} of a cell edge is no 24th")
    return f"{parts}/{gemmi.Op.DEN}"


@lru_cache(maxsize=1024)
def operations_of(hall: str, name: str) -> NamedOperations:
    """Operations of a Hall symbol; RejectedError if it is none."""
    try:
        operations = list(gemmi.symops_from_hall(hall))
    except (ValueError, RuntimeError) as error:
        raise RejectedError("unknown_symmetry", f"Hall symbol {hall!r}: {error}") from None
    if not operations or len(operations) > _MAX_OPERATIONS:
        raise RejectedError("unknown_symmetry", f"Hall symbol {hall!r}")
    return _operations(operations, name)


@dataclass(frozen=True)
class TabulatedSetting:
    """A tabulated setting of a space group.

    axes   the standard axes as columns, in terms of those of the setting
    """

    number: int
    name: str
    hall: str
    ext: str
    codes: tuple[str, ...]
    axes: tuple[tuple[float, ...], ...]

    @property
    def base(self) -> str:
        """The symbol without the suffix of its origin or axes."""
        return self.name.partition(":")[0]

    def operations(self) -> NamedOperations:
        """The operations that fill the cell."""
        return operations_of(self.hall, f"{self.name} ({self.number})")

    @property
    def on_standard_axes(self) -> bool:
        """Whether the axes are the standard ones, wherever the origin is."""
        return bool((np.array(self.axes) == np.eye(3)).all())

    def standard_cell(self, cell: np.ndarray) -> np.ndarray:
        """A cell float64 (6,) of this setting on the standard axes: unique axis b, hexagonal axes.

        Lengths and angles to six decimals, but as given where the axes are the standard ones already. Of the
        monoclinic cells that show the same absences the one with the shortest axes.
        """
        if self.on_standard_axes:
            return cell
        axes = np.array(self.axes)
        metric = axes.T @ metric_tensor(cell) @ axes
        if crystal_system(self.number) == MONOCLINIC:
            _shorten_plane(metric)
        return np.round(cells_of_tensors(metric), 6)


def _shorten_plane(metric: np.ndarray) -> None:
    """Shorten a and c of a monoclinic metric tensor (3, 3) in place, beta obtuse.

    By twice the other axis at a time: conditions of monoclinic groups ask for parities, which then stay.
    """
    turned = 1
    while turned:
        turned = 0
        for one, other in ((0, 2), (2, 0)):
            turn = 2 * round(metric[0, 2] / (2 * metric[other, other]))
            metric[one, one] += turn * (turn * metric[other, other] - 2 * metric[0, 2])
            metric[0, 2] -= turn * metric[other, other]
            turned += abs(turn)
    metric[0, 2] = metric[2, 0] = -abs(metric[0, 2])


@lru_cache(maxsize=1)
def _settings() -> tuple[TabulatedSetting, ...]:
    return tuple(
        TabulatedSetting(
            group.number,
            group.xhm(),
            group.hall,
            group.ext.strip("\0 "),
            (group.ext.strip("\0 ").lower(), group.qualifier, group.ext.strip("\0 ") + group.qualifier),
            tuple(tuple(entry / gemmi.Op.DEN for entry in row) for row in group.basisop.rot),
        )
        for group in gemmi.spacegroup_table()
    )


def settings_numbered(number: int) -> tuple[TabulatedSetting, ...]:
    """Every setting of group `number` in International Tables."""
    return tuple(setting for setting in islice(_settings(), _TABULATED) if setting.number == number)


@lru_cache(maxsize=4096)
def settings_named(symbol: str) -> tuple[TabulatedSetting, ...]:
    """Every setting that a Hermann-Mauguin symbol can mean; none if it is no symbol.

    Full, short and old symbols (F d 3 m), with or without spaces, subscripts written 2_1 or 2(1), and the
    suffixes :1 :2 :H :R or, as in the ICSD, S Z H R.
    """
    text = _NUMBER_BEHIND.sub("", symbol.strip().strip("'\"").strip())
    # gemmi takes 0, with which tables say that they do not know, for P 1.
    if text in ("", "?", ".") or not text.strip("0"):
        return ()
    if found := _names().get(_compact(text)):
        return found
    suffix = _SUFFIX.search(text)
    if suffix is None and len(text) > 2 and text[-1] in "SZHR":
        ext, base = text[-1], text[:-1]
    elif suffix is not None:
        ext, base = suffix[1] or suffix[2] or suffix[3], text[: suffix.start()]
    else:
        return _meant(text)
    ext = _ORIGIN_OF_SUFFIX.get(ext.upper(), ext.upper())
    found = _meant(base)
    chosen = tuple(setting for setting in found if setting.ext == ext)
    if not found:
        return _meant(text)
    # A suffix on a group that has one setting only says nothing new.
    return chosen or tuple(setting for setting in found if not setting.ext)


def _meant(symbol: str) -> tuple[TabulatedSetting, ...]:
    if found := _names().get(_compact(symbol)):
        return found
    # gemmi knows the symbols with glide planes e, and further alternative ones.
    known = gemmi.find_spacegroup_by_name(symbol)
    if known is not None:
        return tuple(setting for setting in _settings() if setting.base == known.hm)
    return _full_names().get(_compact(symbol), ())


def _compact(symbol: str) -> str:
    """One form of the many ways to write a symbol."""
    text = re.sub(r"(?<=[2346])[_(]+([1-5])\)?", r"\1", symbol)
    return re.sub(r"[\s_]+", "", text).lower()


@lru_cache(maxsize=1)
def _names() -> dict[str, tuple[TabulatedSetting, ...]]:
    """Compact symbol -> settings. Names of International Tables win over those made from them."""
    names: dict[str, list[TabulatedSetting]] = {}
    for setting in _settings():
        names.setdefault(_compact(setting.base), []).append(setting)
    exact = set(names)

    def more(name: str, setting: TabulatedSetting) -> None:
        if (key := _compact(name)) not in exact and setting not in names.setdefault(key, []):
            names[key].append(setting)

    for setting in islice(_settings(), _TABULATED):
        base = setting.base
        lattice, *rest = base.split()
        if 3 <= setting.number <= 15 and len(rest) == 3:
            more(" ".join([lattice, *(part for part in rest if part != "1")]), setting)
        if setting.number >= 195:
            more(base.replace("-3", "3"), setting)
        if 143 <= setting.number <= 194 and rest[-1] == "1":
            more(" ".join([lattice, *rest[:-1]]), setting)
    return {name: tuple(found) for name, found in names.items()}


@lru_cache(maxsize=1)
def _full_names() -> dict[str, tuple[TabulatedSetting, ...]]:
    """Compact full symbol (F 4/m -3 2/m) -> settings."""
    import spglib

    by_hall = {setting.hall: setting for setting in reversed(_settings())}
    names: dict[str, list[TabulatedSetting]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # spglib announces changes of its error handling
        for hall_number in range(1, _TABULATED + 1):
            named = spglib.get_spacegroup_type(hall_number)
            if setting := by_hall.get(named.hall_symbol):
                names.setdefault(_compact(named.international_full), []).append(setting)
    return {name: tuple(found) for name, found in names.items()}


def metric_tensor(cell: Sequence[float]) -> np.ndarray:
    """Metric tensor float64 (3, 3), angstrom^2, of cell parameters a b c alpha beta gamma (degrees)."""
    a, b, c, alpha, beta, gamma = map(float, cell)
    bc, ac, ab = (
        one * other * math.cos(math.radians(angle))
        for one, other, angle in ((b, c, alpha), (a, c, beta), (a, b, gamma))
    )
    return np.array([[a * a, ab, ac], [ab, b * b, bc], [ac, bc, c * c]])
