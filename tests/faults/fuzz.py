"""Mutated inputs through every reader for some time: `make fuzz`, or `python tests/faults/fuzz.py --help`.

Prints how many inputs each reader read and refused, and keeps every finding: the input in a file of
its own, and beside it what happened. Ends with status 1 if there is any. The same seed gives the same inputs.
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))
# The worker imports the module by its name.
os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])

from mutations import LONGEST, PATIENCE, READERS, Input, Warmed, archives_of, mutated  # noqa: E402

from xtinct.structures.isolated import isolated_map  # noqa: E402
from xtinct.structures.parsing import read_listing  # noqa: E402


def seeds(work: Path, models: Path | None) -> dict[str, list[Input]]:
    """Sound inputs for each kind of reader."""
    rows = pq.read_table(ROOT / "data/prototypes/aflow_prototypes.parquet", columns=["cif"]).to_pylist()
    texts = [row["cif"] for row in rows if len(row["cif"]) < 6000][::8]
    found = {kind: [] for kind in READERS}
    for number, text in enumerate(texts):
        found["structure"].append(Input("structure", f"prototype {number}", text.encode()))
        if number % 3 == 0:
            found["structure"].append(Input("structure", f"poscar {number}", _poscar(text)))
    found["archive"] = archives_of([text.encode() for text in texts[:5]])
    for path in sorted((ROOT / "config").glob("*.yaml")):
        found["configuration"].append(Input("configuration", path.name, path.read_bytes()))
    for path in sorted(models.rglob("card.json")) if models else ():
        found["card"].append(Input("card", str(path.parent.resolve()), path.read_bytes()))
    for path in _measured(work):
        found["measured"].append(Input("measured", path.name, path.read_bytes()))
    return found


def _poscar(cif: str) -> bytes:
    from pymatgen.core import Lattice, Structure

    listing = read_listing(cif)

    lattice = Lattice.from_parameters(*listing.cell)
    return Structure(lattice, listing.symbols, listing.frac).to(fmt="poscar").encode()


def _measured(work: Path) -> Iterator[Path]:
    """Every file that the readers' tests write: each feature of each format; a second run takes them."""
    work.mkdir(parents=True, exist_ok=True)
    folder = work.resolve() / "measured"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}"]
    command += ["-o", "tmp_path_retention_policy=all", "tests/unit/measurements"]
    if not folder.exists():
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    taken = set()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and 0 < path.stat().st_size < LONGEST:
            content = hashlib.sha256(path.read_bytes()).digest()
            if content not in taken:
                taken.add(content)
                yield path


def inputs(found: dict[str, list[Input]], seed: int, kinds: list[str], stop: float) -> Iterator[Input]:
    """Mutated inputs until the time `stop`; long seeds have their turn as often as their length allows."""
    rng = random.Random(seed)
    for kind in kinds:
        yield from found[kind]  # as they are
    # Structures and measured files are what comes from elsewhere most.
    weights = [{"structure": 8, "measured": 8}.get(kind, 1) for kind in kinds]
    # A reader takes as long as its input: 40 short ones tell more than one of 300 kB.
    turns = {kind: list(accumulate(1 / (5000 + len(one.data)) for one in found[kind])) for kind in kinds}
    while time.monotonic() < stop:
        (kind,) = rng.choices(kinds, weights)
        chosen, other = rng.choices(found[kind], cum_weights=turns[kind], k=2)
        yield chosen._replace(data=mutated(rng, chosen.data, other.data))


def main() -> int:
    """Run for some time and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=READERS, default=list(READERS))
    parser.add_argument("--models", type=Path, help="folder of trained models, for their cards")
    parser.add_argument("--out", type=Path, default=Path("fuzz"), help="folder for findings")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    found = seeds(given.out / "seeds", given.models)
    kinds = [kind for kind in given.kinds if found[kind]]
    counts: dict[str, Counter] = {kind: Counter() for kind in kinds}
    signs = Counter()
    stop = time.monotonic() + given.seconds
    for outcome in isolated_map(Warmed(), inputs(found, given.seed, kinds, stop), time_limit=PATIENCE):
        result = outcome.result or f"{outcome.failure}: {outcome.detail}"
        known = result in ("read", "refused")
        counts[outcome.item.kind][result if known else "findings"] += 1
        if not known:
            keep(given.out, outcome.item, result, signs)
    for kind in kinds:
        n = counts[kind]
        print(f"{kind:14} {n.total():8,} inputs: {n['read']:,} read, {n['refused']:,} refused", end=", ")
        print(f"{n['findings']:,} findings", flush=True)
    for sign, count in signs.most_common():
        print(f"{count:6} {sign}")
    return 1 if signs else 0


def keep(out: Path, item: Input, result: str, signs: Counter) -> None:
    """A finding in files; of those with the same last lines only the first five."""
    lines = [line.strip() for line in result.strip().splitlines() if line.strip()]
    place = next((line for line in reversed(lines) if line.startswith("File ")), "")
    sign = f"{item.kind}: {lines[-1][:100]} {place}"
    signs[sign] += 1
    if signs[sign] <= 5:
        name = f"{item.kind}-{hashlib.sha256(item.data).hexdigest()[:12]}"
        (out / name).write_bytes(item.data)
        (out / f"{name}.txt").write_text(f"{item.name}\n{result}\n")


if __name__ == "__main__":
    sys.exit(main())
