"""The packaged table against gemmi, entry by entry."""

import gemmi
import numpy as np
import pyarrow.parquet as pq

from xtinct.linelists.gemmi_tables import dispersion, write_scattering_table
from xtinct.linelists.scattering import TABLE


def test_packaged_table_is_gemmis():
    rows = pq.read_table(TABLE).to_pylist()
    assert [row["atomic_number"] for row in rows] == list(range(1, 119))
    for row in rows:
        element = gemmi.Element(row["atomic_number"])
        if element.it92 is None:
            assert row["xray_a"] is row["xray_b"] is row["xray_c"] is None
        else:
            s2 = np.array([0.0, 0.01, 0.1, 0.5, 1.0])
            terms = np.array(row["xray_a"])[:, None] * np.exp(-np.outer(row["xray_b"], s2))
            theirs = [element.it92.calculate_sf(x) for x in s2]
            # gemmi evaluates in single precision.
            assert np.allclose(terms.sum(axis=0) + row["xray_c"], theirs, rtol=1e-6, atol=1e-6)
            assert (row["xray_a"], row["xray_b"]) == (list(element.it92.a), list(element.it92.b))
            assert row["xray_c"] == element.it92.c
        if row["neutron_length"] is None:
            assert element.neutron92.get_coefs()[0] == 0
        else:
            assert row["neutron_length"] == element.neutron92.calculate_sf(0.3)


def test_packaged_table_is_what_its_program_writes(tmp_path):
    write_scattering_table(tmp_path / "scattering.parquet")
    assert (tmp_path / "scattering.parquet").read_bytes() == TABLE.read_bytes()


def test_published_entries():
    rows = {row["atomic_number"]: row for row in pq.read_table(TABLE).to_pylist()}
    # International Tables C (1992), table 6.1.1.4: f(0) is the number of electrons.
    for z in (1, 6, 26, 55):
        assert abs(sum(rows[z]["xray_a"]) + rows[z]["xray_c"] - z) < 0.02
    # Sears, Neutron News 3(3), 26 (1992): hydrogen, titanium and vanadium scatter with the opposite sign.
    lengths = {1: -3.739, 6: 6.646, 22: -3.438, 23: -0.3824, 26: 9.45}
    assert all(abs(rows[z]["neutron_length"] - length) < 0.006 for z, length in lengths.items())


def test_published_dispersion_of_copper_radiation():
    """International Tables C (1992), table 4.2.6.8: f' and f'' of iron, which fluoresces, and copper."""
    found = dispersion(1.5406)
    assert np.allclose(found[26], (-1.134, 3.197), atol=0.1)
    assert np.allclose(found[29], (-1.965, 0.589), atol=0.1)
