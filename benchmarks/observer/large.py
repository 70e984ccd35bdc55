"""Build a set of simulated measurements of crystals with large cells, for `evaluate.py`.

    python benchmarks/observer/large.py STRUCTURES.parquet OUT.parquet [--each 8] [--seed 1]

Of every family of low symmetry and every instrument `each` patterns, their volumes spread evenly (in the
logarithm) up to 10,000 cubic angstrom; in turn of a crystal of the table whose volume is about that, and of a
random cell of random atoms. STRUCTURES has the columns that `simulated.py` reads. Sources of OUT are named by
family and instrument.
"""

import argparse
import json
import sys
from dataclasses import replace

import gemmi
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from simulated import CELL, candidates

from xtinct.errors import XtinctError
from xtinct.files.parquet import write_parquet
from xtinct.lattices.bravais import lifted, reduced
from xtinct.observer.simulation import Settings, as_plain, draw_setup, measure
from xtinct.randomness import stream_key
from xtinct.sources.given import standard_of
from xtinct.symmetry.families import family_of
from xtinct.symmetry.operations import centring

#: Volumes of the conventional cells, cubic angstrom.
VOLUMES = {
    "orthorhombic": (4000.0, 10_000.0),
    "monoclinic": (2000.0, 10_000.0),
    "triclinic": (1000.0, 10_000.0),
}
_CLEAN = Settings(
    counts=(5e3, 1e5),
    background=(0.003, 0.05),
    textured=0.25,
    r=(0.8, 1.25),
    foreign_lines=0.0,
    second_phase=0.0,
    ghosts=0.0,
    processed=0.0,
)
#: A diffractometer with both K-alpha lines, one with K-alpha1 and slits for low angles, a synchrotron.
INSTRUMENTS = {
    "laboratory": replace(
        _CLEAN,
        monochromatic=0.0,
        first=(3.0, 5.0),
        last=(50.0, 70.0),
        steps=(0.01, 0.0167, 0.02),
        fwhm=(0.07, 0.09),
    ),
    "K-alpha1": replace(
        _CLEAN,
        monochromatic=1.0,
        first=(2.0, 3.0),
        last=(50.0, 70.0),
        steps=(0.005, 0.008, 0.01),
        fwhm=(0.03, 0.045),
        shift=(0.01, 0.015),
    ),
    "synchrotron": replace(
        _CLEAN,
        anodes=("Mo", "Ag"),
        monochromatic=1.0,
        first=(0.7, 1.3),
        last=(25.0, 35.0),
        steps=(0.002, 0.003, 0.004),
        fwhm=(0.015, 0.03),
        shift=(0.0, 0.003),
    ),
}
#: Groups that random crystals have, those of many molecular crystals and frameworks.
_GROUPS = {
    "orthorhombic": ("P 21 21 21", "P b c a", "P n a 21", "P n m a", "C m c m", "F d d 2", "I b a m"),
    "monoclinic": ("P 1 21/c 1", "P 1 21/c 1", "P 1 21 1", "C 1 2/c 1", "C 1 2 1"),
    "triclinic": ("P -1", "P 1"),
}
_ELEMENTS = ("C", "C", "C", "N", "O", "O", "Si", "S", "Zn")
#: Volume that an atom has, cubic angstrom, and the most atoms of a random cell.
_OF_ATOM, _ATOMS = 25.0, 200
#: Distance of atoms, angstrom, within which a lattice of higher symmetry is hardly told apart by a pattern.
_NEARLY = 0.2
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("spacegroup_number", pa.int64()),
        *((name, pa.float64()) for name in CELL),
        ("volume", pa.float64()),
        ("wavelength", pa.float64()),
        ("two_theta", pa.list_(pa.float64())),
        ("intensity", pa.list_(pa.float64())),
        ("settings", pa.string()),
    ]
)


def volume_of(cell):
    """Volume of cells (6, ...), cubic angstrom."""
    x, y, z = np.cos(np.radians(cell[3:]))
    return cell[:3].prod(axis=0) * np.sqrt(1 - x**2 - y**2 - z**2 + 2 * x * y * z)


