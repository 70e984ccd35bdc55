import time

import pytest

from xtinct.bench.training_speed import race, throughput
from xtinct.learning.forward_pass import PatternRenderer


@pytest.fixture
def config(settings):
    keys = ("train", "instrument", "lines")
    return {key: settings[key] for key in keys} | {"models": {"logq": settings["models"]["small"]}}


def test_data_that_come_slowly_show_as_their_share_of_a_step(config, monkeypatch):
    """A clock is no fact about the code, so the data are made slow: 0.2 s a step, many times the model's.

    Of the processor's time, which is what counts on a CPU.
    """
    render = PatternRenderer.__call__

    def slowly(self, *arguments, **options):
        end = time.process_time() + 0.2
        while time.process_time() < end:
            pass
        return render(self, *arguments, **options)

    monkeypatch.setattr(PatternRenderer, "__call__", slowly)
    result = throughput(config, rounds=1)
    assert result["model_patterns_per_second"] > result["loop_patterns_per_second"] > 0
    assert 0.5 < result["data_share"] < 1


@pytest.mark.slow
def test_a_race_ends_at_its_limit_and_says_how_far_each_came(config):
    """fcn13 takes 8192 points and nothing else."""
    config["instrument"]["two_theta"]["points"] = 8192
    records = race(config, limit=0.1, patterns=32 * 80)
    assert [record["model"] for record in records] == ["logq", "fcn13"]
    for record in records:
        assert record["seconds"] is None
        assert 0 <= record["accuracy"] < 0.99
        assert record["curve"][-1][0] > 0.1
        assert record["cpu_seconds"] > 0
