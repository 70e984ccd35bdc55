"""A CIF of several structures, taken apart."""

import re

_SITES = re.compile(r"^\s*_atom_site[._]fract_x\b", re.IGNORECASE | re.MULTILINE)


def structures_apart(text: str) -> list[tuple[str, str]]:
    """Name and text of every data block of a CIF that lists atom sites, if there are several; else nothing.

    Databases export a choice of structures as one file. What stands before the first block, and blocks
    without sites (of a publication), belong to none.
    """
    if text.lower().count("fract_x") < 2:
        return []
    parts: list[list[str]] = []
    in_field = False
    for line in text.splitlines(keepends=True):
        if line.startswith(";"):
            in_field = not in_field
        elif not in_field and line.lstrip()[:5].lower() == "data_":
            parts.append([])
        if parts:
            parts[-1].append(line)
    found = [(lines[0].split()[0][5:], "".join(lines)) for lines in parts]
    found = [(name, part) for name, part in found if _SITES.search(part)]
    return found if len(found) > 1 else []
