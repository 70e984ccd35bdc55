"""What another laboratory's network answered to the scans that we asked too, beside our answers.

    python benchmarks/measured/compare_published.py nist.csv
        [--published RRUFF325.json --groups GROUPS.csv --collected COLLECTED.pickle ...]

Prints, of the scans in nist.csv, how often the extinction class is right. With the three options nist.csv is
written first. RRUFF325.json and GROUPS.csv are results/reviewer/rruff325_precomputed_inference.json and
assets/lookups/FINAL_SPG_ExtG_CrysS_Table.csv of the repository scattering/paper-ai-diffraction; COLLECTED is
of `benchmarks/joint/collect.py`. No spectrum is read.
"""

import argparse
import csv
import json
import pickle
import sys
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "joint"))
from weights import answered

from xtinct.observer.judging.weighing import SUGGESTED
from xtinct.scores.levels import LEVELS
from xtinct.scores.metrics import wilson_interval
from xtinct.symmetry.families import N_SPACE_GROUPS

OURS = Path(__file__).resolve().parent / "rruff.csv"
SETTINGS = ("all", "own", "type")
ANSWERS = ("nist", *SETTINGS)
COLUMNS = (
    "rruff_id",
    "mineral",
    "part",
    "space_group",
    "class",
    "nist_group",
    "our_group_in_nist_numbers",
    "nist_first_five",
    *ANSWERS,
)
class_of = LEVELS["extinction_class"]


def read_rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def read_groups(path):
    """{space group: number of their extinction group}, and {that number: names of our classes in it}."""
    number = {int(row["Space Group"]): int(row["Extinction Group"]) for row in read_rows(path)}
    if sorted(number) != list(range(1, N_SPACE_GROUPS + 1)):
        sys.exit(f"{path}: has {len(number)} space groups, expected each of 1 to {N_SPACE_GROUPS} once")
    classes = {}
    for group, theirs in number.items():
        classes.setdefault(theirs, set()).add(class_of(group))
    several = {theirs: sorted(names) for theirs, names in classes.items() if len(names) > 1}
    if several:
        sys.exit(f"{path}: these extinction groups hold several classes, so they name none: {several}")
    return number, {theirs: names.pop() for theirs, names in classes.items()}


def verdict(place):
    """`top-1`, `top-5` or `no` of the place of the true class, from 0; None: not answered."""
    if place is None or place >= 5:
        return "no"
    return "top-1" if place == 0 else "top-5"


def place_among(true, answer, classes):
    """Place of the class of their group `true` among the classes of the groups `answer`; None: not there."""
    named = list(dict.fromkeys(classes[one] for one in answer))
    return named.index(classes[true]) if classes[true] in named else None


def our_verdicts(paths):
    """{(scan, setting): verdict} of the class that `xtinct predict` names."""
    weights = np.array([*SUGGESTED.candidate, *SUGGESTED.suggestion, *SUGGESTED.none])
    out = {}
    for record in (one for path in paths for one in pickle.loads(path.read_bytes())):
        place = None
        if "figures" in record:
            first, _, five = answered(record, weights, SUGGESTED.temper, SUGGESTED.votes)["class"]
            place = 0 if first else 1 if five else None
        out[record["id"], record["setting"]] = verdict(place)
    return out


def published_verdicts(path, classes):
    """{scan: (case, verdict in our classes)} of every published answer, and a line about all of them."""
    cases = json.loads(path.read_text())["examples"]
    found = {}
    for case in cases:
        scan = case["case_id"].split("__")[1]
        if scan in found:
            sys.exit(f"{path}: scan {scan} stands there twice")
        found[scan] = case, verdict(place_among(case["true_eg"], case["top5_eg"], classes))
    print(f"published: {line([one for _, one in found.values()])}")
    truth = Counter(classes[case["true_eg"]] for case in cases)
    named = Counter(classes[case["top5_eg"][0]] for case in cases)
    print(f"  named first: {named.most_common()}")
    print(f"  the five most frequent true classes: {truth.most_common(5)}")
    return found


def write(out, options):
    number, classes = read_groups(options.groups)
    published = published_verdicts(options.published, classes)
    ours = our_verdicts(options.collected)
    with out.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in read_rows(OURS):
            scan, group = row["rruff_id"], int(row["space_group"])
            if scan not in published:
                continue
            case, theirs = published[scan]
            writer.writerow(
                {
                    **{name: row[name] for name in ("rruff_id", "part", "space_group")},
                    "mineral": case["mineral"],
                    "class": class_of(group),
                    "nist_group": case["true_eg"],
                    "our_group_in_nist_numbers": number[group],
                    "nist_first_five": " ".join(map(str, case["top5_eg"])),
                    "nist": theirs,
                    **{setting: ours[scan, setting] for setting in SETTINGS},
                }
            )


def line(verdicts):
    """Shares with Wilson's intervals of the verdicts of n scans."""
    n, parts = len(verdicts), []
    for name, counted in (("top-1", ("top-1",)), ("top-5", ("top-1", "top-5"))):
        right = sum(one in counted for one in verdicts)
        low, high = wilson_interval(right, n)
        parts.append(f"{name} {right}/{n} = {right / n:.2f} ({low:.2f}-{high:.2f})")
    return ", ".join(parts)


def show(rows, title):
    print(f"{title}: {len(rows)} scans")
    for answer in ANSWERS:
        print(f"  {answer:5s} {line([row[answer] for row in rows])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--published", type=Path)
    parser.add_argument("--groups", type=Path)
    parser.add_argument("--collected", type=Path, nargs="+")
    options = parser.parse_args()
    given = [options.published, options.groups, options.collected]
    if any(given):
        if not all(given):
            parser.error("--published, --groups and --collected belong together")
        write(options.table, options)
    rows = read_rows(options.table)
    same = sum(row["nist_group"] == row["our_group_in_nist_numbers"] for row in rows)
    print(f"labels agree: {same} of {len(rows)}")
    show(rows, "shared")
    show([row for row in rows if row["part"] == "test"], "shared, not tuned on")


if __name__ == "__main__":
    main()
