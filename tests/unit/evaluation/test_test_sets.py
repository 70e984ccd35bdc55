"""Samples of test sets."""

import numpy as np
import pyarrow as pa

from xtinct.evaluation.test_sets import TestSet
from xtinct.files.parquet import write_parquet
from xtinct.files.schema import LINES
from xtinct.symmetry.classes import class_symbol
from xtinct.symmetry.families import space_groups

INSTRUMENT = {
    "wavelength": 1.5406,
    "two_theta": {"min": 5, "max": 90, "points": 1024},
    "lorentz": "lorentz",
    "fwhm": 0.5,
}


def test_few_samples_of_a_crossed_set_are_of_many_lattices_and_many_groups(tmp_path):
    """A set that crosses 36 groups with 54 lattices has the lattices at every 54th row."""
    groups, lengths = space_groups("cubic"), np.linspace(5, 12, 54)
    rows = [
        {
            "sample_id": f"{group}-{i}",
            "dataset": "ulbd",
            "spacegroup_number": group,
            "extinction_class": class_symbol(group),
            "crystal_system": "cubic",
            "split": "test",
            **dict.fromkeys(("a", "b", "c"), float(length)),
            **dict.fromkeys(("alpha", "beta", "gamma"), 90.0),
            "d_star": [1 / length],
            "intensity": [1.0],
            "origin": "",
            "seed": 0,
            "source": "ulbd",
            "licence": "CC0-1.0",
        }
        for group in groups
        for i, length in enumerate(lengths)
    ]
    path = tmp_path / "cubic.parquet"
    write_parquet(path, [pa.Table.from_pylist(rows, schema=LINES)], LINES)
    samples, lines = TestSet("ulbd", [path], INSTRUMENT).spread("cubic", 36)
    assert len(samples) == len(set(samples.ids)) == len(lines) == 36
    assert len(np.unique(samples.groups)) > 30
    assert len(np.unique(samples.lattices)) > 30
    of_rows = zip(samples.groups, samples.cells[:, 0], strict=True)
    assert samples.ids == [f"{group}-{np.searchsorted(lengths, a)}" for group, a in of_rows]
    everything, _ = TestSet("ulbd", [path], INSTRUMENT).spread("cubic", 5000)
    assert len(everything) == len(rows)
