"""Result files: columns, order of the limitations, and equal bytes for equal settings."""

import json
from itertools import pairwise

import pyarrow.parquet as pq

from xtinct.ceiling.ceiling_files import LIMITATIONS, Sampling, write_limitations, write_wilson
from xtinct.files import schema
from xtinct.lattices.distributions import LatticeSpec
from xtinct.patterns.instrument import Instrument

INSTRUMENT = Instrument(
    wavelength=1.5406, two_theta_min=5.0, two_theta_max=90.0, points=8192, lorentz="lorentz", fwhm=0.23548
)
SPECS = {
    "cubic": LatticeSpec("continuous", (4.0, 8.0), count=1),
    "trigonal-hexagonal": LatticeSpec("mesh", (10.0, 12.0), step=0.5),
}


def test_limitations(tmp_path):
    settings = {"threshold": 0.02, "d_star_max": 0.93, "sampling": Sampling(lattices=20)}
    for folder in ("one", "two"):
        write_limitations(tmp_path / folder, SPECS, INSTRUMENT, **settings)
    for name in ("limitations", "merged_lattices", "lost_pairs"):
        path = tmp_path / "one" / f"{name}.parquet"
        schema.check_table(pq.read_schema(path), getattr(schema, name.upper()), str(path))
        assert path.read_bytes() == (tmp_path / "two" / f"{name}.parquet").read_bytes()
    rows = pq.read_table(tmp_path / "one" / "limitations.parquet").to_pylist()
    assert json.loads((tmp_path / "one" / "limits.json").read_text())["limitations"] == rows
    for family in SPECS:
        values = {row["limitation"]: row for row in rows if (row["family"], row["k"]) == (family, 1)}
        assert list(values) == list(LIMITATIONS)
        falling = [(row["ceiling"], row["standard_error"]) for row in values.values()]
        for (before, _), (after, error) in pairwise(falling):
            assert after <= before + 3 * error + 1e-9
    cubic = [r for r in rows if r["family"] == "cubic" and r["k"] == 1]
    assert cubic[2]["ceiling"] < cubic[0]["ceiling"]  # cells below 4.99 angstrom lose classes in the window


def test_wilson(tmp_path):
    write_wilson(tmp_path, {"cubic": SPECS["cubic"]}, INSTRUMENT, lattices=2, draws=1)
    for name in ("wilson", "wilson_pairs"):
        path = tmp_path / f"{name}.parquet"
        schema.check_table(pq.read_schema(path), getattr(schema, name.upper()), str(path))
    rows = json.loads((tmp_path / "wilson.json").read_text())["wilson"]
    assert all(row["accuracy"] > row["extinction_ceiling"] for row in rows[:3])