def random_crystal(family, volume, random):
    """CIF text of atoms at random positions in a random cell of about a volume, in a group of the family."""
    group = gemmi.SpaceGroup(str(random.choice(_GROUPS[family])))
    angles = np.full(3, 90.0)
    if family == "monoclinic":
        angles[1] = random.uniform(91.0, 118.0)
    elif family == "triclinic":
        angles = random.uniform(74.0, 106.0, 3)
    axes = np.exp(random.uniform(-0.5, 0.5, 3))
    cell = np.concatenate([axes, angles])
    cell[:3] *= (volume / volume_of(cell)) ** (1 / 3)
    operations = group.operations()
    asymmetric = max(3, round(min(volume / _OF_ATOM, _ATOMS) / len(operations)))
    lines = "\n".join(
        f"{element}{i} {element} {' '.join(f'{x:.5f}' for x in random.uniform(0, 1, 3))}"
        for i, element in enumerate(random.choice(_ELEMENTS, asymmetric))
    )
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    numbers = "\n".join(f"_cell_{name} {x:.5f}" for name, x in zip(names, cell, strict=True))
    triplets = "\n".join(f"'{op.triplet()}'" for op in operations)
    return (
        f"data_random\n{numbers}\n_space_group_name_H-M_alt '{group.xhm()}'\n"
        f"loop_\n_space_group_symop_operation_xyz\n{triplets}\n"
        "loop_\n_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n"
        f"_atom_site_fract_z\n{lines}\n"
    )


def of_table(table, rows, volume, random):
    """CIF text of a crystal of the table, one of the fifty whose volumes come nearest."""
    cell = np.array([table[axis].to_numpy()[rows] for axis in CELL])
    near = np.argsort(np.abs(np.log(volume_of(cell) / volume)), kind="stable")[:50]
    return table["cif"][int(rows[random.choice(near)])].as_py()


def suits(truth, family, low):
    """Whether the crystal has the family, is as large, and its lattice has not nearly a higher symmetry."""
    if family_of(truth.number) != family or volume_of(truth.cell) < 0.9 * low:
        return False
    high = lifted(reduced(truth.cell, centring(truth.number)), _NEARLY)
    return high is None or high.family == family


def build(table, each, seed):
    systems = candidates(table, 10_000.0)
    for family, (low, high) in VOLUMES.items():
        for instrument, settings in INSTRUMENTS.items():
            for i in range(each):
                volume = low * (high / low) ** ((i + 0.5) / each)
                for attempt in range(40):
                    key = int(stream_key(seed, family, instrument, i, attempt) >> np.uint64(33))
                    random = np.random.default_rng(key)
                    text = (
                        of_table(table, systems[family], volume, random)
                        if i % 2
                        else random_crystal(family, volume, random)
                    )
                    try:
                        pattern = measure(standard_of(text), draw_setup(key, settings), key)
                    except XtinctError:
                        continue
                    if suits(pattern.truth, family, low):
                        break
                else:
                    raise XtinctError(f"{family} {instrument}: no usable crystal of {volume:.0f}")
                truth = pattern.truth
                yield {
                    "id": f"{family}-{instrument}-{i}-{'table' if i % 2 else 'random'}",
                    "source": f"{family}, {instrument}",
                    "spacegroup_number": truth.number,
                    **dict(zip(CELL, truth.cell.tolist(), strict=True)),
                    "volume": float(volume_of(truth.cell)),
                    "wavelength": None if pattern.radiation.ratio else pattern.radiation.wavelength,
                    "two_theta": pattern.two_theta,
                    "intensity": pattern.intensity,
                    "settings": json.dumps(as_plain(truth.setup)),
                }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("structures")
    parser.add_argument("out")
    parser.add_argument("--each", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows = list(build(pq.read_table(options.structures), options.each, options.seed))
    write_parquet(options.out, [pa.Table.from_pylist(rows, schema=SCHEMA)], SCHEMA)
    for row in rows:
        print(row["id"], row["spacegroup_number"], f"{row['volume']:.0f}", *(f"{row[x]:.2f}" for x in CELL))


if __name__ == "__main__":
    try:
        main()
    except XtinctError as error:
        sys.exit(str(error))
