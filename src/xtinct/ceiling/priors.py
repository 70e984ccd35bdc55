"""Priors over space groups, read from a table."""

from collections import Counter
from fractions import Fraction
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from xtinct.errors import XtinctError
from xtinct.files.parquet import open_parquet, read_table
from xtinct.symmetry.families import space_groups
from xtinct.symmetry.operations import DATA, group_in_words

#: Tables that ship with the package: name -> file. "mp": structures per space group in the Materials
#: Project, database version 2025.02.12 without GNoME entries (154,925 structures; spglib 2.8.0, symprec
#: 0.01). Materials Project, CC BY 4.0; Jain et al. 2013, APL Materials 1, 011002.
TABLES = {"mp": "materials_project.csv"}
#: The name of the prior by which all groups are alike.
UNIFORM = "uniform"


def frequencies(name: str, family: str | None = None) -> dict[int, Fraction]:
    """Structures per space group of a packaged table of TABLES, of one crystal family or of all.

    Groups that the table lacks have weight 0. XtinctError for a name that is none.
    """
    if name not in TABLES:
        raise XtinctError(f"prior {name!r}: expected a table (.csv, .parquet) or one of {', '.join(TABLES)}")
    prior = read_prior(name)
    if family is None:
        return prior
    return {number: prior[number] for number in space_groups(family)}


@cache
def occurrence() -> dict[int, float]:
    """Square root of one more than the structures of every space group in the table "mp".

    Half-way between all groups alike, by which Pc and P2/c together are twice as probable as P21/c, and the
    frequencies, by which most groups are hardly ever seen.
    """
    return {number: float(weight + 1) ** 0.5 for number, weight in read_prior("mp").items()}


def read_prior(path: str | Path) -> dict[int, Fraction]:
    """Weight of every space group in a .csv or .parquet table with a column `spacegroup_number`.

    A column `weight`, where there is one, gives the weights (decimal numbers of a CSV file are taken
    exactly); otherwise every row counts once, so that a table of structures is the prior of its own
    frequencies. A name of TABLES ("mp") is that table, "uniform" no table: all groups are alike. XtinctError
    names the file and what is wrong with it.
    """
    if str(path) == UNIFORM:
        return {number: Fraction(1) for number in range(1, 231)}
    path = DATA / TABLES[str(path)] if str(path) in TABLES else Path(path)
    table = _read(path)
    if "spacegroup_number" not in table.column_names:
        raise XtinctError(f"{path}: column 'spacegroup_number' is missing")
    numbers = table["spacegroup_number"].to_pylist()
    weights = table["weight"].to_pylist() if "weight" in table.column_names else [1] * len(numbers)
    prior: Counter[int] = Counter()
    for row, (number, weight) in enumerate(zip(numbers, weights, strict=True), start=1):
        try:
            whole, exact = int(number), Fraction(weight)
        except (TypeError, ValueError, OverflowError, ZeroDivisionError):
            raise XtinctError(
                f"{path}: row {row}: group {group_in_words(number)} with weight {weight!r}"
            ) from None
        if not 1 <= whole <= 230 or exact < 0:
            raise XtinctError(f"{path}: row {row}: group {group_in_words(whole)} with weight {weight!r}")
        prior[whole] += exact
    if not any(prior.values()):
        raise XtinctError(f"{path}: no space group has a weight")
    return {number: Fraction(prior[number]) for number in sorted(prior)}


def _read(path: Path) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            names = [n for n in ("spacegroup_number", "weight") if n in open_parquet(path).schema_arrow.names]
            return read_table(path, names)
        # As text: Fraction then takes decimal numbers exactly.
        as_text = pyarrow.csv.ConvertOptions(
            column_types={"spacegroup_number": pa.string(), "weight": pa.string()}
        )
        return pyarrow.csv.read_csv(path, convert_options=as_text)
    except FileNotFoundError:
        known = ", ".join((*TABLES, UNIFORM))
        raise XtinctError(f"{path}: no such file; a prior is {known} or a table (.csv, .parquet)") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise XtinctError(f"{path}: not a readable table ({str(error).splitlines()[0]})") from None
