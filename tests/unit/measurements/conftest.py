"""One profile that all files of these tests hold, and a way to write them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from xtinct.measurements import read_measurement

WAVELENGTH = 1.5406
#: Cell edge of Y2O3 (I a -3), angstrom, and sums h^2 + k^2 + l^2 of some of its lines with heights.
EDGE, LINES = 10.604, {6: 180, 8: 40, 12: 900, 14: 60, 16: 240, 20: 30, 24: 90}


@pytest.fixture(scope="session")
def profile():
    """Counts from 10 to 45 degrees in steps of 0.02 with lines where Bragg's law wants them."""
    two_theta = np.round(10 + 0.02 * np.arange(1751), 4)
    y = np.full(len(two_theta), 20.0)
    for total, height in LINES.items():
        center = 2 * np.degrees(np.arcsin(WAVELENGTH * np.sqrt(total) / (2 * EDGE)))
        y += height * np.exp(-4 * np.log(2) * ((two_theta - center) / 0.2) ** 2)
    d = WAVELENGTH / (2 * np.sin(np.radians(two_theta / 2)))
    return SimpleNamespace(x=two_theta, y=np.round(y), d=d, q=2 * np.pi / d, n=len(two_theta))


@pytest.fixture
def file(tmp_path):
    """Write a text or bytes to a file and return its path."""

    def write(content: str | bytes, name: str = "sample.xy", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


@pytest.fixture
def same(file, profile):
    """Read a content, hold it against the profile and return the measurement."""

    def check(content: str | bytes, name: str = "sample.xy", encoding: str = "utf-8", off=1e-6, **told):
        found = read_measurement(file(content, name, encoding), **told)
        assert len(found.two_theta) == profile.n
        np.testing.assert_allclose(found.two_theta, profile.x, rtol=0, atol=off)
        np.testing.assert_allclose(found.intensity, profile.y, rtol=1e-9)
        assert found.two_theta.dtype == found.intensity.dtype == np.float64
        return found

    return check


@pytest.fixture(scope="session")
def rows():
    """Columns as the text of rows."""

    def text(*columns, form="{:.4f}", separator=" ", end="\n", decimal="."):
        lines = []
        for values in zip(*columns, strict=True):
            lines.append(separator.join(form.format(v).replace(".", decimal) for v in values))
        return end.join(lines) + end

    return text
