"""Files of the opXRD collection, with what xrdpattern 0.9.9 and 0.9.1 wrote, word for word."""

import json
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest

from xtinct.auditing.pattern_sets import labelled_measurements
from xtinct.auditing.pattern_sources import collect_patterns
from xtinct.errors import XtinctError

#: XrdData.to_str() of xrdpattern 0.9.9; its tube says K-alpha2 first.
LABEL = (
    r'{"phases":["{\"lattice\":\"(4.594, 4.594, 2.958, 90.0, 90.0, 90.0)\",\"basis\":null,'
    r"\"spacegroup\":\"136\",\"chemical_composition\":\"Ti2 O4\",\"wyckoff_symbols\":null,"
    r'\"phase_fraction\":\"1\"}"],"xray_info":"{\"primary_wavelength\":\"1.54439\",'
    r'\"secondary_wavelength\":\"1.54056\"}","is_simulated":false,"crystallite_size_nm":null,"temp_K":null}'
)
METADATA = (
    '{"filename":null,"institution":"Institute of Powders","contributor_name":null,'
    '"original_file_format":null,"measurement_date":null,"tags":[],"xrdpattern_version":"0.9.9"}'
)
#: Version 0.9.1 wrote a sample of which nothing is known as one phase of nothing.
NOTHING = (
    r'{"phases":["{\"lengths\":\"{\\\"a\\\": null, \\\"b\\\": null, \\\"c\\\": null}\",'
    r"\"angles\":\"{\\\"alpha\\\": null, \\\"beta\\\": null, \\\"gamma\\\": null}\",\"base\":\"[]\","
    r"\"phase_fraction\":1,\"chemical_composition\":null,\"spacegroup\":null,\"volume_uc\":null,"
    r'\"atomic_volume\":null,\"wyckoff_symbols\":null,\"crystal_system\":null}"],'
    r'"xray_info":"{\"primary_wavelength\":null,\"secondary_wavelength\":null}",'
    r'"is_simulated":false,"crystallite_size":null,"temp_in_celcius":null}'
)
#: The same version with a cell and a further phase.
TWO = (
    r'{"phases":["{\"lengths\":[\"4.594\",\"4.594\",\"2.958\"],\"angles\":[\"90\",\"90\",\"90\"],'
    r'\"spacegroup\":\"136\",\"chemical_composition\":\"TiO2\"}","{\"lengths\":[\"nan\",\"nan\",\"nan\"],'
    r'\"chemical_composition\":\"Al2O3\"}"],"xray_info":"{\"primary_wavelength\":\"1.5406\",'
    r'\"secondary_wavelength\":null}","is_simulated":false}'
)


#: A phase that is known beside one of which nothing is.
HALF = json.dumps(
    {**json.loads(LABEL), "phases": [*json.loads(LABEL)["phases"], *json.loads(NOTHING)["phases"]]}
)


@pytest.fixture(scope="module")
def archive(rutile, tmp_path_factory):
    """Two contributions of the collection, zipped as it is published."""
    x, y = (column.tolist() for column in rutile)
    texts = {
        "first_0/pattern_0.json": (y, LABEL),
        "first_0/pattern_1.json": (y, NOTHING),
        "first_0/pattern_2.json": (y[:-1], LABEL),
        "second_0/pattern_group_0_1.json": (y, TWO),
        "second_0/pattern_1.json": (y, LABEL.replace('"is_simulated":false', '"is_simulated":true')),
    }
    path = tmp_path_factory.mktemp("opxrd") / "opxrd.zip"
    with zipfile.ZipFile(path, "w") as out:
        for name, (heights, label) in texts.items():
            told = {"two_theta_values": x, "intensities": heights, "label": label, "metadata": METADATA}
            out.writestr(f"opxrd/{name}", json.dumps(told))
        out.writestr("opxrd/second_0/pattern_2.json", '{"two_theta_values": [1')
    return path


