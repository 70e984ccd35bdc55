"""What is counted of answers on measured patterns, and what an answer to a simulated measurement becomes."""

import json
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xtinct.auditing.pattern_sets import LabelledMeasurement, PatternLabel, labelled_measurements
from xtinct.auditing.pattern_sources import collect_patterns
from xtinct.errors import XtinctError
from xtinct.evaluation import measured_answers
from xtinct.evaluation.measured_answers import (
    METHODS,
    MeasuredAnswer,
    MeasuredTest,
    judge_measured,
    records_of,
    truth,
)
from xtinct.files.parquet import write_parquet
from xtinct.files.schema import AUDIT, MEASURED_PREDICTIONS
from xtinct.joint.identification import Identification
from xtinct.measurements import Measurement, radiation_of
from xtinct.observer.indexing.candidates import candidates
from xtinct.observer.observe import observe, peaks_of
from xtinct.observer.simulation import Settings, simulate_measurement
from xtinct.sources.given import standard_of
from xtinct.symmetry.classes import class_symbol

CUBE = np.array([4.0, 4.0, 4.0, 90.0, 90.0, 90.0])


def labelled(name, number, laboratory="a", system=None):
    x = np.linspace(10, 80, 100)
    m = Measurement(x, x, None, radiation_of(1.5406), name=name)
    cell = CUBE if number else None
    return LabelledMeasurement(name, laboratory, m, PatternLabel(number, system, cell, "NaCl"))


class Said:
    """An answer with given probabilities of space groups, and no lattice."""

    def __init__(self, groups):
        self.groups = dict(sorted(groups.items(), key=lambda x: -x[1]))
        self.observation = type("Lattices", (), {"lattices": []})

    def summed(self, of):
        sums = {}
        for number, p in self.groups.items():
            sums[of(number)] = sums.get(of(number), 0) + p
        return dict(sorted(sums.items(), key=lambda x: -x[1]))

    @property
    def systems(self):
        return self.summed(lambda n: "cubic" if n > 194 else "tetragonal")

    families = systems

    @property
    def bravais_lattices(self):
        return self.summed(lambda n: {225: "cF", 221: "cP"}.get(n, "tP"))

    @property
    def classes(self):
        return self.summed(lambda n: ("cubic" if n > 194 else "tetragonal", class_symbol(n)))

    @property
    def class_set(self):
        return list(self.classes)[:1]


def answer(number, groups, laboratory="a", system=None, seconds=1.0):
    said = None if groups is None else Said(groups)
    pattern = labelled("p", number, laboratory, system)
    return MeasuredAnswer(pattern, said, "" if groups else "no peaks", seconds, known=True)


def of(records, target, laboratory="all"):
    (found,) = (r for r in records if r["target"] == target and r["laboratory"] == laboratory)
    return found


def test_shares_are_counted_by_hand():
    answers = [
        answer(225, {225: 0.95, 123: 0.05}),
        answer(225, {123: 0.6, 225: 0.4}),
        answer(221, {225: 0.7, 221: 0.3}, "b", seconds=3.0),
        answer(225, None, "b", seconds=2.0),  # without an answer: wrong
        answer(None, {221: 0.5, 225: 0.3, 123: 0.2}, "b", "cubic"),
    ]
    records = records_of("set", "index", answers)
    system = of(records, "crystal_system")
    assert (system["n"], system["failed"], system["top1"]) == (5, 1, 3 / 5)
    assert system["top2"] == 4 / 5
    group = of(records, "spacegroup")
    # The fifth label says no group.
    assert (group["n"], group["top1"], group["top2"]) == (4, 1 / 4, 3 / 4)
    assert group["top1_low"] < 1 / 4 < group["top1_high"]
    assert (group["sure_n"], group["sure_right"], group["sure"]) == (1, 1, 1 / 4)
    # |1 - .95|, |0 - .6|, |0 - .7| in bins of their own, of three with an answer.
    assert group["ece"] == pytest.approx((0.05 + 0.6 + 0.7) / 3)
    assert of(records, "extinction_class")["held"] == 1 / 4
    assert {record["set"] for record in records} == {"set"}
    assert of(records, "bravais")["lattice"] == 0
    assert group["seconds"] == 1.5
    # F m -3 m on its lattice: one class of five groups, all alike.
    assert of(records, "spacegroup", "a")["ceiling1"] == pytest.approx(1 / 5)
    assert of(records, "extinction_class", "a")["ceiling1"] == 1
    assert of(records, "extinction_class", "a")["counted1"] is None
    assert of(records, "spacegroup", "a")["n"] == 2
    assert of(records, "crystal_system", "b")["n"] == 3
    assert records_of("set", "index", [])[0] == {
        "set": "set",
        "method": "index",
        "laboratory": "all",
        "target": "crystal_system",
        "confidence": 0.95,
        "n": 0,
    }


