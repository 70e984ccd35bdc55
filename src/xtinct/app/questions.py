"""What the page asks of a pattern, checked before anything is done with it; and how much it may ask."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from xtinct.errors import XtinctError
from xtinct.measurements.axes import axis_named
from xtinct.symmetry.families import FAMILIES

#: Largest file that is taken, as it comes and unpacked, bytes.
LARGEST_UPLOAD, LARGEST_UNPACKED = 32 * 2**20, 64 * 2**20
#: Most lines of a file, which may hold several scans, and most points of the scan that is asked about.
MOST_LINES, MOST_POINTS = 400_000, 200_000
#: Longest name of a file that is shown, and longest other text, characters.
_LONGEST_NAME, _LONGEST_TEXT = 120, 300
#: What the page offers as weights of space groups. No path: a page must not open files of this machine.
PRIORS = ("", "uniform", "mp")


@dataclass(frozen=True)
class PageQuestion:
    """A question of the page; empty texts where nothing is told.

    name         of the file, to be shown
    wavelength   as `radiation_of` takes it
    family       crystal family, or all
    elements     symbols, as Si,O
    prior        "", what `index` takes without one, "uniform", or "mp", frequencies of the Materials Project
    kind         profile, or peaks: a list of them
    scan         number or part of the name of one of several scans
    axis         what the positions are, as `axis_named` takes it
    """

    name: str = ""
    wavelength: str = ""
    family: str = "all"
    elements: str = ""
    prior: str = ""
    kind: str = "profile"
    scan: str = ""
    axis: str = ""

    @classmethod
    def of(cls, told: Mapping[str, str]) -> "PageQuestion":
        """The question of a query string; XtinctError, one line that names what is wrong with it."""
        names = {field.name for field in fields(cls)}
        unknown = sorted(set(told) - names)
        if unknown:
            raise XtinctError(f"question: no field {unknown[0][:40]!r}, expected {', '.join(sorted(names))}")
        for name, text in told.items():
            if name != "name" and len(text) > _LONGEST_TEXT:
                raise XtinctError(f"{name}: {len(text)} characters, at most {_LONGEST_TEXT}")
        asked = cls(**{**told, "name": shown_name(told.get("name", ""))})
        if asked.family != "all" and asked.family not in FAMILIES:
            raise XtinctError(
                f"crystal family {asked.family!r}: expected all or one of {', '.join(FAMILIES)}"
            )
        if asked.prior not in PRIORS:
            raise XtinctError(f"prior {asked.prior!r}: the page knows only mp, uniform, and none")
        if asked.kind not in ("profile", "peaks"):
            raise XtinctError(f"kind {asked.kind!r}: expected profile or peaks")
        axis_named(asked.axis or None)
        return asked

    @property
    def suffix(self) -> str:
        """End of the file's name with its dot, where it is a plain one: some formats are told by it."""
        found = re.search(r"\.[A-Za-z0-9]{1,8}$", self.name)
        return found[0].lower() if found else ""

    @property
    def saved_name(self) -> str:
        """The name for files that are saved of the answer: nothing that a shell or a file system minds."""
        return re.sub(r"[^A-Za-z0-9.-]+", "_", self.name).strip("._-") or "pattern"


def shown_name(name: str) -> str:
    """A file's name as it is shown: no folders, no characters that steer a terminal or break XML."""
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(character if character.isprintable() else " " for character in last).strip()
    if len(plain) > _LONGEST_NAME:
        plain = f"{plain[: _LONGEST_NAME - 20]}...{plain[-17:]}"
    return plain or "pattern"
