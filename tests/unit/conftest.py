"""A small model and small datasets. Imports nothing compiled by itself: cctbx must be able to come first."""

import shutil

import pytest

INSTRUMENT = {
    "wavelength": 1.5406,
    "two_theta": {"min": 5, "max": 90, "points": 1024},
    "lorentz": "lorentz",
    "fwhm": 0.5,
}
LATTICE = {
    "kind": "continuous",
    "lengths": [5, 8],
    "angles": [90, 90],
    "spacing": "uniform",
    "count": 5,
    "draws": 1,
}


def small_settings():
    """Keyword arguments of `train_model` for a cubic model that trains in seconds."""
    return {
        "experiment": {
            "name": "small",
            "train": "ulbd-online",
            "target": "extinction_class",
            "model": "small",
            "patterns": 32 * 40,
        },
        "family": "cubic",
        "seed": 3,
        "train": {
            "device": "cpu",
            "threads": 1,
            "precision": "float32",
            "processes": 1,
            "compile": "never",
            "batch_size": 32,
            "ghost_batch": 16,
            "gradient_clip": 10.0,
            "optimizer": "muon",
            "learning_rate": 0.002,
            "muon_learning_rate": 0.02,
            "weight_decay": 0.01,
            "schedule": "cosine",
            "warmup": 0.1,
            "validation_patterns": 64,
            "validations": 2,
            "stop_confidence": 0,
        },
        "models": {"small": {"kind": "logq", "points": 256, "width": 8, "hidden": 32}},
        "instrument": INSTRUMENT,
        "lines": {"d_star_max": 0.94},
        "ulbd": {"intensities": "uniform", "lattices": {"cubic": LATTICE}},
        "datasets": {},
        "occupations": None,
    }


@pytest.fixture
def settings():
    """`small_settings`, for a test to change."""
    return small_settings()


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Folder of a model of `settings` with half as many patterns again; not to be changed."""
    from xtinct.learning.training import train_model
    from xtinct.learning.training_settings import TrainingSettings

    settings = small_settings()
    settings["experiment"]["patterns"] = 32 * 60
    folder = tmp_path_factory.mktemp("trained") / "model"
    train_model(TrainingSettings.from_config(settings), folder)
    return folder


@pytest.fixture
def model_dir(trained, tmp_path):
    """A copy of `trained`, for a test to change."""
    return shutil.copytree(trained, tmp_path / "model")


@pytest.fixture
def write_lines(tmp_path):
    """Write line lists of cubic groups as a dataset file and return its path."""
    import numpy as np
    import pyarrow as pa

    from xtinct.files.parquet import write_parquet
    from xtinct.files.schema import CELL, LINES
    from xtinct.lattices.distributions import LatticeSpec
    from xtinct.learning.streams import UlbdStream
    from xtinct.symmetry.classes import class_symbol
    from xtinct.symmetry.families import crystal_system

    def write(groups, *, name="lines.parquet", splits=("train", "validation", "test"), change=None):
        stream = UlbdStream(
            family="cubic",
            spec=LatticeSpec.from_config(LATTICE),
            d_star_max=0.94,
            intensities="uniform",
            seed=99,
            role="file",
        )
        lines = stream.take(0, 36 * 20)
        rows = []
        for i, group in enumerate(groups):
            source = np.flatnonzero(lines.groups == group)[i % 5]
            d_star, intensity = lines.lines[source]
            row = {
                "sample_id": f"t-{i:05d}",
                "dataset": "ulbd",
                "spacegroup_number": int(group),
                "extinction_class": class_symbol(int(group)),
                "crystal_system": crystal_system(int(group)),
                "split": splits[i % len(splits)],
                **dict(zip(CELL, lines.cells[source].tolist(), strict=True)),
                "d_star": d_star.astype(np.float32).tolist(),
                "intensity": intensity.tolist(),
                "origin": f"{i}",
                "seed": 99,
                "source": "ulbd",
                "licence": "CC0-1.0",
            }
            rows.append(row | (change or {}))
        path = tmp_path / name
        write_parquet(path, [pa.Table.from_pylist(rows, schema=LINES)], LINES)
        return path

    return write


@pytest.fixture(scope="session")
def known_structures(tmp_path_factory):
    """Folder of structures.parquet, line lists and table.parquet of a quarter of the embedded prototypes."""
    from xtinct.files.shards import Shard
    from xtinct.recognition.packaged_structures import packaged_table

    folder = tmp_path_factory.mktemp("known")
    packaged_table(folder, Shard(0, 4))
    return folder
