"""What observer and recognition say of patterns with known cells, stored so that they can be weighed.

    python benchmarks/joint/collect.py TABLE.parquet OUT.pickle --patterns PATTERNS.parquet
        [--source NAME ...] [--rows even|odd|all]
    python benchmarks/joint/collect.py TABLE.parquet OUT.pickle --structures STRUCTURES.parquet
        [--per-system 12] [--seed 1] [--other]

For each pattern and each setting (all: whole table; own: the sample's composition left out; type: its
structure type left out) the candidates of the observer and those that recognition suggests are judged on the
whole pattern. Columns of the tables as `benchmarks/recognition/evaluate.py` says.
"""

import argparse
import pickle
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "recognition"))
sys.path.append(str(Path(__file__).resolve().parent.parent / "observer"))
from simulated import OTHER
from truth import Truth
from weights import strained

from xtinct.errors import XtinctError
from xtinct.joint.identifying import told_by
from xtinct.lattices.bravais import reduced, same
from xtinct.measurements import radiation_of
from xtinct.observer.final_fit import fitted_to_the_end
from xtinct.observer.judging.court import Court
from xtinct.observer.judging.mixture import second_phase
from xtinct.observer.judging.weighing import (
    SUGGESTED,
    Beside,
    figures,
    none_of_them,
    probabilities,
    suggestions,
)
from xtinct.observer.peaks.radiation_found import find
from xtinct.observer.question import Question
from xtinct.observer.simulation import Settings, simulate_measurement
from xtinct.observer.weighed_lattices import with_suggestions, worth_fitting
from xtinct.recognition.known_structures import load_table
from xtinct.recognition.recognising import recognise_targets
from xtinct.recognition.targets import targets_of
from xtinct.sources.given import standard_of
from xtinct.symmetry.families import CRYSTAL_SYSTEMS, family_of
from xtinct.symmetry.operations import centring

#: Largest cell that is drawn, cubic angstrom.
LARGEST = 3000.0
_CELL = ("a", "b", "c", "alpha", "beta", "gamma")
SETTINGS = ("all", "own", "type")
#: Candidates that are fitted to the end: so many of the most probable, of this probability at least.
_FITTED, _WORTH = 4, 0.02


def radiation(row):
    if "simulated" in row:
        return row["simulated"]
    told = row["wavelength"]
    return radiation_of(told if told and np.isfinite(told) else "Cu")


def collected(row, truth):
    """One record for each setting: figures, what is right, class posteriors of the candidates, votes."""
    number = int(row["spacegroup_number"])
    cell = np.array([row[name] for name in _CELL], dtype=np.float64)
    true = reduced(cell, centring(number))
    base = {"id": row["id"], "source": row.get("source", "simulated"), "number": number}
    begun = time.process_time()
    points = (np.array(row[name], dtype=np.float64) for name in ("two_theta", "intensity"))
    found = find(*points, radiation(row))
    if len(found.peaks) < 3:
        return [{**base, "setting": s, "error": "few peaks"} for s in SETTINGS]
    own = worth_fitting(found, Question())
    indexed = time.process_time() - begun
    targets = targets_of(found)
    records, judged, fitted, court = [], {}, {}, None
    for setting in SETTINGS:
        begun = time.process_time()
        rows = truth.rows(setting, row["formula"], number, cell, row.get("entry"))
        try:
            question = told_by(recognise_targets(truth.table, targets, rows), Question())
        except XtinctError:
            question = Question()
        trust, votes = question.trust, question.votes
        pool = with_suggestions(own, found, question)
        if not pool:
            records.append({**base, "setting": setting, "error": "no candidate"})
            continue
        # One range for all settings, so that what is judged once is judged.
        court = court or Court.of(found, pool)
        ruled = []
        for one in pool:
            key = (one.family, one.metric.tobytes(), one.centring)
            if key not in judged:
                judged[key] = court.judge(one)
            if judged[key] is not None:
                ruled.append(_marked(judged[key], one.suggestion))
        if not ruled:
            records.append({**base, "setting": setting, "error": "none judged"})
            continue
        first = max(ruled, key=lambda x: x.candidate.score)
        second = second_phase(court.left_over(first), found.peaks, Question().families)
        beside = Beside(second.score if second else None, trust)
        right = np.array([same(one.reduced, true) for one in ruled])
        family = np.array([one.candidate.family == family_of(number) for one in ruled])
        records.append(
            {
                **base,
                "setting": setting,
                "figures": figures(ruled),
                "suggestions": suggestions(ruled, trust),
                "none": none_of_them(ruled, len(found.peaks)),
                "second": second.score if second else None,
                "first": ruled.index(first),
                "right": right,
                "families": [one.candidate.family for one in ruled],
                "family_right": family,
                "classes": [_by_group(one.posterior) for one in ruled],
                "final": _fitted(found, ruled, beside, fitted),
                "votes": votes,
                "trust": trust,
                "seconds": (indexed, time.process_time() - begun),
            }
        )
    return records


