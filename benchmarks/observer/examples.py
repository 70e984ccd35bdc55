"""Make the worked examples of docs/observer-examples.md: measurements, answers as text, pictures.

    python benchmarks/observer/examples.py OUT [NAME ...]

Each measurement is simulated from a published structure with a fixed seed, written to OUT as NAME.xy, and
read as `xtinct index NAME.xy --wavelength CuKa --plot NAME.png` reads it; NAME.txt has the printed answer.
Without names all examples are made.
"""

import argparse
import contextlib
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from xtinct import index
from xtinct.errors import XtinctError
from xtinct.observer.peaks.peak_shapes import Profile
from xtinct.observer.simulation import Background, Processing, Setup, measure
from xtinct.sources.given import standard_of

WAVELENGTH = "CuKa"
#: Colours that are kept of a picture: it has few, and a page should load quickly.
COLOURS = 128

#: Name -> symbol, cell and sites (element, x, y, z), rounded.
STRUCTURES = {
    # Paton & Maslen (1965), Acta Cryst. 19, 307.
    "Y2O3": (
        "I a -3",
        (10.604, 10.604, 10.604, 90, 90, 90),
        (("Y", 0.25, 0.25, 0.25), ("Y", -0.0327, 0, 0.25), ("O", 0.391, 0.152, 0.380)),
    ),
    # Abrahams & Bernstein (1971), J. Chem. Phys. 55, 3206.
    "TiO2": (
        "P 42/m n m",
        (4.5937, 4.5937, 2.9587, 90, 90, 90),
        (("Ti", 0, 0, 0), ("O", 0.3048, 0.3048, 0)),
    ),
    # Levien, Prewitt & Weidner (1980), Am. Mineral. 65, 920; origin of International Tables.
    "SiO2": (
        "P 31 2 1",
        (4.916, 4.916, 5.4054, 90, 90, 120),
        (("Si", 0.4697, 0, 1 / 3), ("O", 0.4135, 0.2669, 0.2142)),
    ),
    # Howard, Hill & Reichert (1988), Acta Cryst. B44, 116.
    "ZrO2": (
        "P 1 21/c 1",
        (5.1505, 5.2116, 5.3173, 90, 99.23, 90),
        (("Zr", 0.2754, 0.0395, 0.2083), ("O", 0.0700, 0.3317, 0.3447), ("O", 0.4496, 0.7569, 0.4792)),
    ),
    # Brostigen & Kjekshus (1969), Acta Chem. Scand. 23, 2186.
    "FeS2": (
        "P a -3",
        (5.4179, 5.4179, 5.4179, 90, 90, 90),
        (("Fe", 0, 0, 0), ("S", 0.3848, 0.3848, 0.3848)),
    ),
}

#: Name of an example -> its structure, and what of the measurement is not as usual.
EXAMPLES = {
    "yttria": ("Y2O3", {}),
    "rutile": ("TiO2", {"displacement": 0.05, "r": 0.8}),
    "quartz": ("SiO2", {"counts": 2000.0, "foreign": ((33.4, 0.06),)}),
    "baddeleyite": ("ZrO2", {"counts": 20000.0}),
    "mixture": ("Y2O3", {"second_phase": 0.35}),
    "glass": (None, {}),
}


def cif(name):
    """A structure as CIF text."""
    symbol, cell, sites = STRUCTURES[name]
    lengths = zip("abc", cell[:3], strict=True)
    angles = zip(("alpha", "beta", "gamma"), cell[3:], strict=True)
    return "\n".join(
        [
            f"data_{name}",
            f"_space_group_name_H-M_alt '{symbol}'",
            *(f"_cell_length_{axis} {value}" for axis, value in lengths),
            *(f"_cell_angle_{axis} {value}" for axis, value in angles),
            "loop_",
            *(f"_atom_site_{key}" for key in ("label", "type_symbol", "fract_x", "fract_y", "fract_z")),
            *(f"{e}{i} {e} {x} {y} {z}" for i, (e, x, y, z) in enumerate(sites, 1)),
            "",
        ]
    )


def setup(*, counts=10_000.0, displacement=0.0, r=1.0, foreign=(), second_phase=0.0):
    """A laboratory diffractometer with a copper tube and no monochromator."""
    return Setup(
        anode="Cu",
        ratio=0.5,
        first=10.0,
        last=90.0,
        step=0.02,
        monochromator=0.0,
        profile=Profile(
            zero=0.0,
            displacement=displacement,
            W=0.0080,
            V=-0.0030,
            U=0.0080,
            eta0=0.5,
            eta1=0.0,
            asymmetry=0.02,
        ),
        b_iso=0.5,
        pole=(1, 0, 0),
        r=r,
        grain=0.03,
        counts=counts,
        background=Background(0.02, (-0.2, 0.1, 0.0), 0.5, (0.0, 25.0, 10.0)),
        foreign=foreign,
        second_phase=second_phase,
        beta=0.0,
        tungsten=0.0,
        processing=Processing(),
    )


def simulated(name, seed):
    """2theta and counts, float64 (n,), of an example."""
    structure, unusual = EXAMPLES[name]
    if structure is None:
        return glass(seed)
    made = setup(**unusual)
    second = standard_of(cif("FeS2")) if made.second_phase else None
    pattern = measure(standard_of(cif(structure)), made, seed, second=second)
    return pattern.two_theta, pattern.intensity


def glass(seed):
    """Silica glass as a diffractometer sees it: a wide halo at 21.8 degrees, and a weak one."""
    two_theta = np.round(np.arange(10, 90.001, 0.02), 2)
    halos = ((900.0, 21.8, 7.5), (90.0, 44.0, 16.0))
    expected = 60 + sum(
        height * np.exp(-4 * np.log(2) * ((two_theta - centre) / width) ** 2)
        for height, centre, width in halos
    )
    return two_theta, np.random.default_rng(seed).poisson(expected).astype(float)


def make(name, seed):
    two_theta, intensity = simulated(name, seed)
    path = Path(f"{name}.xy")
    np.savetxt(path, np.column_stack([two_theta, intensity]), fmt=("%.3f", "%d"))
    answer = index(path, WAVELENGTH)
    Path(f"{name}.txt").write_text(f"{answer}\n", encoding="utf-8")
    picture = Path(f"{name}.png")
    answer.plot(picture)
    with Image.open(picture) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    unknown = set(options.names) - EXAMPLES.keys()
    if unknown:
        raise XtinctError(f"examples: no {', '.join(sorted(unknown))}; there are {', '.join(EXAMPLES)}")
    options.out.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(options.out):
        for seed, name in enumerate(EXAMPLES, 1):
            if not options.names or name in options.names:
                make(name, seed)


if __name__ == "__main__":
    try:
        main()
    except XtinctError as error:
        sys.exit(str(error))
