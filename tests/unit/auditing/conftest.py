"""Folders and archives of measured files."""

import io
import zipfile

import pytest
from rutile_patterns import counted, profile


@pytest.fixture(scope="session")
def rutile():
    """2theta and counts of a good measurement."""
    x, y = profile()
    return x, counted(y)


@pytest.fixture
def folder(tmp_path, rutile):
    """Two measurements, a broken file, a list of peaks, and a CSV that labels the first."""
    x, y = rutile
    rows = "".join(f"{a:.3f} {b:.0f}\n" for a, b in zip(x, y, strict=True))
    (tmp_path / "deep").mkdir()
    (tmp_path / "good.xy").write_text(rows)
    (tmp_path / "deep" / "other.xy").write_text(rows.replace("15.000", "15.001", 1))
    lines = rows.splitlines(keepends=True)
    (tmp_path / "broken.xy").write_text("".join([*lines[:900], "33.000 nan\n", *lines[901:]]))
    (tmp_path / "peaks.txt").write_text("# 2theta I\n27.4 100\n36.1 45\n41.2 20\n54.3 55\n56.6 16\n69.0 20\n")
    (tmp_path / "labels.csv").write_text(
        "file,spacegroup,a,b,c,alpha,beta,gamma,formula,wavelength,laboratory\n"
        "good.xy,P 42/m n m,4.594,4.594,2.958,90,90,90,TiO2,CuKa1,bench\n"
    )
    return tmp_path


@pytest.fixture
def zipped(folder, tmp_path_factory):
    """The same folder as an archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
    file = tmp_path_factory.mktemp("zip") / "patterns.zip"
    file.write_bytes(out.getvalue())
    return file