def _by_group(posterior):
    return dict(zip(map(int, posterior.groups), posterior.group_probability, strict=True))


def _fitted(found, ruled, beside, known):
    """Group posteriors of the last fits of the candidates that deserve one, None for the others."""
    share, _ = probabilities(ruled, len(found.peaks), SUGGESTED, beside)
    out = [None] * len(ruled)
    for i in np.argsort(-share, kind="stable")[:_FITTED]:
        one = ruled[i].candidate
        key = (one.family, one.metric.tobytes(), one.centring)
        if share[i] > _WORTH:
            if key not in known:
                known[key] = _by_group(fitted_to_the_end(found, ruled[i], Question())[1])
            out[i] = known[key]
    return out


def _marked(judged, suggestion):
    return replace(judged, candidate=replace(judged.candidate, suggestion=suggestion))


def measured_options(description):
    """What is said to a script that asks a table of known structures about measured patterns."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--patterns", type=Path, required=True)
    parser.add_argument("--source", action="append")
    parser.add_argument("--rows", choices=["all", "even", "odd"], default="all")
    return parser.parse_args()


def measured_rows(options):
    """Patterns with a known cell and group."""
    rows = [
        r
        for r in pq.read_table(options.patterns).to_pylist()
        if all(r[x] is not None and np.isfinite(r[x]) for x in ("a", "spacegroup_number"))
        and (not options.source or r["source"] in options.source)
    ]
    return {"all": rows, "even": rows[::2], "odd": rows[1::2]}[options.rows]


def simulated_rows(options, truth):
    """Measurements of crystals of the table, drawn per crystal system, strained as `weights.py` says."""
    structures = pq.read_table(options.structures, columns=["material_id", "cif"])
    cifs = dict(zip(*(structures[name].to_pylist() for name in ("material_id", "cif")), strict=True))
    table, random = truth.table, np.random.default_rng([options.seed, 7])
    volumes = np.prod(table.cells[:, :3], axis=1)
    drawn = []
    for first, last in CRYSTAL_SYSTEMS.values():
        own = (table.numbers >= first) & (table.numbers <= last) & (volumes < LARGEST)
        drawn += list(random.permutation(np.flatnonzero(own))[: options.per_system])
    for row in random.permutation(drawn):
        try:
            name = table.names([row])[0]["structure_id"]
            crystal = strained(standard_of(cifs[name]), random)
            other = standard_of(cifs[table.names([random.integers(len(table))])[0]["structure_id"]])
            number = int(random.integers(1 << 30))
            settings = OTHER if options.other else Settings(counts=(200.0, 1e5))
            pattern = simulate_measurement(crystal, number, settings, second=other)
        except XtinctError as error:
            print(error, file=sys.stderr)
            continue
        yield {
            "id": name,
            "source": "simulated",
            "formula": pattern.truth.formula,
            "spacegroup_number": crystal.number,
            "two_theta": pattern.two_theta,
            "intensity": pattern.intensity,
            "simulated": pattern.radiation,
            "entry": int(row),
            **dict(zip(_CELL, crystal.crystal.cell, strict=True)),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--patterns", type=Path)
    parser.add_argument("--source", action="append")
    parser.add_argument("--rows", choices=["all", "even", "odd"], default="all")
    parser.add_argument("--structures", type=Path)
    parser.add_argument("--per-system", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--other", action="store_true", help="as other laboratories measure")
    options = parser.parse_args()
    truth = Truth(load_table(options.table))
    records = []
    for row in measured_rows(options) if options.patterns else simulated_rows(options, truth):
        try:
            records += collected(row, truth)
        except XtinctError as error:
            about = {"id": row["id"], "source": row["source"], "number": int(row["spacegroup_number"])}
            records += [{**about, "setting": s, "error": str(error)} for s in SETTINGS]
        options.out.write_bytes(pickle.dumps(records))
        right = [bool(np.any(r["right"])) if "right" in r else r["error"] for r in records[-3:]]
        print(row["id"], *right, flush=True)


if __name__ == "__main__":
    main()
