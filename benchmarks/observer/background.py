"""How far the background that is found lies from the true one, by the share of points that peaks occupy.

    python benchmarks/observer/background.py [--patterns 240]

Simulated patterns with counting noise: 15 to 500 lines by the law of intensities, of widths .06 to .25
degrees, over backgrounds of 10 to 2,000 counts that fall with the angle. The error is that of the corrections
at the knots of the whole-pattern fit, true less found, in units of the noise of a point.
"""

import argparse

import numpy as np

from xtinct.observer.fitting.pawley import KNOTS
from xtinct.observer.judging.pattern_evidence import INTENSITY_MEANS, INTENSITY_WEIGHTS
from xtinct.observer.peaks.gridded import measured
from xtinct.radiation.tubes import Radiation


def simulated(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """2theta, degree, counts and true background, float64 (n,) each."""
    two_theta = np.arange(10.0, 80.0, 0.02)
    level = np.exp(rng.uniform(np.log(10), np.log(2000)))
    decay = np.exp(-(two_theta - 10) / rng.uniform(5, 20))
    background = level * (1 + rng.uniform(0, 2) * decay)
    n = int(np.exp(rng.uniform(np.log(15), np.log(500))))
    place = 10 + 70 * np.sqrt(rng.uniform(size=n))
    mean = rng.choice(INTENSITY_MEANS, n, p=INTENSITY_WEIGHTS / INTENSITY_WEIGHTS.sum())
    height = 0.2 * level * np.exp(rng.uniform(0, np.log(100))) * rng.exponential(mean)
    fwhm, eta = rng.uniform(0.06, 0.25), rng.uniform(0.3, 0.8)
    split = 2 * np.degrees(np.tan(np.radians(place / 2))) * 0.00249
    intensity = background.copy()
    for centre, share in ((place, 1.0), (place + split, 0.5)):
        for at, top in zip(centre, share * height, strict=True):
            u = (2 * (two_theta - at) / fwhm) ** 2
            intensity += top * (eta / (1 + u) + (1 - eta) * np.exp(-np.log(2) * u))
    return two_theta, rng.poisson(intensity).astype(np.float64), background


def errors(two_theta: np.ndarray, counts: np.ndarray, background: np.ndarray):
    """Occupied share and error of the background, in units of the noise, at every knot."""
    m = measured(two_theta, counts, Radiation(1.540593, 1.544427, 0.5))
    noise = np.sqrt(np.median(m.variance(m.background, 0.0)))
    wrong = (np.interp(m.two_theta, two_theta, background) - m.background) / noise
    knots = round((m.two_theta[-1] - m.two_theta[0]) / KNOTS) + 1
    place = np.linspace(0, knots - 1, len(wrong))
    hats = np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(knots)))
    share = m.occupied @ hats / hats.sum(axis=0)
    return share, np.linalg.lstsq(hats, wrong, rcond=None)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--patterns", type=int, default=240)
    rng = np.random.default_rng(1)
    parts = [errors(*simulated(rng)) for _ in range(parser.parse_args().patterns)]
    share, wrong = (np.concatenate(x) for x in zip(*parts, strict=True))
    print("| occupied | knots | median | spread (robust) |\n|---|---|---|---|")
    for low, high in ((0, 0.1), (0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 1.01)):
        own = wrong[(share >= low) & (share < high)]
        spread = 1.4826 * np.median(np.abs(own - np.median(own)))
        print(f"| {low:g}-{min(high, 1):g} | {len(own)} | {np.median(own):.2f} | {spread:.2f} |")


if __name__ == "__main__":
    main()
