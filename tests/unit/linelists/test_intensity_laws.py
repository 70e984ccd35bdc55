import numpy as np
import pyarrow.parquet as pq
import pytest

from xtinct.api import line_list
from xtinct.lattices.distributions import LatticeSpec
from xtinct.linelists.ulbd_lines import UlbdLines
from xtinct.symmetry.families import family_of
from xtinct.symmetry.operations import operations

N = 4000


def drawn(family, number, cell, law, n=N):
    """d_star (lines,) and intensities (n, lines) of n draws of one group on one cell."""
    lines = UlbdLines(family, 0.6, 12.0)
    keys = np.arange(n, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    lists = lines.draw(np.full(n, number), np.tile(cell, (n, 1)), keys, law)
    return lists[0][0], lists.intensity.reshape(n, -1).astype(np.float64)


def crystals(number, cell, d_star, n=800, atoms=10):
    """Line intensities (n, lines) of random crystals: equal point atoms in general positions."""
    rng = np.random.Generator(np.random.PCG64(7))
    group = operations(number)
    box = np.stack(np.meshgrid(*[np.arange(-8, 9)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    q = np.sqrt(((box / np.asarray(cell[:3])) ** 2).sum(axis=1))
    box, q = box[len(box) // 2 + 1 :], q[len(box) // 2 + 1 :]  # one of each Friedel pair
    line = np.abs(q[:, None] - d_star[None]).argmin(axis=1)
    close = np.abs(q - d_star[line]) < 1e-6
    box, line = box[close], line[close]
    out = np.zeros((n, len(d_star)))
    for i in range(n):
        x = rng.random((atoms, 3))
        images = np.einsum("gij,aj->gai", group.rotations, x) + group.translations[:, None] / 24
        f = np.exp(2j * np.pi * images.reshape(-1, 3) @ box.T).sum(axis=0)
        out[i] = np.bincount(line, np.abs(f) ** 2, minlength=len(d_star))
    return 2 * out / atoms


@pytest.mark.parametrize(
    ("family", "number", "cell"),
    [
        ("cubic", 205, (6.0, 6.0, 6.0, 90, 90, 90)),  # Pa-3: every reflection centric, Laue class m-3
        ("cubic", 198, (6.0, 6.0, 6.0, 90, 90, 90)),  # P213: acentric, but for hk0
        ("tetragonal", 96, (5.0, 5.0, 7.3, 90, 90, 90)),  # P43212
        ("orthorhombic", 33, (5.0, 6.1, 7.3, 90, 90, 90)),  # Pna21
    ],
)
def test_wilson_intensities_have_the_moments_of_random_crystals(family, number, cell):
    """Mean and spread of every line, against structure factors of random atoms (up to the scale)."""
    d_star, intensity = drawn(family, number, cell, "wilson")
    d_star, intensity = d_star[:8], intensity[:, :8]
    reference = crystals(number, cell, d_star)
    # |G| of the statistics, and |G| images of every atom in S.
    scale = len(operations(number)) ** 2
    assert intensity.mean(axis=0) * scale == pytest.approx(reference.mean(axis=0), rel=0.15)
    spread = intensity.std(axis=0) / intensity.mean(axis=0)
    assert spread == pytest.approx(reference.std(axis=0) / reference.mean(axis=0), rel=0.15)


def test_lines_of_different_orbits_are_independent():
    d_star, intensity = drawn("cubic", 198, (6.0, 6.0, 6.0, 90, 90, 90), "wilson")
    correlation = np.corrcoef(intensity.T)
    off_diagonal = correlation[~np.eye(len(d_star), dtype=bool)]
    # Standard error 1 / sqrt(N) = 0.016.
    assert np.abs(off_diagonal).max() < 0.08


@pytest.mark.parametrize("law", ["wilson", "physical"])
def test_no_law_adds_or_removes_a_line_of_the_extinction_law(law):
    spec = LatticeSpec.from_config({"kind": "continuous", "lengths": [5, 12], "count": 1})
    for family in ("cubic", "tetragonal", "trigonal-hexagonal", "orthorhombic"):
        lines = UlbdLines(family, 0.6, 12.0)
        n = 3 * len(lines.groups)
        groups, cells = np.tile(lines.groups, 3), spec.cells(family, 1, np.arange(n))
        keys = np.arange(n, dtype=np.uint64)
        uniform, other = lines.draw(groups, cells, keys), lines.draw(groups, cells, keys, law)
        assert (uniform.offsets == other.offsets).all()
        assert (uniform.d_star == other.d_star).all()
        assert np.isfinite(other.intensity).all()
        assert (other.intensity >= 0).all()


def test_a_draw_does_not_depend_on_the_other_samples_of_its_batch():
    lines = UlbdLines("cubic", 0.6, 12.0)
    groups, keys = np.array([227, 230, 227]), np.array([5, 6, 5], dtype=np.uint64)
    cells = np.full((3, 6), 90.0)
    cells[:, :3] = 9.0
    batch = lines.draw(groups, cells, keys, "physical")
    alone = lines.draw(groups[2:], cells[2:], keys[2:], "physical")
    assert (batch[0][1] == batch[2][1]).all()
    assert (batch[2][1] == alone[0][1]).all()
    assert (batch[0][1] != lines.draw(groups[:1], cells[:1], keys[1:2], "physical")[0][1]).any()


def test_physical_intensities_fall_off_are_weakened_and_are_lost():
    d_star, intensity = drawn("cubic", 221, (6.0, 6.0, 6.0, 90, 90, 90), "physical")
    _, bare = drawn("cubic", 221, (6.0, 6.0, 6.0, 90, 90, 90), "wilson")
    lost = (intensity == 0).mean()
    # Half of the samples lose a share uniform from 0 to 0.3: 0.075 on average.
    assert lost == pytest.approx(0.075, abs=0.01)
    ratio = intensity.mean(axis=0) / bare.mean(axis=0)
    # The mean of exp(-2 B s^2) over B from 0.5 to 8.5, relative to the first line.
    s2 = (d_star / 2) ** 2
    expected = (np.exp(-2 * 0.5 * s2) - np.exp(-2 * 8.5 * s2)) / (2 * 8 * s2)
    assert ratio / ratio[0] == pytest.approx(expected / expected[0], rel=0.35)
    assert (bare > 0).all()
    weak = (intensity > 0) & (intensity < 1e-3 * intensity.max(axis=1, keepdims=True))
    assert weak.mean() > 2 * (bare < 1e-3 * bare.max(axis=1, keepdims=True)).mean()


def shares(lists, thresholds=(1e-2, 1e-3, 1e-4)):
    """Shares of the lines below each threshold of the strongest, Lorentz factor included."""
    strengths = []
    for d_star, intensity in lists:
        shown = (d_star > 0.06) & (d_star < 0.9)
        theta = np.arcsin(d_star[shown] * 1.5406 / 2)
        height = intensity[shown] / (np.sin(2 * theta) * np.sin(theta))
        strengths.append(height / height.max())
    strengths = np.concatenate(strengths)
    return np.array([(strengths < threshold).mean() for threshold in thresholds])


@pytest.mark.parametrize("family", ["cubic", "tetragonal", "trigonal-hexagonal"])
def test_weak_lines_are_at_least_as_frequent_as_in_real_crystals(root, family):
    """60 prototypes, and draws for their groups on their cells."""
    rows = pq.read_table(root / "data" / "prototypes" / "aflow_prototypes.parquet").to_pylist()
    cells, groups, real = [], [], []
    for row in rows:
        cell = [float(row[name]) for name in ("a", "b", "c", "alpha", "beta", "gamma")]
        number = int(row["spacegroup_number"])
        if family_of(number) != family or not (6 < max(cell[:3]) < 15) or len(real) == 60:
            continue
        if row["disordered"] == "True" or cell[4] != 90 or cell[5] != (90, 120)[family[:3] == "tri"]:
            continue
        d_star, intensity = line_list(row["cif"], b_iso=0.5)
        cells.append(cell)
        groups.append(number)
        real.append((d_star, intensity))
    lines = UlbdLines(family, 0.92, 15.0)
    keys = np.arange(len(groups), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    share = {}
    for law in ("uniform", "physical"):
        lists = lines.draw(np.array(groups), np.array(cells), keys, law)
        share[law] = shares([lists[i] for i in range(len(lists))])
    of_real = shares(real)
    assert len(real) > 40
    # A network must have seen what real crystals show; uniform intensities have hardly a weak line.
    assert (share["physical"] > of_real).all()
    assert share["uniform"][2] < 0.1 * of_real[2]