def collected(path, tmp_path, **config):
    out, quarantine = tmp_path / "out.parquet", tmp_path / "out.quarantine.parquet"
    counts = collect_patterns("o", {"kind": "opxrd", "path": str(path), **config}, out, quarantine)
    reasons = {row["structure_id"]: row["reason"] for row in pq.read_table(quarantine).to_pylist()}
    return counts, {one.pattern_id: one for one in labelled_measurements(out)}, reasons


def test_patterns_have_the_label_of_their_first_phase(archive, tmp_path, rutile):
    counts, patterns, reasons = collected(archive, tmp_path, wavelength="MoKa1")
    assert counts == {"received": 6, "patterns": 3, "quarantined": 3}
    assert reasons == {
        "o:opxrd/first_0/pattern_2.json": "unreadable",
        "o:opxrd/second_0/pattern_1.json": "calculated",
        "o:opxrd/second_0/pattern_2.json": "unreadable",
    }
    first = patterns["o:opxrd/first_0/pattern_0.json"]
    np.testing.assert_array_equal(first.measurement.two_theta, rutile[0])
    np.testing.assert_array_equal(first.measurement.intensity, rutile[1])
    np.testing.assert_array_equal(first.label.cell, [4.594, 4.594, 2.958, 90, 90, 90])
    assert (first.label.number, first.label.formula, first.label.n_phases) == (136, "Ti2 O4", 1)
    assert first.laboratory == "Institute of Powders"
    radiation = first.measurement.radiation
    assert (radiation.wavelength, radiation.second, radiation.anode) == (1.54056, 1.54439, "Cu")
    # Nothing is said of this one, and the set's own word counts for its wavelength.
    unknown = patterns["o:opxrd/first_0/pattern_1.json"]
    assert (unknown.label.number, unknown.label.cell, unknown.label.n_phases) == (None, None, None)
    assert unknown.measurement.radiation.anode == "Mo"
    two = patterns["o:opxrd/second_0/pattern_group_0_1.json"]
    assert (two.label.number, two.label.formula, two.label.n_phases) == (136, "TiO2", 2)
    np.testing.assert_array_equal(two.label.cell, [4.594, 4.594, 2.958, 90, 90, 90])


def test_an_unknown_phase_beside_a_known_one_is_counted(tmp_path, rutile):
    x, y = (column.tolist() for column in rutile)
    for name, label in (("a", HALF), ("b", NOTHING)):
        whole = {"two_theta_values": x, "intensities": y, "label": label, "metadata": METADATA}
        (tmp_path / f"{name}.json").write_text(json.dumps(whole))
    _, patterns, _ = collected(tmp_path, tmp_path)
    half, nothing = patterns["o:a.json"].label, patterns["o:b.json"].label
    assert (half.number, half.n_phases, nothing.n_phases) == (136, 2, None)


def test_contributions_are_chosen_and_one_that_is_not_there_is_named(archive, tmp_path):
    counts, _, _ = collected(archive, tmp_path, contributions=["second_0"])
    assert counts["received"] == 3
    with pytest.raises(XtinctError, match=r"patterns\.o\.contributions: .* has no folder 'third_0'"):
        collected(archive, tmp_path, contributions=["second_0", "third_0"])


@pytest.mark.parametrize(
    ("part", "text", "said"),
    [
        ("label", "{", "label: no JSON"),
        ("label", LABEL.replace("136", "236"), "spacegroup 236: expected"),
        ("metadata", [], "metadata: expected named values"),
        ("intensities", "none", "expected two lists of numbers"),
    ],
)
def test_a_damaged_file_says_which_part_is_damaged(part, text, said, rutile, tmp_path):
    x, y = (column.tolist() for column in rutile)
    whole = {"two_theta_values": x, "intensities": y, "label": LABEL, "metadata": METADATA, part: text}
    (tmp_path / "pattern_0.json").write_text(json.dumps(whole))
    collected(tmp_path, tmp_path)
    (row,) = pq.read_table(tmp_path / "out.quarantine.parquet").to_pylist()
    assert row["reason"] == "unreadable"
    assert said in row["detail"]
