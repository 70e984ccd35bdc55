"""Samples as a DataLoader hands them out are those of the streams and files themselves, each once."""

import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from xtinct.data import LineListDataset, LineView, Patterns, SampleSource, StreamDataset, collate_lines
from xtinct.errors import XtinctError
from xtinct.learning.training_sets import Sources
from xtinct.learning.training_settings import TrainingSettings
from xtinct.linelists.line_tables import read_lines
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.rendering import render
from xtinct.symmetry.families import space_groups

OPTICS = Instrument(
    wavelength=1.5406, two_theta_min=5, two_theta_max=90, points=1024, lorentz="lorentz", fwhm=0.5
)
CUBIC = SampleSource("ulbd-online", "cubic", seed=5, lattices={"cubic": {"lengths": [5, 8]}})


def digests(samples):
    return [x.numpy().tobytes() for x, _ in samples]


# Machines with fewer cores than workers are warned of; the samples are what is tested.
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_three_workers_of_two_ranks_share_the_samples_and_none_comes_twice():
    count = 8 * 13 + 3
    whole = digests(StreamDataset(CUBIC, view=Patterns(OPTICS), count=count, block=8))
    shared, sizes = [], []
    for rank in (0, 1):
        dataset = StreamDataset(CUBIC, view=Patterns(OPTICS), count=count, block=8, rank=(rank, 2))
        found = digests(
            (x[0], y) for x, y in DataLoader(dataset, batch_size=1, num_workers=3, persistent_workers=False)
        )
        assert len(found) == len(dataset)
        sizes.append(len(found))
        shared += found
    assert len(set(whole)) == count
    assert Counter(shared) == Counter(whole)
    assert sizes == [7 * 8, 6 * 8 + 3]


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_batches_do_not_depend_on_workers_nor_on_torch_s_seed():
    dataset = StreamDataset(CUBIC, view=Patterns(OPTICS), count=48, block=8)
    torch.manual_seed(1)
    alone = list(DataLoader(dataset, batch_size=8))
    torch.manual_seed(2)
    shared = list(DataLoader(dataset, batch_size=8, num_workers=3))
    assert len(alone) == len(shared) == 6
    for (x, y), (x_shared, y_shared) in zip(alone, shared, strict=True):
        assert torch.equal(x, x_shared)
        assert torch.equal(y, y_shared)


def test_ranks_of_torchrun_are_found(monkeypatch):
    whole = digests(StreamDataset(CUBIC, view=Patterns(OPTICS), count=32, block=8))
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    second = digests(StreamDataset(CUBIC, view=Patterns(OPTICS), count=32, block=8))
    assert second == whole[8:16] + whole[24:]


def test_pickling_keeps_the_samples_and_a_spawned_worker_draws_them():
    dataset = StreamDataset(CUBIC, view=Patterns(OPTICS), count=16, block=8)
    assert digests(pickle.loads(pickle.dumps(dataset))) == digests(dataset)
    spawned = DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context="spawn")
    assert digests(spawned) == digests(dataset)


@pytest.mark.parametrize("variation", [{}, {"counts": [100, 1000], "zero_shift": [-0.1, 0.1]}])
def test_the_samples_of_a_training_are_those_that_the_training_sees(settings, variation):
    settings["experiment"]["variation"] = variation
    samples = TrainingSettings.from_config(settings).samples
    batch = Sources(samples).training().take(3, 40)
    optics = Instrument.from_config(settings["instrument"])
    expected = render(batch.lines, optics, conditions=batch.conditions)
    dataset = StreamDataset(
        samples, view=Patterns(optics), start=3, count=40, block=7, target=("spacegroup_number",)
    )
    found = list(dataset)
    assert [y["spacegroup_number"] for _, y in found] == batch.groups.tolist()
    np.testing.assert_array_equal(np.stack([x for x, _ in found]), expected)


