"""How lines of a crystal are written: the headings of their table, and hkl as text."""

#: Headings of the table on a terminal.
COLUMNS = ("hkl", "multiplicity", "d (A)", "2theta (deg)", "|F|^2", "intensity")


def hkl_text(hkl: tuple[int, int, int]) -> str:
    """`111`, `-111`, `1 0 12`: with spaces where an index has two digits."""
    return ("" if all(abs(index) < 10 for index in hkl) else " ").join(map(str, hkl))
