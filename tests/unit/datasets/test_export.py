"""Exported patterns: the same patterns, read by libraries that know nothing of this one."""

import hashlib
import json

import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from huggingface_hub import DatasetCard

from xtinct.cli import cli
from xtinct.datasets import ulbd
from xtinct.datasets.cddd import build_shard
from xtinct.datasets.export import export, read_patterns
from xtinct.datasets.merging import merge_lines
from xtinct.datasets.settings import CrystalSettings, UlbdSettings
from xtinct.datasets.sharing import About
from xtinct.errors import XtinctError
from xtinct.files.parquet import write_parquet
from xtinct.files.schema import LINES, STRUCTURES
from xtinct.files.shards import Shard
from xtinct.linelists.line_tables import line_lists
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render

ABOUT = About(name="mono", licence="mit", published="2026-11-01")
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
    settings = UlbdSettings(**SETTINGS, seed=1)
    ulbd.build_shard(settings, Shard(), folder / "shard.parquet")
    merge_lines([folder / "shard.parquet"], folder / "ulbd.parquet", settings.identity)
    return folder / "ulbd.parquet"


@pytest.fixture(scope="module", params=["float32", "uint16"])
def exported(request, table, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param)
    counts = export([table], out, instrument=INSTRUMENT, dtype=request.param, about=ABOUT)
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
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    # It recommends the address under which the set will stand, which nobody knows yet.
    assert all("https://schema.org/url" in warning for warning in issues.warnings)
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
    export([table], tmp_path, instrument=INSTRUMENT, dtype=dtype, about=ABOUT)
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
        export([tmp_path / "text.parquet"], tmp_path / "new", instrument=INSTRUMENT)
    with pytest.raises(XtinctError, match="date '1 May', expected YYYY-MM-DD"):
        export([table], tmp_path / "new", instrument=INSTRUMENT, about=About(published="1 May"))


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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 1", "expected keys with values, found [1]"),
        ("seed: 1", "key instrument is missing: the measurement that turns line lists into patterns"),
        ("instrument: 3", "instrument = 3: must be a mapping of keys"),
        ("instrument: {wavelength: 1}", "key instrument.two_theta is missing: grid of the pattern, degree"),
        (
            "instrument: {wavelength: 1.54, two_theta: {min: 5, max: 80}, lorentz: lorentz, fwhm: 0.2}",
            "key instrument.two_theta.points is missing: number of equidistant angles",
        ),
        (
            "instrument: {wavelength: 1.54, two_theta: {min: 5, max: 80, points: 9}, lorentz: lorentz, "
            "fwhm: 0.2, fwmh: 1}",
            "unknown key instrument.fwmh; did you mean fwhm?",
        ),
        (
            "instrument: {wavelength: 1.54, two_theta: {min: 5, max: 80, points: 900}, lorentz: lorentz, "
            "fwhm: 0.2}\nsources: 3",
            "sources = 3: must be a mapping of keys",
        ),
    ],
)
def test_a_configuration_without_an_instrument_is_refused_in_one_line(table, tmp_path, text, said):
    config = tmp_path / "config.yaml"
    config.write_text(text)
    result = CliRunner().invoke(
        cli, ["export", str(table), "--out", str(tmp_path / "o"), "--config", str(config)]
    )
    assert str(result.exception) == f"{config}: {said}"
    if "sources" not in text:
        asked = ["score", str(table), "--truth", str(table), "--config", str(config)]
        result = CliRunner().invoke(cli, asked)
        assert str(result.exception) == f"{config}: {said}"


def test_tables_without_a_sample_are_refused(tmp_path):
    empty = tmp_path / "empty.parquet"
    write_parquet(empty, [], LINES)
    with pytest.raises(XtinctError, match=r"export: no sample in .*empty\.parquet"):
        export([empty], tmp_path / "out", instrument=INSTRUMENT)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def crystals(tmp_path):
    """Line lists of two structures of sources under different licences."""
    cif = (
        "data_a\n_cell_length_a {0}\n_cell_length_b {0}\n_cell_length_c {0}\n_cell_angle_alpha 90\n"
        "_cell_angle_beta 90\n_cell_angle_gamma 90\n_space_group_name_H-M_alt 'P 1'\nloop_\n"
        "_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n"
        "_atom_site_fract_y\n_atom_site_fract_z\nPo Po 0 0 0\n"
    )
    rows = [
        {
            "structure_id": f"{source}:Po",
            "formula": "Po",
            "spacegroup_number": 221,
            "symprec": 0.01,
            "crystal_system": "cubic",
            **dict.fromkeys("abc", a),
            **dict.fromkeys(("alpha", "beta", "gamma"), 90.0),
            "n_sites": 1,
            "cif": cif.format(a),
            "source": source,
            "source_version": "1",
            "licence": licence,
        }
        for source, licence, a in (("mine", "CC-BY-4.0", 3.3), ("mp-random-lattice", "CC-BY-NC-4.0", 3.4))
    ]
    write_parquet(tmp_path / "s.parquet", [pa.Table.from_pylist(rows, schema=STRUCTURES)], STRUCTURES)
    lines = {
        "d_star_max": 0.7,
        "b_iso": 0,
        "radiation": "xray",
        "intensity_floor": 0,
        "max_reflections": 9999,
    }
    build_shard(
        tmp_path / "s.parquet",
        CrystalSettings("cddd", lines, "random", {"train": 1.0}, seed=1),
        Shard(),
        lines_out={"cubic": tmp_path / "cubic.parquet"},
        quarantine_out=tmp_path / "quarantine.parquet",
    )
    return tmp_path / "cubic.parquet"


