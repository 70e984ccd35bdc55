"""Parts of a dataset: reproducible, and never cutting through a group.

A sample belongs to a group, named by a key; the part is a function of the key alone, so samples
of one group always share a part, whichever rows happen to be present, in any order. Fractions are
therefore met in expectation over groups, not exactly over samples. The exception is the split of
others by contiguous index, kept to compare with: there the place in the table decides.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from xtinct.errors import XtinctError
from xtinct.files.schema import SPLITS
from xtinct.randomness import stream_key
from xtinct.structures.labels import prototype


def split_of(keys: Sequence[str], fractions: Mapping[str, float], seed: int) -> list[str]:
    """Part of each key.

    `fractions`: part name (train, validation, test) -> share of the groups; they sum to 1. The key
    is hashed to a point of [0, 1), and the parts are consecutive intervals of it, so enlarging one
    part moves only the groups it takes from its neighbours. XtinctError for fractions that are
    negative, unknown or do not sum to 1.
    """
    bounds = _bounds(fractions)
    parts: dict[str, str] = {}
    for key in keys:
        if key not in parts:
            point = int(stream_key(seed, "split", key)) / 2**64
            parts[key] = next(part for part, upper in bounds if point < upper)
    return [parts[key] for key in keys]


def _bounds(fractions: Mapping[str, float]) -> list[tuple[str, float]]:
    unknown = sorted(set(fractions) - set(SPLITS))
    if unknown:
        raise XtinctError(f"splits.fractions: unknown part {unknown[0]!r}, expected {', '.join(SPLITS)}")
    shares = {part: float(fractions.get(part, 0.0)) for part in SPLITS}
    negative = [part for part, share in shares.items() if not share >= 0]
    if negative:
        raise XtinctError(
            f"splits.fractions.{negative[0]}: {shares[negative[0]]} is not a share between 0 and 1"
        )
    if abs(sum(shares.values()) - 1) > 1e-9:
        raise XtinctError(f"splits.fractions: they sum to {sum(shares.values()):.6g}, expected 1")
    bounds, upper = [], 0.0
    for part, share in shares.items():
        if share > 0:
            upper += share
            bounds.append((part, upper))
    # The last part takes whatever rounding leaves below 1.
    bounds[-1] = (bounds[-1][0], 2.0)
    return bounds


def structure_parts(
    kind: str,
    rows: Sequence[Mapping[str, Any]],
    places: Sequence[int],
    *,
    total: int,
    fractions: Mapping[str, float],
    seed: int,
) -> list[str]:
    """Part of each structure (rows of STRUCTURES) by one of STRUCTURE_KINDS.

    places   rows of the whole table, ordered by structure_id and of `total` rows, that these are

    contiguous cuts the table where it stands, the first share of its rows for training, the next for
    validation: the out-of-library split of SimXRD-4M. Near relatives stand near each other in a
    database, and the same crystal may still fall into two parts. `structure_keys` explains the other kinds.
    """
    if kind != CONTIGUOUS:
        return split_of(structure_keys(kind, rows), fractions, seed)
    bounds = _bounds(fractions)
    uppers = [upper for _, upper in bounds]
    return [bounds[bisect_right(uppers, (place + 0.5) / total)][0] for place in places]


def rare_groups(structures: Iterable[tuple[int, str]], least: int) -> dict[int, int]:
    """Space groups with fewer than `least` structures in the training part, and how many these are.

    structures   space group and part of each
    """
    trained: Counter[int] = Counter()
    for number, part in structures:
        trained[number] += part == "train"
    return {number: n for number, n in sorted(trained.items()) if n < least}


def structure_keys(kind: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Group keys of structures (rows of STRUCTURES) for a split of one of STRUCTURE_KINDS but contiguous.

    random          every structure is a group of its own
    formula         all structures of one reduced formula
    protostructure  all structures of one prototype (the protostructure without regard to which
                    element is which, so that NaCl and MgO are one group); a structure without a
                    label is its own group
    source          all structures of one source
    """
    if kind not in _GROUP_OF:
        raise XtinctError(f"split {kind!r}: expected one of {', '.join(STRUCTURE_KINDS)}")
    group_of = _GROUP_OF[kind]
    return [f"{kind}\x1f{group_of(row)}" for row in rows]


def _prototype(row: Mapping[str, Any]) -> str:
    # No prototype contains the separator, so a label and an id cannot collide.
    label = row["protostructure"]
    return prototype(label) if label else f"unlabelled\x1f{row['structure_id']}"


_GROUP_OF: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "random": itemgetter("structure_id"),
    "formula": itemgetter("formula"),
    "protostructure": _prototype,
    "source": itemgetter("source"),
}
#: The split by place in the table.
CONTIGUOUS = "contiguous"
#: Ways to split structures, and columns of STRUCTURE_SPLITS.
STRUCTURE_KINDS = (*_GROUP_OF, CONTIGUOUS)
#: Columns of STRUCTURES that they need.
STRUCTURE_COLUMNS = ("structure_id", "formula", "protostructure", "source")
