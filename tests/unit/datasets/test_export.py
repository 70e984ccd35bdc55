"""Exported patterns: the same patterns, read by libraries that know nothing of this one."""

import hashlib
import json

import numpy as np
import pandas as pd
import polars
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from huggingface_hub import DatasetCard

from xtinct.cli import cli
from xtinct.datasets import ulbd
from xtinct.datasets.export import export, read_patterns
from xtinct.datasets.linetables import line_lists
from xtinct.diffraction.instrument import Instrument
from xtinct.diffraction.profile import render
from xtinct.errors import XtinctError

INSTRUMENT = Instrument(1.5406, 10, 60, 1000, "lorentz", 0.3)
SETTINGS = {
    "family": "monoclinic",
    "lattices": {
        "kind": "continuous",
        "lengths": [4, 6],
        "angles": [95, 115],
        "spacing": "uniform",
        "count": 20,
        "draws": 2,
    },
    "intensities": "uniform",
    "d_star_max": 0.7,
    "split": "lattice",
    "fractions": {"train": 0.6, "validation": 0.2, "test": 0.2},
}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ulbd")
    ulbd.build_shard(**SETTINGS, seed=1, shard=0, shards=1, out=folder / "shard.parquet")
    ulbd.merge([folder / "shard.parquet"], out=folder / "ulbd.parquet", seed=1, config=SETTINGS)
    return folder / "ulbd.parquet"


@pytest.fixture(scope="module", params=["float32", "uint16"])
def exported(request, table, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param)
    counts = export([table], out, instrument=INSTRUMENT, dtype=request.param, name="mono", licence="mit")
    return request.param, out, counts


def expected(table, part):
    rows = pq.read_table(table)
    rows = rows.filter(np.array(rows["split"].to_pylist()) == part)
    return rows["sample_id"].to_pylist(), render(line_lists(rows), INSTRUMENT)


def decoded(dtype, column):
    if dtype == "float32":
        return np.stack([np.asarray(p, dtype=np.float32) for p in column])
    return np.stack([np.frombuffer(p, "<u2") for p in column]) / 65535


def test_pandas_reads_every_sample_of_each_part(exported, table):
    dtype, out, counts = exported
    assert sum(counts.values()) == pq.read_metadata(table).num_rows
    for part, n in counts.items():
        frame = pd.read_parquet(out / "data" / f"{part}.parquet")
        ids, patterns = expected(table, part)
        assert frame["sample_id"].tolist() == ids
        assert len(frame) == n
        tolerance = 0 if dtype == "float32" else 0.51 / 65535
        np.testing.assert_allclose(decoded(dtype, frame["pattern"]), patterns, rtol=0, atol=tolerance)
        np.testing.assert_allclose(read_patterns(out / "data" / f"{part}.parquet"), patterns, atol=1e-5)


def test_the_grid_stands_in_the_file_and_on_the_card(exported):
    dtype, out, _ = exported
    schema = pq.read_schema(out / "data" / "train.parquet")
    stored = json.loads(schema.metadata[b"instrument"])
    assert Instrument(**stored) == INSTRUMENT
    assert json.loads(schema.metadata[b"encoding"])["dtype"] == dtype
    card = (out / "README.md").read_text()
    assert DatasetCard.load(out / "README.md").data.license == "mit"
    header = yaml.safe_load(card.split("---")[1])
    assert header["license"] == "mit"
    paths = [entry["path"] for entry in header["configs"][0]["data_files"]]
    assert all((out / path).exists() for path in paths)
    assert "np.linspace(10, 60, 1000)" in card


def test_croissant_describes_the_files_that_are_there(exported):
    _, out, counts = exported
    croissant = json.loads((out / "croissant.json").read_text())
    for described in croissant["distribution"]:
        content = (out / described["contentUrl"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == described["sha256"]
    for record_set in croissant["recordSet"]:
        columns = [field["source"]["extract"]["column"] for field in record_set["field"]]
        assert columns == pq.read_schema(out / "data" / f"{record_set['name']}.parquet").names
    assert {r["name"] for r in croissant["recordSet"]} == set(counts)


# mlcroissant 1.1 uses what rdflib 7 and pandas 3 call deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mlcroissant_accepts_and_reads_it(exported):
    import mlcroissant

    _, out, counts = exported
    dataset = mlcroissant.Dataset(jsonld=out / "croissant.json")
    assert not dataset.metadata.ctx.issues.errors
    assert len(list(dataset.records("test"))) == counts["test"]


def test_polars_reads_it(exported, table):
    dtype, out, _ = exported
    path = out / "data" / "test.parquet"
    grid = json.loads(polars.read_parquet_metadata(path)["instrument"])
    assert (grid["two_theta_min"], grid["two_theta_max"], grid["points"]) == (10, 60, 1000)
    frame = polars.read_parquet(path)
    np.testing.assert_allclose(
        decoded(dtype, frame["pattern"].to_list()), expected(table, "test")[1], atol=1e-5
    )


def test_datasets_reads_it(exported, table, tmp_path):
    import datasets

    dtype, out, counts = exported
    parts = datasets.load_dataset(str(out), cache_dir=str(tmp_path))
    assert {part: len(rows) for part, rows in parts.items()} == counts
    loaded = parts["test"]
    np.testing.assert_allclose(decoded(dtype, loaded["pattern"]), expected(table, "test")[1], atol=1e-5)


def test_bytes_are_reproducible(exported, table, tmp_path):
    dtype, out, _ = exported
    export([table], tmp_path, instrument=INSTRUMENT, dtype=dtype, name="mono", licence="mit")
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        assert (tmp_path / path.relative_to(out)).read_bytes() == path.read_bytes(), path


def test_faults_are_named(table, tmp_path):
    with pytest.raises(XtinctError, match="float16"):
        export([table], tmp_path, instrument=INSTRUMENT, dtype="float16")
    with pytest.raises(XtinctError, match="no tables"):
        export([], tmp_path, instrument=INSTRUMENT)
    with pytest.raises(XtinctError, match="occurs twice"):
        export([table, table], tmp_path, instrument=INSTRUMENT)
    far = Instrument(1.5406, 10, 120, 1000, "lorentz", 0.3)
    with pytest.raises(XtinctError, match=r"ulbd\.parquet: lines\.d_star_max"):
        export([table], tmp_path, instrument=far)
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(XtinctError, match=r"text\.parquet"):
        export([tmp_path / "text.parquet"], tmp_path, instrument=INSTRUMENT)


def test_the_command(table, tmp_path):
    config = tmp_path / "config.yaml"
    grid = {"min": 10, "max": 60, "points": 1000}
    settings = {"wavelength": 1.5406, "two_theta": grid, "lorentz": "lorentz", "fwhm": 0.3}
    config.write_text(yaml.safe_dump({"instrument": settings}))
    result = CliRunner().invoke(
        cli, ["export", str(table), "--out", str(tmp_path / "o"), "--config", str(config)]
    )
    assert result.exit_code == 0, result.output
    assert "train" in result.output
    assert (tmp_path / "o" / "croissant.json").exists()
