"""A folder like a mirror of the COD, of any size: the carried prototypes, with other cells and names.

    python benchmarks/cod/mirror.py cod/cif --entries 20000
    python benchmarks/cod/mirror.py cod/cif --entries 530000 --files 20000

Every entry has a header as the COD writes it, and a table of reflections that brings its file to the size
that is asked for. Of a hundred entries one is marked as a duplicate and one as retracted. With `--files`,
entries beyond so many are further names (hard links) of the files before: enough to plan with, and no place
on the disk.
"""

import argparse
import os
import re
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

PROTOTYPES = Path(__file__).resolve().parents[2] / "data/prototypes/aflow_prototypes.parquet"
_LENGTH = re.compile(r"^(_cell_length_[abc]\s+)([\d.]+)", re.MULTILINE)
_BLOCK = re.compile(r"^data_\S*", re.MULTILINE)
_FIRST = 1000000


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--entries", type=int, default=20000)
    parser.add_argument("--files", type=int, help="different ones; without it all")
    parser.add_argument("--kilobytes", type=float, default=20.0, help="of a file, on the average")
    options = parser.parse_args()
    texts = pq.read_table(PROTOTYPES, columns=["cif"])["cif"].to_pylist()
    files = min(options.files or options.entries, options.entries)
    for number in range(options.entries):
        path = place(options.folder, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        if number >= files:
            os.link(place(options.folder, number % files), path)
            continue
        text = entry(texts[number % len(texts)], number, options.kilobytes)
        path.write_text(text, encoding="utf-8")
    print(f"{options.entries} entries, {files} files", file=sys.stderr)


def place(folder: Path, number: int) -> Path:
    """Where the COD keeps an entry: 1/00/00/1000000.cif."""
    name = str(_FIRST + number)
    return folder / name[0] / name[1:3] / name[3:5] / f"{name}.cif"


def entry(text: str, number: int, kilobytes: float) -> str:
    """A prototype as entry `number`: another cell, another name, and as many reflections as fill the file."""
    random = np.random.default_rng(number)
    scale = random.uniform(0.98, 1.06)
    text = _LENGTH.sub(lambda found: f"{found[1]}{scale * float(found[2]):.5f}", text)
    mark = {1: f"_cod_duplicate_entry {_FIRST}\n", 2: "_cod_error_flag retracted\n"}.get(number % 100, "")
    name = f"data_{_FIRST + number}\n_cod_database_code {_FIRST + number}\n{mark}"
    head = f"#$Revision: {200000 + number} $\n"
    return (
        head
        + _BLOCK.sub(name.rstrip("\n"), text, count=1)
        + _reflections(random, 1000 * kilobytes - len(text))
    )


def _reflections(random, size):
    line = "{:4d} {:3d} {:3d} {:12.2f} {:9.2f} o\n"
    # Files of the COD differ in size by orders of magnitude.
    count = int(max(0.0, size) / 36 * random.exponential())
    hkl = random.integers(-30, 31, (count, 3))
    measured = random.exponential(100.0, (count, 2))
    rows = (line.format(*row, *pair) for row, pair in zip(hkl.tolist(), measured.tolist(), strict=True))
    names = "index_h", "index_k", "index_l", "F_squared_meas", "F_squared_sigma", "observed_status"
    return "\nloop_\n" + "".join(f"_refln_{name}\n" for name in names) + "".join(rows) if count else "\n"


if __name__ == "__main__":
    main()
