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
    """The cells of a row of a page."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith(f"| {row} |")]
    return [cell.strip() for cell in line.strip("|").split("|")[1:]]


def hundredths(cell):
    """The share and its interval in a cell like .86 (.76-.93)."""
    return [int(x) for x in re.findall(r"\.(\d\d)", cell)]


def percents(cell):
    """The same of a cell like 86 [76, 93]."""
    return [int(x) for x in re.findall(r"\d+", cell)]


def test_how_often_predict_is_right_is_as_its_page_says():
    _, *installed = of_table("README.md", "`xtinct predict`, as installed")
    _, classes, _, groups, sure, _ = of_table("docs/predict.md", "**odd rows (65)**")
    assert [percents(cell) for cell in installed[:2]] == [hundredths(classes), hundredths(groups)]
    assert installed[2] == sure
    classes, groups, sure = (
        of_table("docs/predict.md", row)
        for row in ("extinction class", "space group", "right of classes above .9")
    )
    for row, setting in (
        ("`xtinct predict` with `--database`, the sample's structure is in it", 0),
        ("the same, the sample's structure type is not in it", 2),
    ):
        _, *said = of_table("README.md", row)
        assert [percents(cell) for cell in said[:2]] == [
            hundredths(classes[setting]),
            hundredths(groups[setting]),
        ]
        assert said[2] == sure[setting]


def test_how_often_index_is_right_is_as_its_page_says():
    row = of_table("docs/observer.md", "**RRUFF, odd rows**")
    _, *said = of_table("README.md", "`xtinct index`")
    assert [percents(cell) for cell in said[:2]] == [hundredths(row[i]) for i in (5, 7)]
    assert said[2] == row[8].split(", ")[2].replace("/", " of ")
    said = of_readme("lattice of SHARE and the crystal family of SHARE")
    assert said == [x for i in (1, 3) for x in hundredths(row[i])]
    pairs = [[int(x) for x in pair.split("/")] for pair in row[8].split(", ")]
    assert of_readme(r"above 0.9, (\d+) of (\d+) were right") == [sum(x) for x in zip(*pairs, strict=True)]
