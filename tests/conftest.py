"""What all tests share. Imports nothing compiled: cctbx must be able to come first."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser):
    parser.addoption(
        "--cctbx",
        action="store_true",
        help="run the tests that import cctbx, and only those: it crashes a process that has imported "
        "numba, gemmi or torch, so they need one of their own",
    )


def pytest_ignore_collect(collection_path, config):
    """Leave out, before they are imported, the files that do not belong into this process.

    A file that is named on the command line always runs.
    """
    named = {Path(argument.partition("::")[0]).resolve() for argument in config.args}
    if (
        collection_path.resolve() in named
        or collection_path.suffix != ".py"
        or not collection_path.name.startswith("test_")
    ):
        return None
    wants_cctbx = "pytest.mark.cctbx" in collection_path.read_text(encoding="utf-8")
    return True if wants_cctbx != config.getoption("--cctbx") else None


def pytest_collection_modifyitems(items):
    """Begin with the long files where processes share the work: none is then left alone with a build."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.get_closest_marker("workflow") is None)


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with data that the project does not carry; the test is skipped where it is absent."""
    path = Path(os.environ.get("XTINCT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no folder {path} with further data; XTINCT_SHARED_DATA names one")
    return path
