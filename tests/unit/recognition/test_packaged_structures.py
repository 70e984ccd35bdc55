"""The table of known structures in the library against the one that its rule makes."""

import re

import numpy as np
import pyarrow.parquet as pq

from xtinct.recognition.recognising import PACKAGED
from xtinct.symmetry.operations import hermann_mauguin

#: Groups whose prototypes have too many sites.
MISSING = {101, 195, 210, 228}


def test_the_packaged_table_is_what_its_rule_makes(known_structures):
    """Of a quarter of the structures, row by row; the notice of its source stands beside it."""
    made = {row["structure_id"]: row for row in pq.read_table(known_structures / "table.parquet").to_pylist()}
    packaged = {row["structure_id"]: row for row in pq.read_table(PACKAGED).to_pylist()}
    assert len(made) > 250
    for name, row in made.items():
        known = packaged[name]
        for key, value in row.items():
            if key in ("place", "strength"):
                # Rounded numbers, which another processor may round the other way.
                assert np.abs(np.subtract(known[key], value)).max(initial=0) <= 1, name
            else:
                assert known[key] == value, (name, key)
    assert "BSD 3-Clause License" in (PACKAGED.parent / "NOTICE").read_text()
    assert PACKAGED.stat().st_size < 10e6


def test_the_card_says_what_the_documentation_says(root):
    """Its rows of numbers are those of docs/predict.md, its files are there, its groups lack a structure."""
    card = (PACKAGED.parent / "CARD.md").read_text(encoding="utf-8")
    documented = (root / "docs/predict.md").read_text(encoding="utf-8")
    numbers = [
        line
        for line in card.splitlines()
        if line.startswith(("| extinction", "| space", "| right", "| **odd"))
    ]
    assert len(numbers) == 4
    assert all(f"{line}\n" in documented for line in numbers)
    for path in re.findall(r"`((?:xtinct|benchmarks)/[\w./]+)`", card):
        assert (root / path).exists() or (root / "src" / path).exists(), path
    (missing,) = re.findall(r"Groups (.*) have no packaged structure", card)
    listed, symbols = missing.rstrip(")").split(" (")
    assert symbols.split(", ") == [hermann_mauguin(int(n)) for n in re.findall(r"\d+", listed)]
    assert {int(n) for n in re.findall(r"\d+", listed)} == MISSING
    assert f"{pq.read_metadata(PACKAGED).num_rows:,} structures" in card


def test_the_packaged_table_has_structures_of_every_space_group_but_those_of_huge_cells():
    numbers = set(pq.read_table(PACKAGED, columns=["spacegroup_number"])["spacegroup_number"].to_pylist())
    assert set(range(1, 231)) - numbers == MISSING