def test_what_a_label_says():
    assert truth(labelled("p", 167), "crystal_system") == "trigonal"
    assert truth(labelled("p", 167), "family") == "trigonal-hexagonal"
    assert truth(labelled("p", 167), "bravais") == "hR"
    assert truth(labelled("p", None, system="hexagonal"), "family") == "trigonal-hexagonal"
    assert truth(labelled("p", None, system="hexagonal"), "spacegroup") is None
    assert truth(labelled("p", None), "crystal_system") is None


@pytest.fixture(scope="module")
def judged(known_structures, tmp_path_factory):
    """A simulated measurement of a known structure, and one that did not pass, judged."""
    folder = tmp_path_factory.mktemp("measured")
    rows = pq.read_table(known_structures / "structures.parquet").to_pylist()
    row = next(x for x in rows if x["crystal_system"] == "tetragonal" and x["n_sites"] <= 8)
    crystal = standard_of(row["cif"])
    pattern = simulate_measurement(
        crystal, 3, Settings(counts=(20_000.0, 20_001.0), textured=0, second_phase=0)
    )
    given = {
        "two_theta": pattern.two_theta.tolist(),
        "intensity": pattern.intensity.tolist(),
        "wavelength": pattern.radiation.wavelength,
        "spacegroup_number": crystal.number,
        "formula": row["formula"],
        **dict(zip(("a", "b", "c", "alpha", "beta", "gamma"), map(float, crystal.crystal.cell), strict=True)),
    }
    table = folder / "given.parquet"
    pq.write_table(pa.Table.from_pylist([{"id": name, **given} for name in ("good", "bad")]), table)
    patterns, audit = folder / "patterns.parquet", folder / "audit.parquet"
    collect_patterns("mine", {"kind": "table", "path": str(table)}, patterns, folder / "quarantine.parquet")
    figures = {"points": 1, "two_theta_min": 0.0, "two_theta_max": 1.0, "turning": 1.0}
    said = {"laboratory": "mine", "reasons": [], "detail": ""}
    figures |= {"class_ceiling": 0.75, "group_ceiling": 0.25}
    verdicts = [
        dict.fromkeys(AUDIT.names) | figures | said | {"pattern_id": f"mine:{name}", "verdict": verdict}
        for name, verdict in (("good", "pass"), ("bad", "reject"))
    ]
    write_parquet(audit, [pa.Table.from_pylist(verdicts, schema=AUDIT)], AUDIT)
    return folder, MeasuredTest("mine", patterns, audit, known_structures / "table.parquet"), crystal


def test_a_known_crystal_is_named_and_a_rejected_pattern_is_not_asked(judged):
    folder, test, crystal = judged
    files = {method: (folder / f"{method}.json", folder / f"{method}.parquet") for method in METHODS}
    both = judge_measured(test, files)
    assert all(json.loads(files[method][0].read_text()) == both[method] for method in METHODS)
    # Peaks are found once; each method still answers alone as it does here.
    (alone,) = pq.read_table(files["index"][1]).to_pylist()
    (pattern,) = labelled_measurements(test.patterns, test.audit)
    answer = Identification(observe(pattern.measurement), None)
    assert alone["systems"][0] == next(iter(answer.systems))
    assert alone["system_probabilities"][0] == round(answer.systems[alone["systems"][0]], 6)
    assert {record["failed"] for record in both["index"]} == {0}
    records = both["predict"]
    assert {record["laboratory"] for record in records} == {"mine"}
    assert {record["n"] for record in records} == {1}
    assert of(records, "crystal_system", "mine")["top1"] == 1
    assert of(records, "bravais", "mine")["lattice"] == 1
    assert of(records, "spacegroup", "mine")["known"] == 1
    # Of the audit.
    assert of(records, "extinction_class", "mine")["counted1"] == 0.75
    assert of(records, "spacegroup", "mine")["counted1"] == 0.25
    (row,) = pq.read_table(files["predict"][1]).to_pylist()
    assert pq.read_schema(files["predict"][1]).names == MEASURED_PREDICTIONS.names
    assert (row["pattern_id"], row["spacegroup_number"], row["lattice_right"]) == (
        "mine:good",
        crystal.number,
        True,
    )
    assert row["systems"][0] == "tetragonal"
    assert row["known"]


def test_what_methods_share_is_done_once_and_counts_for_each(judged, monkeypatch, tmp_path):
    _, test, _ = judged
    found, searched = [], []

    def search(*asked):
        searched.append(asked)
        time.sleep(0.5)
        return candidates(*asked)

    monkeypatch.setattr(measured_answers, "peaks_of", lambda m: found.append(m) or peaks_of(m))
    monkeypatch.setattr(measured_answers, "candidates", search)
    both = judge_measured(test, {m: (tmp_path / f"{m}.json", tmp_path / f"{m}.parquet") for m in METHODS})
    assert len(found) == len(searched) == 1
    assert all(records[0]["seconds"] > 0.5 for records in both.values())


def test_an_unknown_method_is_named(judged):
    folder, test, _ = judged
    with pytest.raises(XtinctError, match="method 'guess': expected one of index, predict"):
        judge_measured(test, {"guess": (folder / "x.json", folder / "x.parquet")})
