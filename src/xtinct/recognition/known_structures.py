"""The table that measured peaks are held against: the strongest lines of every known structure, compact.

A line is a place on a logarithmic axis of 1/d and the root of its intensity under the Lorentz-polarisation
factor of one wavelength: three bytes. Half a million structures fit into the memory of any machine.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import gemmi
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.files.parquet import ROW_GROUP_ROWS, open_parquet, read_batches, read_table, write_parquet
from xtinct.files.schema import CELL, LINES, RECOGNITION, STRUCTURES, check_table
from xtinct.linelists.line_tables import line_lists
from xtinct.patterns.lorentz import UNPOLARISED, geometric_factor
from xtinct.symmetry.families import FAMILIES, family_of

#: The table that comes with the library, and how the identifiers of its common powders begin.
PACKAGED, POWDERS = Path(__file__).resolve().parent / "data" / "known_structures.parquet", "powders:"
#: Smallest 1/d of the axis, 1/angstrom, and its unit: lines are kept to this relative precision of d.
FIRST, UNIT = 0.04, 5e-5
#: Largest 1/d of the axis, 1/angstrom.
LAST = FIRST * float(np.exp(65535 * UNIT))
#: Intensities stand under the Lorentz-polarisation factor of this wavelength, angstrom.
WAVELENGTH = 1.540593
#: Most lines of a structure, and the share of its strongest line that the weakest has.
MOST, LEAST = 100, 0.0015


@njit(cache=True)
def _strongest(d_star, intensity, offsets, place, strength, counts):
    """The strongest lines of every structure, in ascending 1/d; what is weak or off the axis is left out."""
    total = 0
    for row in range(offsets.size - 1):
        first, end = offsets[row], offsets[row + 1]
        value = np.zeros(end - first)
        top = 0.0
        for i in range(first, end):
            d = float(d_star[i])
            sine = 0.5 * WAVELENGTH * d
            if FIRST <= d < LAST and sine < 0.9999:
                factor = geometric_factor(sine, np.sqrt(1 - sine * sine), UNPOLARISED)
                value[i - first] = intensity[i] * factor
                top = max(top, value[i - first])
        least = LEAST * top
        if value.size > MOST:
            least = max(least, np.partition(value, value.size - MOST)[value.size - MOST])
        kept = 0
        for i in range(first, end):
            if top > 0 and value[i - first] >= least and value[i - first] > 0 and kept < MOST:
                place[total] = int(np.log(float(d_star[i]) / FIRST) / UNIT + 0.5)
                strength[total] = int(255 * np.sqrt(value[i - first] / top) + 0.5)
                total += 1
                kept += 1
        counts[row] = kept
    return total


def build_table(
    lines: Iterable[str | Path], structures: str | Path, out: str | Path, powders: pa.Table | None = None
) -> int:
    """Write the table of recognition (schema RECOGNITION) of some line lists and return its rows.

    lines       tables of line lists (schema LINES) whose rows name their structures in `origin`
    structures  table of structures (schema STRUCTURES); each has formula, sites and protostructure
    powders     rows of another table of recognition, which follow: `common_powders`

    Structures without a line between d = 25 angstrom and 0.94 angstrom stay, with no lines: nothing is lost.
    XtinctError where a line list is of a structure that `structures` does not have.
    """
    known = _known(structures)
    lines = list(lines)
    more = [] if powders is None else [powders]
    rows = sum(_table_rows(path) for path in lines) + sum(len(table) for table in more)
    tables = chain(_rows_of(lines, structures, known), more)
    return write_parquet(out, tables, RECOGNITION, {"rows": rows})


def common_powders() -> pa.Table:
    """The common powders of the table that comes with the library (schema RECOGNITION)."""
    table = read_table(PACKAGED)
    return table.filter(pc.starts_with(table["structure_id"], POWDERS))


def _table_rows(path: str | Path) -> int:
    file = open_parquet(path)
    check_table(file.schema_arrow, LINES, str(path))
    return file.metadata.num_rows


def _known(structures: str | Path) -> dict[str, tuple[str, int, str | None]]:
    """Formula, sites and protostructure of every structure."""
    check_table(open_parquet(structures).schema_arrow, STRUCTURES, str(structures))
    columns = ("structure_id", "formula", "n_sites", "protostructure")
    table = read_table(structures, columns)
    names, *rest = (table[column].to_pylist() for column in columns)
    return dict(zip(names, zip(*rest, strict=True), strict=True))


def _rows_of(lines: Sequence[str | Path], structures: str | Path, known: Mapping) -> Iterator[pa.Table]:
    for path in lines:
        for batch in read_batches(open_parquet(path), ROW_GROUP_ROWS):
            origins = batch["origin"].to_pylist()
            missing = next((name for name in origins if name not in known), None)
            if missing is not None:
                raise XtinctError(f"{path}: lines of {missing!r}, which {structures} does not have")
            listed = line_lists(batch)
            cells = np.stack([batch[name].to_numpy() for name in CELL], axis=1)
            yield entries(
                origins,
                [known[name] for name in origins],
                batch["spacegroup_number"].to_numpy(),
                cells,
                (listed.offsets, listed.d_star, listed.intensity),
            )


def entries(
    names: Sequence[str],
    about: Sequence[tuple[str, int, str | None]],
    numbers: np.ndarray,
    cells: np.ndarray,
    lines: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> pa.Table:
    """Rows of RECOGNITION.

    names      identifiers (n,); about, formula, sites of the conventional cell, protostructure (None) of each
    numbers    space groups (n,); cells, float64 (n, 6)
    lines      offsets int64 (n + 1,), 1/d ascending (m,), |F|^2 summed over the hkl of the line (m,)
    """
    offsets, d_star, intensity = lines
    place, strength = np.zeros(len(d_star), np.uint16), np.zeros(len(d_star), np.uint8)
    counts = np.zeros(len(names), np.int32)
    total = _strongest(d_star, intensity, np.asarray(offsets, np.int64), place, strength, counts)
    starts = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    columns = {
        "structure_id": pa.array(names, pa.string()),
        "formula": pa.array([formula for formula, _, _ in about], pa.string()),
        "protostructure": pa.array([label for _, _, label in about], pa.string()),
        "elements": pa.array([atomic_numbers(formula) for formula, _, _ in about], pa.list_(pa.uint8())),
        "spacegroup_number": pa.array(numbers, pa.int16()),
        "n_sites": pa.array([sites for _, sites, _ in about], pa.int32()),
        **{name: pa.array(cells[:, i].astype(np.float32), pa.float32()) for i, name in enumerate(CELL)},
        "place": pa.ListArray.from_arrays(starts, pa.array(place[:total])),
        "strength": pa.ListArray.from_arrays(starts, pa.array(strength[:total])),
    }
    return pa.table([columns[name] for name in RECOGNITION.names], schema=RECOGNITION)


def atomic_numbers(formula: str) -> list[int]:
    """Atomic numbers of the elements of a formula, ascending; deuterium and tritium count as hydrogen."""
    found = set()
    for symbol in _symbols(formula):
        number = 1 if symbol in ("D", "T") else gemmi.Element(symbol).atomic_number
        if not number:
            raise XtinctError(f"formula {formula!r}: {symbol!r} is no element")
        found.add(number)
    return sorted(found)


def _symbols(formula: str) -> Iterator[str]:
    symbol = ""
    for letter in formula:
        if letter.isalpha() and letter.isupper():
            if symbol:
                yield symbol
            symbol = letter
        elif letter.isalpha() and symbol:
            symbol += letter
        elif symbol:
            yield symbol
            symbol = ""
    if symbol:
        yield symbol


@dataclass(frozen=True, eq=False)
class Table:
    """A table of recognition in memory.

    path          file that it is of, where names stand
    numbers       int16 (n,), space groups; families, int8 (n,), place of the family in FAMILIES
    sites         int32 (n,), atom sites of the conventional cell; cells, float32 (n, 6)
    offsets       int64 (n + 1,), lines of each structure; place uint16 (m,), strength uint8 (m,)
    first_element int64 (n + 1,); elements, uint8: atomic numbers of each structure
    """

    path: Path
    numbers: np.ndarray
    families: np.ndarray
    sites: np.ndarray
    cells: np.ndarray
    offsets: np.ndarray
    place: np.ndarray
    strength: np.ndarray
    first_element: np.ndarray
    elements: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def names(self, rows: Sequence[int]) -> list[dict[str, str | None]]:
        """structure_id, formula and protostructure of some rows, read from the file."""
        columns = ["structure_id", "formula", "protostructure"]
        found: dict[int, dict[str, str | None]] = {}
        file = open_parquet(self.path)
        wanted = sorted(set(map(int, rows)))
        first = 0
        for group in range(file.num_row_groups):
            end = first + file.metadata.row_group(group).num_rows
            here = [row - first for row in wanted if first <= row < end]
            if here:
                part = file.read_row_group(group, columns=columns).take(here).to_pylist()
                found.update(zip((first + row for row in here), part, strict=True))
            first = end
        return [found[int(row)] for row in rows]

    def made_of(self, allowed: Iterable[int]) -> np.ndarray:
        """Rows int64 (k,) of structures that have no other elements than `allowed` (atomic numbers)."""
        inside = np.zeros(256, dtype=bool)
        inside[list(allowed)] = True
        foreign = np.concatenate([[0], np.cumsum(~inside[self.elements])])
        return np.flatnonzero(foreign[self.first_element[1:]] == foreign[self.first_element[:-1]])


def load_table(path: str | Path) -> Table:
    """Read a table of recognition, a row group in memory at a time; XtinctError naming the file."""
    file = open_parquet(path, mapped=False)
    check_table(file.schema_arrow, RECOGNITION, str(path))
    n = file.metadata.num_rows
    if not n:
        raise XtinctError(f"{path}: no structures, so nothing can be recognised")
    numbers, sites = np.empty(n, np.int16), np.empty(n, np.int32)
    cells = np.empty((n, 6), np.float32)
    kinds = {"place": np.uint16, "strength": np.uint8, "elements": np.uint8}
    lists = {name: _List(n, _values(file, name), kind) for name, kind in kinds.items()}
    row = 0
    columns = ["elements", "spacegroup_number", "n_sites", *CELL, "place", "strength"]
    for batch in read_batches(file, ROW_GROUP_ROWS, columns):
        part = slice(row, row + batch.num_rows)
        numbers[part], sites[part] = batch["spacegroup_number"].to_numpy(), batch["n_sites"].to_numpy()
        for i, name in enumerate(CELL):
            cells[part, i] = batch[name].to_numpy()
        for name, held in lists.items():
            held.add(batch[name], row)
        row += batch.num_rows
    if not np.array_equal(lists["place"].offsets, lists["strength"].offsets):
        raise XtinctError(f"{path}: place and strength differ in length; make the table again")
    if not ((numbers >= 1) & (numbers <= 230)).all():
        raise XtinctError(f"{path}: spacegroup_number beyond 1 to 230; make the table again")
    order = list(FAMILIES)
    of_number = np.array([-1, *(order.index(family_of(g)) for g in range(1, 231))], dtype=np.int8)
    return Table(
        path=Path(path),
        numbers=numbers,
        families=of_number[numbers],
        sites=sites,
        cells=cells,
        offsets=lists["place"].offsets,
        place=lists["place"].values,
        strength=lists["strength"].values,
        first_element=lists["elements"].offsets,
        elements=lists["elements"].values,
    )


def _values(file: pq.ParquetFile, column: str) -> int:
    """Values of a column of lists, at most: an empty list counts as one."""
    at = next(i for i in range(len(file.schema)) if file.schema.column(i).path.split(".")[0] == column)
    return sum(file.metadata.row_group(g).column(at).num_values for g in range(file.num_row_groups))


class _List:
    """A column of lists in the making: values in one array, offsets in another."""

    def __init__(self, n: int, values: int, kind: type) -> None:
        self.offsets = np.zeros(n + 1, np.int64)
        self._values = np.empty(values, kind)

    def add(self, column: pa.ListArray, row: int) -> None:
        """The lists of the rows from `row` on."""
        starts = np.asarray(column.offsets, dtype=np.int64)
        self.offsets[row + 1 : row + len(starts)] = self.offsets[row] + starts[1:] - starts[0]
        self._values[self.offsets[row] : self.offsets[row + len(starts) - 1]] = column.flatten()

    @property
    def values(self) -> np.ndarray:
        """All values."""
        return self._values[: self.offsets[-1]]
