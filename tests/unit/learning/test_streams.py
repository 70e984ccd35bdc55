import numpy as np
import pytest

from xtinct.errors import XtinctError
from xtinct.lattices.distributions import LatticeSpec
from xtinct.learning.loading import Loader
from xtinct.learning.streams import (
    EmptySplitError,
    MixedStream,
    ParquetStream,
    UlbdStream,
)
from xtinct.linelists.line_tables import read_lines
from xtinct.patterns.variation import Variation

GROUPS = [225, 227, 221, 198, 216, 230, 205, 195, 220, 199]


def online(role="train", seed=1, **changes):
    spec = LatticeSpec.from_config({"kind": "continuous", "lengths": [5, 8], "count": 3} | changes)
    return UlbdStream(family="cubic", spec=spec, d_star_max=0.94, intensities="uniform", seed=seed, role=role)


def assert_same(one, other):
    assert (one.groups == other.groups).all()
    for name in ("offsets", "d_star", "intensity"):
        assert (getattr(one.lines, name) == getattr(other.lines, name)).all()


def assert_pure(stream, n):
    whole = stream.take(0, n)
    parts = [stream.take(0, n // 3), stream.take(n // 3, n - n // 3)]
    assert_same(whole, type(whole).concatenate(parts))
    assert_same(whole, stream.take(0, n))


def first_lines(samples):
    """d* of the first line of every sample: a fingerprint of its lattice."""
    return samples.lines.d_star[samples.lines.offsets[:-1]]


def test_online_samples_depend_on_their_number_alone():
    assert_pure(online(), 90)


def test_online_groups_are_uniform():
    groups = online().take(0, 36 * 400).groups
    counts = np.bincount(groups)[195:231]
    # Chi-squared with 35 degrees of freedom exceeds 66.6 with a probability of 0.001.
    assert ((counts - 400) ** 2 / 400).sum() < 66.6


def test_seeds_roles_and_the_stored_dataset_have_no_lattice_in_common():
    spec = LatticeSpec.from_config({"kind": "continuous", "lengths": [5, 8], "count": 3})
    # Every line of a cubic lattice is sqrt(N) / a, so N = (a d*)^2 is an integer for its own a only.
    stored = spec.cells("cubic", 1, np.arange(200))[:, 0]
    for stream in (online(), online("validation"), online(seed=2)):
        samples = stream.take(0, 200)
        second = samples.lines.d_star[samples.lines.offsets[:-1] + 1]
        n = np.outer(stored**2, second**2)
        assert (np.abs(n - np.round(n)) < 1e-9).sum() == 0
    assert not np.isin(
        first_lines(online().take(0, 200)), first_lines(online("validation").take(0, 200))
    ).any()


def test_a_mesh_is_left_for_the_range_that_it_covers():
    samples = online(kind="mesh", step=0.5).take(0, 100)
    n = np.outer(np.arange(5, 8, 0.5) ** 2, first_lines(samples) ** 2)
    assert (np.abs(n - np.round(n)) < 1e-9).sum() == 0


def test_every_epoch_holds_every_sample_once_and_in_another_order(write_lines):
    stream = ParquetStream(write_lines(GROUPS * 3, splits=("train",)), family="cubic", split="train", seed=4)
    epochs = [first_lines(stream.take(30 * e, 30)) for e in range(3)]
    assert (np.sort(epochs[0]) == np.sort(epochs[1])).all()
    assert (epochs[0] != epochs[1]).any()
    assert (epochs[1] != epochs[2]).any()
    assert_pure(stream, 75)


def test_a_file_gives_the_samples_of_its_split_unchanged(write_lines):
    path = write_lines(GROUPS)
    samples, ids = next(iter(read_lines(path, family="cubic", split="validation")))
    assert ids == ["t-00001", "t-00004", "t-00007"]
    assert list(samples.groups) == [GROUPS[1], GROUPS[4], GROUPS[7]]
    whole, all_ids = next(iter(read_lines(path, family="cubic")))
    assert len(all_ids) == 10
    for i, j in enumerate((1, 4, 7)):
        for one, other in zip(samples.lines[i], whole.lines[j], strict=True):
            assert (one == other).all()
    assert len(ParquetStream(path, family="cubic", split="validation", seed=0)) == 3


def test_files_that_do_not_fit_are_refused_by_name(write_lines):
    path = write_lines(GROUPS, splits=("train",))
    with pytest.raises(
        XtinctError, match=r"lines\.parquet: space group \d+ [A-Z] .* is not of the family tetragonal"
    ):
        next(read_lines(path, family="tetragonal"))
    with pytest.raises(EmptySplitError, match="no sample of the split 'test'"):
        ParquetStream(path, family="cubic", split="test", seed=0)
    broken = write_lines(
        GROUPS, name="broken.parquet", change={"d_star": [0.2, float("nan")], "intensity": [1, 1]}
    )
    with pytest.raises(XtinctError, match=r"broken\.parquet: row group 0 holds a line"):
        next(read_lines(broken, family="cubic"))
    with pytest.raises(XtinctError, match=r"nowhere\.parquet: no such file"):
        ParquetStream("nowhere.parquet", family="cubic", split="train", seed=0)


def test_a_mixture_keeps_its_proportions_over_every_stretch():
    parts = [online("a"), online("b")]
    mixture = MixedStream(parts, [3, 1])
    for start, count in ((0, 100), (17, 40), (1000, 8)):
        groups = mixture.take(start, count).groups
        assert len(groups) == count
    from_first = set(first_lines(parts[0].take(0, 400)).tolist())
    shares = [np.isin(first_lines(mixture.take(s, 40)), list(from_first)).sum() for s in range(0, 400, 40)]
    assert all(29 <= share <= 31 for share in shares)
    assert sum(shares) == 300


def test_batches_do_not_depend_on_how_they_are_prepared():
    loader = Loader(online())
    reference = list(loader.batches(start=64, stop=256, step=32, count=32))
    assert [len(batch) for batch in reference] == [32] * 6
    threaded = list(loader.batches(start=64, stop=256, step=32, count=32, workers=3))
    for one, other in zip(reference, threaded, strict=True):
        assert_same(one, other)
    assert_same(reference[0], online().take(64, 32))


def test_a_mixture_of_three_gives_every_sample_once_in_exact_shares():
    parts = [online(role) for role in "abc"]
    mixture = MixedStream(parts, [1, 2, 1])
    assert_pure(mixture, 120)
    got = np.sort(first_lines(mixture.take(0, 400)))
    expected = np.sort(
        np.concatenate([first_lines(p.take(0, n)) for p, n in zip(parts, (100, 200, 100), strict=True)])
    )
    assert (got == expected).all()


def test_the_shares_of_a_mixture_may_be_any_numbers():
    parts = [online(role) for role in "abc"]
    mixture = MixedStream(parts, [0.3, 1.4, 0.001])
    samples = first_lines(mixture.take(0, 4096))
    shares = [np.isin(samples, first_lines(part.take(0, 4096))).mean() for part in parts]
    assert shares == pytest.approx(np.array([0.3, 1.4, 0.001]) / 1.701, abs=2 / 4096)
    with pytest.raises(XtinctError, match="weight above zero"):
        MixedStream(parts, [1, 1, 0])


def test_conditions_of_a_sample_depend_on_its_number_alone():
    loader = Loader(online(), Variation.from_config({"zero_shift": [-0.05, 0.05]}), 7)
    whole, later = loader.take(0, 50), loader.take(20, 30)
    assert (whole.conditions.zero_shift[20:] == later.conditions.zero_shift).all()
    assert len(np.unique(whole.conditions.zero_shift)) == 50


def test_changed_samples_and_foreign_phases_depend_on_their_number_alone():
    """Texture, strain and foreign phases of streams of every kind of cell, however they are asked for."""
    law = {"texture": [0.5, 2], "strain": [-0.01, 0.01], "d_scale": [0.98, 1.02], "b_iso": [0, 1]}
    law |= {"foreign_phase": [0.01, 0.3], "shares": {"foreign_phase": 0.5, "texture": 0.7}}
    lattices = LatticeSpec.from_config(
        {"kind": "continuous", "lengths": [4, 7], "angles": [75, 105], "count": 1, "spacing": "uniform"}
    )
    parts = [
        UlbdStream(family=family, spec=lattices, d_star_max=0.8, intensities="physical", seed=1, role="train")
        for family in ("cubic", "trigonal-hexagonal", "monoclinic", "triclinic")
    ]
    loader = Loader(MixedStream(parts, [1, 1, 1, 1]), Variation.from_config(law), 7)
    whole, later = loader.take(0, 150), loader.take(50, 100)
    for one, other in (
        (whole.lines.slice(50, 150), later.lines),
        (whole.conditions.foreign.slice(50, 150), later.conditions.foreign),
    ):
        assert (one.offsets == other.offsets).all()
        assert (one.d_star == other.d_star).all()
        assert (one.intensity == other.intensity).all()
    strength, foreign = whole.conditions.foreign_strength, whole.conditions.foreign
    assert 0.35 < np.mean(strength > 0) < 0.65
    assert ((np.diff(foreign.offsets) > 0) == (strength > 0)).all()
    own = [whole.lines[i][0][0] for i in range(128)]
    for i in np.flatnonzero(strength[:64] > 0):
        # Another sample of the same block, as that sample is measured.
        assert own.index(foreign[i][0][0]) // 64 == 0
        assert own.index(foreign[i][0][0]) != i
    plain = loader.stream.take(0, 150)
    assert (np.diff(whole.lines.offsets) == np.diff(plain.lines.offsets)).all()
    ascending = np.diff(whole.lines.d_star) > 0
    ascending[whole.lines.offsets[1:-1] - 1] = True
    assert ascending.all()
    assert np.abs(whole.lines.d_star / plain.lines.d_star - 1).max() < 0.06


def test_no_crystal_is_its_own_foreign_phase(write_lines):
    """A block of a small file holds every crystal many times; with a single crystal there is no other."""
    law = Variation.from_config({"foreign_phase": [0.1, 0.2]})
    stream = ParquetStream(write_lines(GROUPS * 2, splits=("train",)), family="cubic", split="train", seed=1)
    batch = Loader(stream, law, 7).take(30, 200)
    assert (batch.conditions.foreign_strength > 0).all()
    foreign = batch.conditions.foreign
    for i in range(200):
        own, other = batch.lines[i][0], foreign[i][0]
        assert len(own) != len(other) or (own != other).any()
    parts = [Loader(stream, law, 7).take(30, 70), Loader(stream, law, 7).take(100, 130)]
    assert (np.concatenate([part.conditions.foreign.d_star for part in parts]) == foreign.d_star).all()
    single = write_lines([225], name="single.parquet", splits=("train",))
    alone = ParquetStream(single, family="cubic", split="train", seed=1)
    assert (Loader(alone, law, 7).take(0, 70).conditions.foreign_strength == 0).all()


def test_stored_samples_come_with_their_cells(write_lines):
    """Texture is possible only where every line of the file is a reflection of the cell beside it."""
    samples = ParquetStream(write_lines(GROUPS), family="cubic", split="train", seed=1).take(0, 4)
    changes = Variation.from_config({"texture": [0.5, 2]}).draw_changes(np.uint64(1), 0, 4)
    changed = changes.applied(samples)
    assert (changed.intensity != samples.lines.intensity).any()
