"""Build a set of simulated measurements of crystals, equally many of each crystal system.

    python benchmarks/observer/simulated.py STRUCTURES.parquet OUT.parquet [--per-system 30] [--seed 1]
        [--largest 2500] [--other]

With --other the patterns are those of other laboratories: other tubes and ranges, broad and uneven peaks,
more processing, and in more than half of them a second phase whose highest peak has 5 to 30 % of the first's.
STRUCTURES has the columns cif, formula, a .. gamma of the conventional cell, and the space group in
`spacegroup_number` (or `spacegroup_symprec_0p01`). Within a system crystals are drawn as they come, so groups
are as frequent as there. OUT has a row per pattern: two_theta, intensity, wavelength, second, ratio, what it
is of, and the setup as JSON. Structures that cannot be used are counted by reason.
"""

import argparse
import json
import sys
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from xtinct.errors import XtinctError
from xtinct.files.parquet import write_parquet
from xtinct.observer.simulation import Settings, as_plain, simulate_measurement
from xtinct.randomness import stream_key
from xtinct.sources.given import standard_of
from xtinct.symmetry.families import CRYSTAL_SYSTEMS

CELL = ("a", "b", "c", "alpha", "beta", "gamma")
GROUP = "spacegroup_number", "spacegroup_symprec_0p01"
OTHER = Settings(
    anodes=("Cu", "Cu", "Co"),
    first=(5.0, 20.0),
    last=(60.0, 110.0),
    fwhm=(0.06, 0.5),
    counts=(200.0, 50_000.0),
    foreign_lines=0.15,
    second_phase=0.6,
    foreign=(0.05, 0.3),
    processed=0.6,
    uneven=0.25,
)
SCHEMA = pa.schema(
    [
        ("seed", pa.int64()),
        ("system", pa.string()),
        ("row", pa.int64()),
        ("formula", pa.string()),
        ("spacegroup_number", pa.int64()),
        *((name, pa.float64()) for name in CELL),
        ("wavelength", pa.float64()),
        ("second", pa.float64()),
        ("ratio", pa.float64()),
        ("two_theta", pa.list_(pa.float64())),
        ("intensity", pa.list_(pa.float64())),
        ("d_star", pa.list_(pa.float64())),
        ("height", pa.list_(pa.float64())),
        ("settings", pa.string()),
    ]
)


def candidates(table, largest):
    """System -> rows of structures whose cell is not too large."""
    name = next((name for name in GROUP if name in table.column_names), None)
    if name is None:
        raise XtinctError(f"structures: no column {' or '.join(GROUP)}")
    groups = table[name].to_numpy()
    cell = np.array([table[axis].to_numpy() for axis in CELL])
    x, y, z = np.cos(np.radians(cell[3:]))
    volume = cell[:3].prod(axis=0) * np.sqrt(1 - x**2 - y**2 - z**2 + 2 * x * y * z)
    return {
        system: np.flatnonzero((groups >= first) & (groups <= last) & (volume <= largest))
        for system, (first, last) in CRYSTAL_SYSTEMS.items()
    }


def row_of(table, at, other, seed, system, settings):
    crystal = standard_of(table["cif"][int(at)].as_py())
    second = standard_of(table["cif"][int(other)].as_py())
    pattern = simulate_measurement(crystal, seed, settings, second=second)
    truth = pattern.truth
    return {
        "seed": seed,
        "system": system,
        "row": int(at),
        "formula": truth.formula,
        "spacegroup_number": truth.number,
        **dict(zip(CELL, truth.cell.tolist(), strict=True)),
        "wavelength": pattern.radiation.wavelength,
        "second": pattern.radiation.second,
        "ratio": pattern.radiation.ratio,
        "two_theta": pattern.two_theta,
        "intensity": pattern.intensity,
        "d_star": truth.d_star,
        "height": truth.height,
        "settings": json.dumps(as_plain(truth.setup)),
    }


def build(table, per_system, seed, largest, settings):
    rows, refused = [], Counter()
    for system, choice in candidates(table, largest).items():
        random = np.random.default_rng(int(stream_key(seed, "simulated", system)))
        order = random.permutation(choice)
        found = 0
        for at in order:
            if found == per_system:
                break
            number = int(stream_key(seed, system, found) >> np.uint64(33))
            try:
                rows.append(row_of(table, at, random.choice(choice), number, system, settings))
                found += 1
            except XtinctError as error:
                refused[str(error).split(":")[1].strip()] += 1
        if found < per_system:
            raise XtinctError(f"structures: {found} usable {system} ones, {per_system} wanted")
    return rows, refused


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("structures")
    parser.add_argument("out")
    parser.add_argument("--per-system", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--largest", type=float, default=2500.0, help="volume of a cell, cubic angstrom")
    parser.add_argument("--other", action="store_true", help="as other laboratories measure")
    options = parser.parse_args()
    settings = OTHER if options.other else Settings()
    rows, refused = build(
        pq.read_table(options.structures), options.per_system, options.seed, options.largest, settings
    )
    write_parquet(options.out, [pa.Table.from_pylist(rows, schema=SCHEMA)], SCHEMA)
    print(f"{len(rows)} patterns", *(f"{n} refused: {reason}" for reason, n in refused.items()), sep="\n")


if __name__ == "__main__":
    try:
        main()
    except XtinctError as error:
        sys.exit(str(error))
