"""Numbers that the README takes from tables of docs/ are those of the tables."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
SHARE = r"(\d+) % \[(\d+), (\d+)\]"


def of_readme(sentence):
    """The numbers of a sentence of the README, in which SHARE stands for a share and its interval."""
    found = re.search(sentence.replace("SHARE", SHARE), README)
    assert found, sentence
    return [int(x) for x in found.groups()]


def of_table(page, row):
    """The cells of a row of a page of docs/."""
    lines = (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith(f"| {row} |")]
    return [cell.strip() for cell in line.strip("|").split("|")[1:]]


def hundredths(cell):
    """The share and its interval in a cell like .86 (.76-.93)."""
    return [int(x) for x in re.findall(r"\.(\d\d)", cell)]


def test_how_often_predict_is_right_is_as_its_page_says():
    classes, groups = of_table("predict.md", "extinction class"), of_table("predict.md", "space group")
    said = of_readme("names the class of SHARE and the space group of SHARE")
    assert said == hundredths(classes[0]) + hundredths(groups[0])
    assert of_readme("type are removed, still the class of SHARE") == hundredths(classes[2])
    sure = [cell.split(" of ") for cell in of_table("predict.md", "right of classes above .9")]
    right, all_of_them = (sum(int(pair[i]) for pair in sure) for i in (0, 1))
    assert of_readme(r"in three settings together, (\d+) of (\d+) were right") == [right, all_of_them]


def test_how_often_index_is_right_is_as_its_page_says():
    row = of_table("observer.md", "**RRUFF, odd rows**")
    said = of_readme("lattice of SHARE and the crystal family of SHARE, and it named the class of SHARE")
    assert said == [x for i in (1, 3, 5) for x in hundredths(row[i])]
    pairs = [[int(x) for x in pair.split("/")] for pair in row[8].split(", ")]
    assert of_readme(r"above 0.9, (\d+) of (\d+) were right") == [sum(x) for x in zip(*pairs, strict=True)]
