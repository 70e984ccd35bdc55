"""Inputs led by the code that they reach: `python tests/faults/guided.py KIND [options of libFuzzer]`.

The readers of fuzz.py under libFuzzer (atheris, https://github.com/google/atheris: `pip install atheris`): an
input that reaches lines that none before it reached becomes a seed. KIND is one of mutations.READERS. Ends by
itself with -max_total_time=SECONDS or -runs=NUMBER. Findings are kept as files, as fuzz.py keeps them.
"""

import importlib
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path

import atheris

#: What is watched; modules with compiled functions cannot be.
WATCHED = {
    "structure": ["xtinct.structures", "xtinct.sources.archives", "xtinct.symmetry"],
    "measured": ["xtinct.measurements", "xtinct.radiation"],
    "archive": ["xtinct.sources"],
    "configuration": ["xtinct.project"],
}
COMPILED = ["xtinct.structures.filling", "xtinct.structures.distances"]
STARTED = {
    "structure": ["xtinct.structures.cleaning", "xtinct.sources.archives"],
    "measured": ["xtinct.measurements.reading"],
    "archive": ["xtinct.sources.archives"],
    "configuration": ["xtinct.project.configuration"],
}


# Before anything else loads them.
with atheris.instrument_imports(include=WATCHED[sys.argv[1]], exclude=COMPILED):
    for module in STARTED[sys.argv[1]]:
        importlib.import_module(module)

from fuzz import keep, seeds  # noqa: E402
from mutations import LONGEST, Input, examined, mutated  # noqa: E402


class Harness:
    """One kind of reader. An input is the name of its seed, a null byte, and the bytes that are read."""

    def __init__(self, kind: str, out: Path) -> None:
        self.kind = kind
        self.out = out
        self.counts, self.signs = Counter(), Counter()

    def examine(self, data: bytes) -> None:
        """Read one input; a finding is kept, and the next one taken."""
        name, _, content = data.partition(b"\0")
        given = Input(self.kind, name.decode(errors="replace").replace("/", "_")[:60] or "x", content)
        result = examined(given)
        known = result in ("read", "refused")
        self.counts[result if known else "findings"] += 1
        if not known:
            keep(self.out, given, result, self.signs)
        if self.counts.total() % 200 == 0:
            self.report()

    def report(self) -> None:
        """Write down how many inputs there were."""
        text = json.dumps({"kind": self.kind, **self.counts, "signs": self.signs})
        (self.out / f"counts-{self.kind}-{os.getpid()}.json").write_text(text)


def changed(data: bytes, size: int, seed: int) -> bytes:
    """Half by the changes of fuzz.py, half by those of libFuzzer; the name stays."""
    name, _, content = data.partition(b"\0")
    rng = random.Random(seed)
    content = mutated(rng, content, content) if rng.random() < 0.5 else atheris.Mutate(content, LONGEST)
    return (name + b"\0" + content)[:size]


def main() -> None:
    """Seeds into a folder, then libFuzzer."""
    kind, out = sys.argv[1], Path("fuzz")
    corpus = out / f"corpus-{kind}"
    if not corpus.exists():
        corpus.mkdir(parents=True)
        for number, one in enumerate(seeds(out / "seeds", None)[kind]):
            (corpus / f"seed{number}").write_bytes(one.name.encode() + b"\0" + one.data)
    harness = Harness(kind, out)
    options = [f"-artifact_prefix={out}/{kind}-", f"-max_len={LONGEST}", "-timeout=10", "-rss_limit_mb=3000"]
    atheris.Setup(
        [sys.argv[0], str(corpus), *options, *sys.argv[2:]], harness.examine, custom_mutator=changed
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
