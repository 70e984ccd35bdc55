"""Numbers, names and orders as the report writes them."""

from collections.abc import Iterable, Mapping

Row = dict[str, object]


def percent(value: float, digits: int = 1) -> str:
    """A fraction as per cent. Only 1 itself prints as 100: 99.97 % gets the digit that shows it."""
    text = f"{100 * value:.{digits}f}"
    while value < 1 and float(text) >= 100 and digits < 6:
        digits += 1
        text = f"{100 * value:.{digits}f}"
    return f"{text} %"


def interval(row: Mapping) -> str:
    """The interval of an accuracy row in per cent, in brackets."""
    return f"[{percent(row['low']).removesuffix(' %')}, {percent(row['high']).removesuffix(' %')}]"


def in_order(values: Iterable, order: Iterable) -> list:
    """Distinct values, those in `order` first and in its order, the others sorted behind them."""
    present = set(values)
    known = [value for value in dict.fromkeys(order) if value in present]
    return known + sorted(present - set(known), key=str)


#: What stands for the family of a model that tells the groups of all families apart.
ALL = "all"


TARGET_NAMES = {
    "extinction_class": "extinction class",
    "spacegroup": "space group",
    "crystal_system": "crystal system",
    "bravais_lattice": "Bravais lattice",
    "laue_class": "Laue class",
    "point_group": "point group",
}


#: Train and test sets in the order of the report, and as a reader would call them.
SET_NAMES = {
    "ulbd-online": "ULBD (streamed)",
    "ulbd": "ULBD",
    "wilson-online": "ULBD lattices, Wilson intensities",
    "physical-online": "ULBD lattices, physical intensities",
    "cddd": "CDDD",
    "cddd-coordinates": "CDDD, coordinates redrawn",
    "cddd-lattice": "CDDD, lattice redrawn",
    "cddd-both": "CDDD, both redrawn",
    "gcdd-online": "GCDD (streamed)",
    "gcdd": "GCDD",
}

#: Methods that are not trained on a set of their own. Evaluation records name them in place of a train set.
METHODS = {"observer": "Observer", "hybrid": "trained model × Observer"}

SETS = (*SET_NAMES, *METHODS)


def set_name(name: str) -> str:
    """What the report calls a train or test set, a method, or a mixture with weights: `2 cddd + gcdd`."""
    parts = []
    for part in name.split(" + "):
        weight, space, single = part.rpartition(" ")
        parts.append(weight + space + {**SET_NAMES, **METHODS}.get(single, single))
    return " + ".join(parts)


def trained_on(train_set: str) -> str:
    """The name of a train set; a dash for a method that has none."""
    return "–" if train_set in METHODS else set_name(train_set)


def method_text(model: str, train_set: str) -> str:
    """What stands below the name of a model or method: architecture and train set, or a note."""
    notes = {"observer": "not trained", "hybrid": "probabilities of both combined"}
    return notes.get(train_set) or f"{model}, trained on {set_name(train_set)}"


def set_place(name: str) -> tuple[int, str]:
    """Sort key of a train or test set, or a method."""
    return (SETS.index(name), "") if name in SETS else (len(SETS), name)


def is_ulbd(train_set: str) -> bool:
    """Whether a train set is made by the ULBD recipe: streamed while training, or stored."""
    return train_set in ("ulbd", "ulbd-online")
