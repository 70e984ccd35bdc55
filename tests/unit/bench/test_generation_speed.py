"""The benchmark measures what it says: its baseline is right, and its ratios are ratios."""

import time

import numpy as np
import pytest

from xtinct.bench import generation_speed, measured_speed
from xtinct.errors import XtinctError
from xtinct.linelists.ulbd_lines import UlbdLines
from xtinct.patterns.rendering import render


def test_the_published_loop_shows_the_same_lines():
    """The baseline must do the real work: its peaks stand where ours stand."""
    cell = np.array([6.0, 6, 6, 90, 90, 90])
    patterns = generation_speed.published_ulbd(227, cell, 3, np.random.default_rng(0))
    d_star = UlbdLines("cubic", 0.93, 6.0).draw([227], cell[None], np.zeros(1, np.uint64)).d_star
    two_theta = np.degrees(2 * np.arcsin(1.5406 / 2 * d_star[d_star < 0.917]))
    grid = generation_speed.INSTRUMENT.two_theta
    near = np.abs(grid[:, None] - two_theta).min(axis=1)
    # Nothing away from a line, something at each.
    assert patterns[:, near > 0.7].max() < 1e-9
    assert (patterns[:, np.abs(grid[:, None] - two_theta).argmin(axis=0)].max(axis=0) > 1e-4).all()


def test_plain_numpy_makes_the_same_measured_patterns():
    """Where both do the same: every width, shape and background, and counts without number."""
    law = {name: measured_speed.EVERYTHING[name] for name in ("fwhm", "microstrain", "eta", "log_background")}
    batch = measured_speed.measured_loader(law | {"counts": [1e12, 1e12]}).take(0, 4)
    plain = measured_speed.plain_patterns(batch, np.random.default_rng(0))
    ours = render(batch.lines, measured_speed.LABORATORY, conditions=batch.conditions)
    np.testing.assert_allclose(ours, plain / plain.max(axis=1, keepdims=True), rtol=0, atol=1e-4)


def test_ratios_follow_the_work():
    def worker(seconds, items):
        def work():
            end = time.process_time() + seconds
            while time.process_time() < end:
                pass
            return items

        return work

    faster = generation_speed.Case("x", "y", worker(0.05, 1), worker(0.01, 1), 3)
    slower = generation_speed.Case("x", "y", worker(0.01, 1), worker(0.05, 1), 3, at_most=True)
    record = generation_speed.measure(faster, 3)
    assert record["met"]
    assert 2 < record["ratio"] < 8
    assert not generation_speed.measure(slower, 3)["met"]
    many = generation_speed.Case("x", "y", worker(0.05, 100), worker(0.05, 1), 1)
    assert generation_speed.measure(many, 2)["ratio"] < 0.1


def test_a_table_without_structures_is_refused(tmp_path):
    with pytest.raises(XtinctError, match="no such file"):
        generation_speed.read_cifs(tmp_path / "none.parquet", 3)
