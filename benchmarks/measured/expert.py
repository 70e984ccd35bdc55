"""Does a network add anything to observer and recognition? Its log posterior as a third expert.

    python benchmarks/measured/expert.py COLLECTED.pickle ANSWERS.npz [--setting all|own|type]
        [--weights 0,0.1,0.2,0.3,0.5,1]

COLLECTED is of `benchmarks/joint/collect.py`. ANSWERS has arrays ids (n,), groups (230,), posterior (n, 230)
of a network and prior (230,), its frequencies in training. The joint posterior of space groups is multiplied
with the network's to a power, and with the frequencies alone to the same power: what these add is no reading
of the pattern.
"""

import argparse
import pickle
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "joint"))
from weights import design, groups_of

from xtinct.observer.judging.weighing import SUGGESTED
from xtinct.scores.levels import TrueSymmetry, level_records, summed

GROUPS = np.arange(1, 231)


def joint(record):
    """Posterior of the space groups, float64 (230,), as `xtinct predict` weighs it."""
    if "figures" not in record:
        return np.full(230, 1 / 230)
    weights = np.array([*SUGGESTED.candidate, *SUGGESTED.suggestion, *SUGGESTED.none])
    x, _ = design(record)
    share = np.exp(x @ weights - (x @ weights).max())
    found = groups_of(record, share / share.sum(), SUGGESTED.temper, SUGGESTED.votes)
    return np.array([found[int(group)] for group in GROUPS])


def product(posterior, other, power):
    """The normalised product of (n, 230) and another to a power."""
    logarithm = np.log(posterior + 1e-6) + power * np.log(np.maximum(other, 1e-8))
    found = np.exp(logarithm - logarithm.max(axis=1, keepdims=True))
    return found / found.sum(axis=1, keepdims=True)


def log_loss(posterior, truth, level):
    names, by_name = summed(GROUPS, posterior, level)
    rows = [names.index(name) for name in truth.names(level)]
    return -np.log(by_name[np.arange(len(rows)), rows] + 1e-6).mean()


def line(title, posterior, truth):
    parts = []
    for record in level_records(GROUPS, posterior, truth):
        if record["target"] in ("family", "extinction_class", "spacegroup"):
            loss = log_loss(posterior, truth, record["target"])
            parts.append(
                f"{record['target']} {record['top1']:.3f} "
                f"({record['top1_low']:.2f}-{record['top1_high']:.2f}) "
                f"top-5 {record.get('top5', 1):.2f} log loss {loss:.3f}"
            )
    print(f"{title:28s} n = {len(posterior)}  " + "; ".join(parts))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("collected", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--setting", default="type", choices=("all", "own", "type"))
    parser.add_argument("--weights", default="0,0.1,0.2,0.3,0.5,1")
    options = parser.parse_args()
    answers = np.load(options.answers)
    row = {name: i for i, name in enumerate(answers["ids"].tolist())}
    records = [r for r in pickle.loads(options.collected.read_bytes()) if r["setting"] == options.setting]
    records = [r for r in records if r["id"] in row]
    truth = TrueSymmetry([int(r["number"]) for r in records], [None] * len(records))
    found = np.array([joint(r) for r in records])
    network = answers["posterior"][[row[r["id"]] for r in records]]
    frequencies = np.tile(answers["prior"] / answers["prior"].sum(), (len(records), 1))
    line("network alone", network, truth)
    for weight in map(float, options.weights.split(",")):
        line(f"joint, network ^ {weight:g}", product(found, network, weight), truth)
        if weight:
            line(f"joint, frequencies ^ {weight:g}", product(found, frequencies, weight), truth)


if __name__ == "__main__":
    main()
