"""The convention of the published dataset, for comparison with it alone.

Wang et al. 2025 ("Designing a Dataset for Convolutional Neural Networks to Predict Space Groups Consistent
with Extinction Laws") loop over hkl from -10 to 10, round 2theta at 1.5406 angstrom to 1e-6 degrees, and
keep of every angle the first reflection alone: no multiplicity, no sum over families of equal d such as
333 and 511, and no line beyond the box, which large cells have. Here h is the outermost loop and l the
innermost. Everything else is as in the standard convention.
"""

from typing import Unpack

import numpy as np

from xtinct.lattices.metric import reciprocal_metric
from xtinct.linelists import structure_factors
from xtinct.linelists.scattering import amplitude, scattering_table

CONVENTIONS = ("standard", "wang2025")

#: Largest |h|, |k| and |l|.
BOX = 10
#: Wavelength in angstrom and rounding of 2theta in degrees.
WAVELENGTH, DECIMALS = 1.5406, 6


def in_box(hkl: np.ndarray) -> np.ndarray:
    """Which hkl int (n, 3) the published loops reach, bool (n,)."""
    return (np.abs(hkl) <= BOX).all(axis=1)


def first_reflections(cell: np.ndarray, d_star_max: float) -> tuple[np.ndarray, np.ndarray]:
    """The first hkl int (m, 3) of every angle and its 1/d (m,), 1/angstrom, ascending.

    cell float64 (6,). Reflections that the wavelength does not reach are left out.
    """
    axis = np.arange(-BOX, BOX + 1)
    hkl = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    h, k, l = hkl.T.astype(np.float64)  # noqa: E741
    products = np.stack([h * h, k * k, l * l, 2 * k * l, 2 * h * l, 2 * h * k], axis=1)
    d_star = np.sqrt(np.maximum(products @ reciprocal_metric(cell)[0], 0.0))
    seen = (d_star > 0) & (d_star <= d_star_max) & (d_star * WAVELENGTH < 2)
    hkl, d_star = hkl[seen], d_star[seen]
    two_theta = np.round(np.degrees(2 * np.arcsin(WAVELENGTH / 2 * d_star)), DECIMALS)
    _, first = np.unique(two_theta, return_index=True)
    return hkl[first], d_star[first]


def structure_lines(
    cell: np.ndarray,
    species: np.ndarray,
    frac: np.ndarray,
    occupancy: np.ndarray,
    **options: Unpack[structure_factors.LineOptions],
) -> tuple[np.ndarray, np.ndarray]:
    """Lines as `structure_factors.structure_lines`, but with |F|^2 of the first reflection of each angle.

    Refuses the same structures. Of the options dispersion and preferred orientation are not known here.
    """
    unknown = {"dispersion", "preferred_axis", "march_r"} & options.keys()
    if unknown:
        raise TypeError(f"wang2025: {', '.join(sorted(unknown))} are not part of this convention")
    d_star_max, radiation = options["d_star_max"], options.get("radiation", "xray")
    b_iso, floor = options.get("b_iso", 0.0), options.get("intensity_floor", 1e-9)
    cell = np.asarray(cell, dtype=np.float64)
    species, occupancy = np.asarray(species), np.asarray(occupancy, dtype=np.float64)
    checked = {key: x for key, x in options.items() if key in ("d_star_max", "radiation", "max_reflections")}
    structure_factors.structure_lines(cell, species, frac, occupancy, **checked)
    hkl, d_star = first_reflections(cell, d_star_max)
    table, _, width = scattering_table(radiation, d_star_max)
    waves = occupancy * np.exp(2j * np.pi * (hkl @ np.asarray(frac, dtype=np.float64).T))
    s2 = d_star**2 / 4
    f = np.zeros(len(hkl), dtype=complex)
    for z in np.unique(species):
        form = np.array([amplitude.py_func(table[z], x, width) for x in s2])
        f += form * waves[:, species == z].sum(axis=1)
    intensity = np.abs(f) ** 2 * np.exp(-0.5 * b_iso * d_star**2)
    kept = intensity > floor * intensity.max(initial=0.0)
    if not kept.any():
        raise structure_factors.StructureRefusedError("no_lines", f"no line up to 1/d = {d_star_max:g}")
    return d_star[kept], intensity[kept]
