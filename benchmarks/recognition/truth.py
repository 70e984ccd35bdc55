"""Which structures of a table are the sample, its compound or its type: the settings of the benchmark."""

from functools import cached_property

import gemmi
import numpy as np
from pymatgen.core import Composition

from xtinct.recognition.known_structures import Table
from xtinct.structures.labels import prototype

#: all: the whole table; own: without structures of the sample's composition; type: without those of its type;
#: elements: all that are made of the sample's elements (and hydrogen) alone.
SETTINGS = ("all", "own", "type", "elements")


def shares(formula):
    """Element -> share of the atoms; isotopes of hydrogen are hydrogen. Nothing for what is no formula."""
    amounts = {}
    try:
        Composition(formula)
    except ValueError:
        return amounts
    for element, amount in Composition(formula.replace("D", "H") if "Dy" not in formula else formula).items():
        amounts[element.symbol] = amounts.get(element.symbol, 0.0) + float(amount)
    total = sum(amounts.values())
    return {symbol: amount / total for symbol, amount in amounts.items()}


def bare(amounts):
    """Without hydrogen, which X-rays hardly see and databases often lack."""
    rest = {symbol: amount for symbol, amount in amounts.items() if symbol != "H"} or amounts
    total = sum(rest.values()) or 1.0
    return {symbol: amount / total for symbol, amount in rest.items()}


def named(amounts):
    return tuple(sorted((symbol, round(amount, 4)) for symbol, amount in amounts.items()))


def anonymous(amounts):
    return tuple(sorted(round(amount, 4) for amount in amounts.values()))


def volume(cell):
    cell = np.asarray(cell, dtype=np.float64)
    x, y, z = np.cos(np.radians(cell[..., 3:])).T
    return cell[..., :3].prod(axis=-1) * np.sqrt(np.maximum(1 - x**2 - y**2 - z**2 + 2 * x * y * z, 1e-6))


class Truth:
    """Compositions and types of a table's structures, by which samples are told from them."""

    def __init__(self, table: Table) -> None:
        self.table = table
        about = table.names(range(len(table)))
        self.place = {x["structure_id"]: i for i, x in enumerate(about)}
        formulas = [shares(x["formula"]) for x in about]
        self._known = {}
        self.compound = np.array([self._number("compound", named(bare(x))) for x in formulas])
        self.whole = np.array([self._number("whole", named(x)) for x in formulas])
        self.anonymous = np.array([self._number("anonymous", anonymous(x)) for x in formulas])
        self.bare = np.array([self._number("anonymous", anonymous(bare(x))) for x in formulas])
        labels = [x["protostructure"] for x in about]
        self.type = np.array(
            [self._number("type", prototype(x) if x else f"row {i}") for i, x in enumerate(labels)]
        )

    def _number(self, kind, key):
        return self._known.setdefault(kind, {}).setdefault(key, len(self._known[kind]))

    def _find(self, kind, key):
        return self._known[kind].get(key, -1)

    @cached_property
    def _lengths(self):
        return np.sort(self.table.cells[:, :3], axis=1)

    @cached_property
    def _volumes(self):
        return volume(self.table.cells)

    def right(self, formula, number, cell):
        """bool (n,): structures that are the sample.

        Of its group, and of its composition without hydrogen with axes within 6 % (monoclinic: or volume
        within 6 % and b within 3 %, since settings differ), or of its anonymous formula with axes within 3 %.
        """
        amounts = shares(formula)
        off = np.abs(self._lengths / np.sort(cell[:3]) - 1)
        near = (off < 0.06).all(axis=1)
        if 3 <= number <= 15:
            other = np.abs(self._volumes / volume(cell) - 1) < 0.06
            near |= other & (np.abs(self.table.cells[:, 1] / cell[1] - 1) < 0.03)
        compound = self.compound == self._find("compound", named(bare(amounts)))
        return (self.table.numbers == number) & (
            (near & compound) | ((off < 0.03).all(axis=1) & self._alike(amounts))
        )

    def _alike(self, amounts):
        whole, rest = (self._find("anonymous", anonymous(x)) for x in (amounts, bare(amounts)))
        return (self.anonymous == whole) | (self.bare == rest)

    def rows(self, setting, formula, number, cell, entry=None):
        """Rows int64 (k,) of the table in a setting; `entry`: the row that the sample is, where it is known.

        Types: structures isopointal to one that is the sample, and those of its group and anonymous formula
        (hydrogen counted or not).
        """
        amounts = shares(formula)
        if setting == "own":
            return np.flatnonzero(self.compound != self._find("compound", named(bare(amounts))))
        if setting == "elements":
            return self.table.made_of([1, *(gemmi.Element(x).atomic_number for x in amounts)])
        if setting == "type":
            right = self.right(formula, number, cell)
            if entry is not None:
                right[entry] = True
            same = np.isin(self.type, np.unique(self.type[right]))
            same |= (self.table.numbers == number) & self._alike(amounts)
            return np.flatnonzero(~(same | right))
        return np.arange(len(self.table))
