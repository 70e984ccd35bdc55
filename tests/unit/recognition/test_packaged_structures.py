"""The table of known structures in the library against the one that its rule makes."""

import numpy as np
import pyarrow.parquet as pq

from xtinct.recognition.recognising import PACKAGED


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


def test_the_packaged_table_has_structures_of_every_space_group_but_those_of_huge_cells():
    numbers = set(pq.read_table(PACKAGED, columns=["spacegroup_number"])["spacegroup_number"].to_pylist())
    assert set(range(1, 231)) - numbers == {101, 195, 210, 228}
