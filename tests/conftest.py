"""What all tests share. Imports nothing compiled: cctbx must be able to come first."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: Files that take long, where processes share the work: they come first, so that none is left alone with one
#: at the end. Build and documented commands compile the same code, so plans stand between the two, and what
#: is installed takes what all of them have compiled.
LONG = (
    "workflow/test_build.py",
    "workflow/test_dvc_matches_dag.py",
    "workflow/test_documented_commands.py",
    "workflow/test_elsewhere.py",
    "unit/observer/test_observe.py",
    "unit/test_compilation.py",
    "unit/test_installation.py",
)


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
    """Begin with the long files where processes share the work."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONG)}

    def place(item):
        return places.get(item.path, len(LONG) + (item.get_closest_marker("workflow") is None))

    items.sort(key=place)


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