def test_validation_and_training_have_no_sample_in_common():
    train, validation = (
        digests(
            StreamDataset(
                SampleSource("ulbd-online", "cubic", 5, role, {"cubic": {"lengths": [5, 8]}}),
                view=Patterns(OPTICS), count=64,
            )
        )
        for role in ("train", "validation")
    )  # fmt: skip
    assert not set(train) & set(validation)


def test_mixtures_have_the_weights_that_were_asked_for(write_lines):
    path = write_lines(list(space_groups("cubic")) * 4, splits=("train",))
    source = SampleSource(
        {"ulbd-online": 1, "physical-online": 2, "own": 1}, "cubic", 1,
        lattices={"cubic": {"lengths": [5, 8]}}, files={"own": path},
    )  # fmt: skip
    dataset = StreamDataset(source, view=Patterns(OPTICS), count=80)
    stored = {
        render(part.lines, OPTICS)[i].tobytes()
        for part, _ in read_lines(path, family="cubic")
        for i in range(len(part))
    }
    assert sum(digest in stored for digest in digests(dataset)) == 20


def test_stored_samples_are_those_of_the_file(write_lines):
    path = write_lines(list(space_groups("cubic")))
    dataset = LineListDataset(path, family="cubic", split="train", view=Patterns(OPTICS), target="spacegroup")
    ((part, ids),) = read_lines(path, family="cubic", split="train")
    assert dataset.ids == ids
    assert len(dataset) == len(ids) == 12
    loader = DataLoader(dataset, batch_size=5, num_workers=1, multiprocessing_context="spawn")
    x, y = (torch.cat(parts) for parts in zip(*loader, strict=True))
    np.testing.assert_array_equal(x.numpy(), render(part.lines, OPTICS))
    assert [int(dataset.labels.names()[label]) for label in y] == part.groups.tolist()
    assert dataset.spacegroups.tolist() == part.groups.tolist()
    assert torch.equal(dataset[-1][0], x[-1])
    with pytest.raises(IndexError):
        dataset[12]


def test_several_files_stand_one_after_the_other_in_any_order_of_asking(write_lines):
    first = write_lines([195, 225], name="a.parquet", splits=("train",))
    second = write_lines([230, 229, 200], name="b.parquet", splits=("train",))
    dataset = LineListDataset(
        [first, second], family="cubic", view=Patterns(OPTICS), target="spacegroup_number"
    )
    assert [y for _, y in dataset.__getitems__([4, 0, 3, 1, 2])] == [200, 195, 229, 225, 230]
    assert [dataset[i][1] for i in range(5)] == [195, 225, 230, 229, 200]


def test_line_batches_hold_the_lines_and_nothing_else(write_lines):
    path = write_lines([195, 230, 225], splits=("train",))
    dataset = LineListDataset(path, family="cubic", view=LineView(OPTICS))
    (batch, labels) = next(iter(DataLoader(dataset, batch_size=3, collate_fn=collate_lines)))
    assert labels.shape == (3,)
    for i in range(3):
        position, intensity = dataset[i][0]
        assert torch.equal(batch.position[i][batch.mask[i]], position)
        assert torch.equal(batch.intensity[i][batch.mask[i]], intensity)
        assert not batch.position[i][~batch.mask[i]].any()
    with pytest.raises(XtinctError, match="samples are patterns"):
        collate_lines([StreamDataset(CUBIC, count=1).__iter__().__next__()])


def test_what_is_missing_is_named():
    with pytest.raises(XtinctError, match="no lattices of the cubic family"):
        StreamDataset(SampleSource("ulbd-online", "cubic"))
    with pytest.raises(XtinctError, match="'gcdd-online' needs its files"):
        StreamDataset(SampleSource("gcdd-online", "cubic"))
    with pytest.raises(XtinctError, match="target 'symmetry': expected one of extinction_class"):
        StreamDataset(CUBIC, target="symmetry")
    with pytest.raises(XtinctError, match="rank 2 of 2"):
        StreamDataset(CUBIC, rank=(2, 2))
    with pytest.raises(TypeError, match="no end"):
        len(StreamDataset(CUBIC))
