"""What the page draws of an answer."""

import json

import numpy as np

import xtinct
from xtinct.app.chart import chart_of


def rock_salt():
    """2theta and counts of Gaussian peaks of rock salt, copper K-alpha1."""
    two_theta = np.arange(20, 90, 0.02)
    counts = np.full(len(two_theta), 50.0)
    sums = {3: 90, 4: 1000, 8: 550, 11: 20, 12: 150, 16: 60, 19: 15, 20: 110, 24: 80}
    for n, height in sums.items():
        place = 2 * np.degrees(np.arcsin(1.540593 * np.sqrt(n) / (2 * 5.64)))
        counts += 10 * height * np.exp(-(((two_theta - place) / 0.08) ** 2))
    return two_theta, np.random.default_rng(1).poisson(counts).astype(float)


def test_nothing_is_drawn_where_nothing_was_measured():
    """A line from one end of a gap to the other would look like a measured background."""
    two_theta, counts = rock_salt()
    seen = (two_theta < 48) | (two_theta > 52)
    answer = xtinct.index((two_theta[seen], counts[seen]), 1.540593, family="cubic")
    chart = json.loads(json.dumps(chart_of(answer), allow_nan=False))
    for curves, name in ((chart["measured"], "intensity"), (chart["fit"], "residual")):
        empty = np.array([value is None for value in curves[name]])
        angles = np.array(curves["two_theta"])
        assert (empty == ((angles > 47.99) & (angles < 52.01))).mean() > 0.999
        assert empty.sum() > 100
    assert None not in chart["measured"]["background"]
    assert None not in chart["fit"]["fitted"]
