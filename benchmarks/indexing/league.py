"""Run an engine on peak lists, and keep what it answered.

    python benchmarks/indexing/league.py ENGINE LISTS.json OUT.json [--program FOLDER] [--most N] [--seed 1]

ENGINE: xtinct, xtinct20, conograph, mcmaille, gsas, rietx; mcmaille_log and
conograph_log read published answers. Lists
are taken in a random order, so that the first N are a fair sample; what OUT.json holds already is kept.
"""

import argparse
import json
import resource
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from engines import ENGINES


def answer(engine, one, program):
    """Lattices, CPU seconds and what went wrong."""
    before = _used()
    try:
        lattices, late = ENGINES[engine](one, program)
        error = "out of time" if late else None
    except Exception as failure:  # an engine's crash is its answer to this list
        lattices, error = [], f"{type(failure).__name__}: {failure}"[:200]
    return {
        "lattices": [[[round(float(x), 5) for x in cell], centring] for cell, centring in lattices],
        "seconds": round(_used() - before, 2),
        "error": error,
    }


def _used():
    mine, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return mine.ru_utime + mine.ru_stime + others.ru_utime + others.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("lists")
    parser.add_argument("out")
    parser.add_argument("--program")
    parser.add_argument("--most", type=int)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    out = Path(options.out)
    done = json.loads(out.read_text()) if out.exists() else {}
    lists = json.loads(Path(options.lists).read_text())
    order = np.random.default_rng(options.seed).permutation(len(lists))[: options.most]
    for i in order:
        one = lists[i]
        if one["name"] in done:
            continue
        done[one["name"]] = answer(options.engine, one, options.program)
        out.write_text(json.dumps(done, indent=0) + "\n")


if __name__ == "__main__":
    main()