def test_every_row_and_the_card_name_source_licence_and_what_to_cite(crystals, tmp_path):
    """A licence that forbids commercial use must not get lost on the way to a table of patterns."""
    cited = {"mp": "Jain et al. (2013)", "mine": "Curie (1898)"}
    export([crystals], tmp_path / "o", instrument=INSTRUMENT, about=About(citations=cited))
    frame = pd.read_parquet(tmp_path / "o" / "data" / "train.parquet")
    found = set(zip(frame["source"], frame["licence"], strict=True))
    assert found == {("mine", "CC-BY-4.0"), ("mp-random-lattice", "CC-BY-NC-4.0")}
    card = (tmp_path / "o" / "README.md").read_text()
    assert "| mine | CC-BY-4.0 | 1 | Curie (1898) |" in card
    assert "| mp-random-lattice | CC-BY-NC-4.0 | 1 | Jain et al. (2013) |" in card
    assert DatasetCard.load(tmp_path / "o" / "README.md").data.license == ["cc-by-4.0", "cc-by-nc-4.0"]
    croissant = json.loads((tmp_path / "o" / "croissant.json").read_text())
    assert croissant["license"] == ["CC-BY-4.0", "CC-BY-NC-4.0"]
    assert croissant["citeAs"].endswith("; Curie (1898); Jain et al. (2013)")


def test_card_and_croissant_say_units_day_and_that_rows_are_ordered(exported, table):
    _, out, _ = exported
    card, croissant = (out / "README.md").read_text(), json.loads((out / "croissant.json").read_text())
    assert croissant["datePublished"] == "2026-11-01"
    assert "Published 2026-11-01." in card
    for text in (card, croissant["description"]):
        assert "ordered by sample" in text
        assert "shuffle" in text
    assert "| `a` | angstrom |" in card
    assert "| wavelength | 1.5406 | angstrom |" in card
    groups = pd.read_parquet(out / "data" / "train.parquet")["spacegroup_number"]
    assert groups.is_monotonic_increasing, "what the card says"
    # What Xtinct draws from numbers alone is nobody's.
    assert "| ulbd | CC0-1.0 | " in card


def test_the_day_of_publication_is_that_of_the_build_where_one_is_set(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")  # 14 November 2023, 22:13:20 UTC
    assert About().day() == "2023-11-14"
    for wrong in ("yesterday", "", "99999999999999999999"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", wrong)
        with pytest.raises(XtinctError, match=f"SOURCE_DATE_EPOCH: '{wrong}', expected seconds since 1970"):
            About().day()


def test_a_folder_that_holds_other_files_is_refused_and_left_as_it_is(table, tmp_path):
    notes = tmp_path / "README.md"
    notes.write_text("mine")
    with pytest.raises(XtinctError, match=r"README\.md: the folder of an export may hold no file"):
        export([table], tmp_path, instrument=INSTRUMENT)
    assert notes.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [notes]


def test_an_export_replaces_one_of_before_but_not_a_part_that_it_does_not_write(table, tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("")
    for _ in range(2):
        export([table], tmp_path, instrument=INSTRUMENT)
    only = tmp_path.parent / "train.parquet"
    rows = pq.read_table(table)
    write_parquet(only, [rows.filter(pc.equal(rows["split"], "train"))], LINES)
    with pytest.raises(XtinctError, match=r"data/test\.parquet: the folder of an export"):
        export([only], tmp_path, instrument=INSTRUMENT)


def test_a_table_of_the_version_before_is_refused_in_one_line(table, tmp_path):
    """Version 1 had neither source nor licence."""
    old = pq.read_table(table).drop_columns(["source", "licence"])
    metadata = {b"xtinct.table": b"lines", b"xtinct.schema_version": b"1"}
    pq.write_table(old.replace_schema_metadata(metadata), tmp_path / "old.parquet")
    with pytest.raises(XtinctError) as refused:
        export([tmp_path / "old.parquet"], tmp_path / "o", instrument=INSTRUMENT)
    assert str(refused.value).startswith(
        f"{tmp_path}/old.parquet: column 'source' is missing; the file was written in version 1 of the lines "
        "table, this is version 2: make it again"
    )
    assert "\n" not in str(refused.value)
