"""Ceilings of a measurement: finite resolution, a detection threshold, random intensities.

Definition. A lattice is drawn from the configured distribution and is known to the observer (after
indexing; not the names of its axes where the family leaves them open). A space group is drawn from
the prior. Every line that its extinction law allows gets an independent intensity of the intensity
law: uniform in (0, 1). The measurement divides the 2theta range into resolution elements of the
given width, starting at its lower end. Of an element at 2theta the observer learns

* "intensities": the sum s of the intensities of the lines in it, if it is detected;
* "detection": only whether it is detected.

An element is detected when s g(2theta) >= threshold, where g is the geometric (Lorentz) factor
relative to that of the lattice's first line in range; the threshold is thus a fraction of the
largest height that the first line can have. An element without lines is never detected.

The best top-k accuracy is reached by the observer who knows all this and names the k labels with
the largest posterior probability; elements are independent given the absence set, so

    P(set | data) ~ P(set) product over elements of p(s | n),   n = lines of the element in the set
    p(s | n) = density of a sum of n uniform numbers (Irwin and Hall 1927)
    P(undetected | n) = its distribution function at threshold / g

The ceiling is the mean of the sum of the k largest posterior probabilities over lattices and
drawn intensities, every absence set taking its turn as the true one and counting with its prior;
the standard error comes from the spread between lattices. Perfect resolution
without threshold gives the ceiling of the lattice distribution; a range without lines gives the prior.
Two lines in one element are never resolved and two lines in neighbouring elements always are: the
width is the resolution of a good profile fit, not a claim about peak overlap in detail.
"""

import math
from dataclasses import dataclass

import numpy as np

from xtinct.ceiling.extinction import USUAL, CeilingQuestion, k_largest
from xtinct.ceiling.hypotheses import Hypotheses, Window
from xtinct.ceiling.lattice_ranges import sampled_cells
from xtinct.compiling import njit
from xtinct.errors import XtinctError
from xtinct.lattices.distributions import LatticeSpec
from xtinct.lattices.metric import form_metric
from xtinct.linelists.ordering import EQUAL_D
from xtinct.patterns.instrument import Instrument
from xtinct.patterns.lorentz import LORENTZ, geometric_factor, polarisation_of
from xtinct.radiation.wavelength import check_wavelength
from xtinct.randomness import stream_key, subkey, uniform

USES = ("intensities", "detection")


@dataclass(frozen=True)
class MeasurementModel:
    """What is measured.

    wavelength     angstrom
    two_theta_min  degree
    two_theta_max  degree
    width          of a resolution element, degree 2theta; 0: perfect resolution
    threshold      smallest detected height, in units of the largest height of the first line; 0: none
    lorentz        geometric factor, lorentz | lorentz-polarisation
    monochromator  2theta of the monochromator's reflection, degree; 0: none
    uses           what the observer learns of an element: intensities | detection
    """

    wavelength: float
    two_theta_min: float
    two_theta_max: float
    width: float
    threshold: float
    lorentz: str = "lorentz"
    monochromator: float = 0.0
    uses: str = "intensities"

    def __post_init__(self) -> None:
        if not 0 <= self.two_theta_min <= self.two_theta_max < 180 or self.two_theta_max == 0:
            raise XtinctError(
                f"measurement.two_theta: {self.two_theta_min}-{self.two_theta_max} degrees, "
                "expected 0 <= min <= max < 180"
            )
        check_wavelength("measurement.wavelength", self.wavelength, self.two_theta_max)
        for key in ("width", "threshold"):
            if not 0 <= getattr(self, key) < math.inf:
                raise XtinctError(f"measurement.{key}: {getattr(self, key)}, expected 0 or more")
        if self.lorentz not in LORENTZ:
            raise XtinctError(f"measurement.lorentz: {self.lorentz!r}, expected one of {', '.join(LORENTZ)}")
        if self.uses not in USES:
            raise XtinctError(f"measurement.uses: {self.uses!r}, expected one of {', '.join(USES)}")

    @classmethod
    def of_instrument(
        cls, instrument: Instrument, threshold: float, uses: str = "intensities"
    ) -> "MeasurementModel":
        """Range and geometric factor of an instrument; elements as wide as its peaks at half height."""
        return cls(
            wavelength=instrument.wavelength,
            two_theta_min=instrument.two_theta_min,
            two_theta_max=instrument.two_theta_max,
            width=instrument.resolution,
            threshold=threshold,
            lorentz=instrument.lorentz,
            monochromator=instrument.monochromator,
            uses=uses,
        )

    @property
    def window(self) -> Window:
        """The range as 1/d."""
        low, high = (
            2.0 * math.sin(math.radians(angle / 2.0)) / self.wavelength
            for angle in (self.two_theta_min, self.two_theta_max)
        )
        return Window(low, high)


@dataclass(frozen=True)
class MeasurementCeiling:
    """Ceilings of a measurement.

    ceilings         k -> best top-k accuracy
    standard_errors  k -> Monte-Carlo standard error
    lost_pairs       (symbol, symbol, probability) by falling probability: how often the posterior's
                     weight lies on the other class of the pair than the true one
    """

    ceilings: dict[int, float]
    standard_errors: dict[int, float]
    lost_pairs: tuple[tuple[str, str, float], ...]


def measurement_ceiling(
    family: str,
    spec: LatticeSpec,
    measurement: MeasurementModel,
    *,
    question: CeilingQuestion = USUAL,
    seed: int = 0,
    lattices: int = 200,
    draws: int = 2,
) -> MeasurementCeiling:
    """Best top-k accuracy of a measurement, over `lattices` lattices of `spec`.

    On each lattice every absence set draws its intensities `draws` times. See the module's docstring
    for the definition.
    """
    ks = question.ks
    if lattices < 2 or draws < 1:
        raise XtinctError(f"{lattices} lattices with {draws} draws: expected at least 2 and 1")
    hypotheses = Hypotheses(family, measurement.window.d_star_max, spec.length_max, spec.angles)
    weights, _, total = hypotheses.joint(question.target, question.prior)
    joint = (weights / total).astype(np.float64)
    cells = sampled_cells(family, spec, seed, lattices)
    key = stream_key(seed, "measurement", family)
    classes = sorted(set(hypotheses.symbols))
    of_class = np.array([[symbol == name for name in classes] for symbol in hypotheses.symbols], dtype=float)
    prior_of_set = joint.sum(axis=1)
    given_set = np.divide(
        joint, prior_of_set[:, None], out=np.zeros_like(joint), where=prior_of_set[:, None] > 0
    )
    truth = np.repeat(np.flatnonzero(prior_of_set), draws)
    turn = prior_of_set[truth] / draws
    top = np.empty((len(cells), len(ks)))
    confusion = np.zeros((len(classes), len(classes)))
    for i, cell in enumerate(cells):
        counts, threshold = resolution_elements(hypotheses, cell, measurement)
        log_likelihood = _simulate(
            counts,
            threshold,
            truth,
            measurement.uses == "detection",
            np.uint64(subkey(key, i)),
        )
        posterior = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True)) * prior_of_set
        posterior /= posterior.sum(axis=1, keepdims=True)
        right_of_truth = k_largest(times(posterior, given_set), ks)
        top[i] = [(turn * right_of_truth[k]).sum() for k in ks]
        weight_on_class = turn[:, None] * times(posterior, of_class)
        confusion += times(of_class[truth].T, weight_on_class) / len(cells)
    lost = confusion + confusion.T
    pairs = [
        (classes[a], classes[b], float(lost[a, b]))
        for a in range(len(classes))
        for b in range(a + 1, len(classes))
        if lost[a, b] > 1e-12
    ]
    return MeasurementCeiling(
        ceilings={k: float(top[:, j].mean()) for j, k in enumerate(ks)},
        standard_errors={k: float(top[:, j].std(ddof=1) / math.sqrt(len(top))) for j, k in enumerate(ks)},
        lost_pairs=tuple(sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))),
    )


def times(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Matrix product summed in one fixed order: it does not depend on cores or the BLAS library."""
    return np.einsum("ij,jk->ik", left, right)


@dataclass(frozen=True)
class LatticeLines:
    """The lines of one lattice within a measurement.

    forms      int64 (n,), indices of the quadratic forms in range, ascending in d*
    line       int64 (n,), the line that each form belongs to
    sin_theta  float64 (n_lines,)
    element    int64 (n_lines,), resolution element of each line, numbered without gaps
    """

    forms: np.ndarray
    line: np.ndarray
    sin_theta: np.ndarray
    element: np.ndarray

    @property
    def n_elements(self) -> int:
        """Elements that hold lines."""
        return int(self.element[-1]) + 1 if len(self.element) else 0


def lines_in_elements(
    hypotheses: Hypotheses, cell: np.ndarray, measurement: MeasurementModel
) -> LatticeLines:
    """Lines of the lattice `cell` (6,) that some hypothesis has, and their resolution elements."""
    window = measurement.window
    hypotheses.check_window(window)
    q = hypotheses.lines.forms @ form_metric(hypotheses.family, cell[None])[0]
    in_range = (q >= window.d_star_min**2 * (1 - 1e-12)) & (q <= window.d_star_max**2 * (1 + 1e-12))
    forms = np.flatnonzero(in_range & hypotheses.allowed.any(axis=0))
    forms = forms[np.argsort(q[forms], kind="stable")]
    q = q[forms]
    first = np.concatenate([[True], np.diff(q) > EQUAL_D * q[1:]])[: len(q)]
    sin_theta = np.sqrt(q[first]) * measurement.wavelength / 2
    element = np.arange(len(sin_theta))
    if measurement.width > 0:
        two_theta = 2 * np.degrees(np.arcsin(np.minimum(sin_theta, 1.0)))
        number = np.floor((two_theta - measurement.two_theta_min) / measurement.width)
        element = np.cumsum(np.diff(number, prepend=number[:1]) > 0)
    return LatticeLines(forms, np.cumsum(first) - 1, sin_theta, element)


def resolution_elements(
    hypotheses: Hypotheses, cell: np.ndarray, measurement: MeasurementModel
) -> tuple[np.ndarray, np.ndarray]:
    """(lines of every absence set in every element, smallest detected sum of intensities).

    int16 (n_sets, n_elements) and float64 (n_elements,) for the lattice `cell` (6,).
    """
    lattice = lines_in_elements(hypotheses, cell, measurement)
    shown = np.zeros((len(lattice.sin_theta), len(hypotheses.symbols)), dtype=bool)
    np.logical_or.at(shown, lattice.line, hypotheses.allowed[:, lattice.forms].T)
    counts = np.zeros((lattice.n_elements, shown.shape[1]), dtype=np.int16)
    np.add.at(counts, lattice.element, shown)
    if not lattice.n_elements or not measurement.threshold:
        return np.ascontiguousarray(counts.T), np.zeros(lattice.n_elements)
    factor = geometric_factor(
        lattice.sin_theta,
        np.sqrt(1 - lattice.sin_theta**2),
        polarisation_of(measurement.lorentz, measurement.monochromator),
    )
    mean = np.bincount(lattice.element, weights=factor) / np.bincount(lattice.element)
    return np.ascontiguousarray(counts.T), measurement.threshold * factor[0] / mean


@njit(cache=True)
def irwin_hall(x, densities):
    """Fill densities[n] with the density at `x` of a sum of n uniform numbers, n = 1, ..., size - 1.

    Recurrence of B-splines: f_n(x) = (x f_{n-1}(x) + (n - x) f_{n-1}(x - 1)) / (n - 1), sums of
    positive terms only. densities[0] is set to 0.
    """
    size = densities.size
    row = np.zeros(size + 1)  # row[i] = f_n(x - i)
    for i in range(size + 1):
        if 0.0 <= x - i < 1.0:
            row[i] = 1.0
    densities[0] = 0.0
    if size > 1:
        densities[1] = row[0]
    for n in range(2, size):
        for i in range(size):
            y = x - i
            row[i] = (y * row[i] + (n - y) * row[i + 1]) / (n - 1) if y > 0.0 else 0.0
        densities[n] = row[0]


@njit(cache=True)
def irwin_hall_below(x, probabilities):
    """Fill probabilities[n] with P(sum of n uniform numbers < x), n = 0, ..., size - 1.

    F_n(x) = f_{n+1}(x) + f_{n+1}(x - 1) + ...
    """
    size = probabilities.size
    densities = np.empty(size + 1)
    probabilities[:] = 0.0
    probabilities[0] = 1.0
    shift = x
    while shift > 0.0:
        irwin_hall(shift, densities)
        for n in range(1, size):
            probabilities[n] += densities[n + 1]
        if shift > size:  # every sum of fewer terms is below
            probabilities[:] = 1.0
            return
        shift -= 1.0
    for n in range(size):
        probabilities[n] = min(1.0, probabilities[n])


@njit(cache=True)
def _simulate(counts, threshold, truth, detection_only, key):
    """Log-likelihoods float64 (n, n_sets) of all absence sets, one pattern for each set in `truth` (n,)."""
    n_sets, n_elements = counts.shape
    out = np.zeros((truth.size, n_sets))
    most = 0
    for s in range(n_sets):
        for e in range(n_elements):
            most = max(most, counts[s, e])
    densities = np.empty(most + 1)
    below = np.zeros((n_elements, most + 1))
    for e in range(n_elements):
        irwin_hall_below(min(threshold[e], most + 2.0), below[e])
    for d in range(truth.size):
        stream = subkey(key, np.uint64(d))
        t = truth[d]
        counter = np.uint64(0)
        for e in range(n_elements):
            total = 0.0
            for _ in range(counts[t, e]):
                total += uniform(stream, counter)
                counter += np.uint64(1)
            detected = counts[t, e] > 0 and total >= threshold[e]
            if detected and not detection_only:
                irwin_hall(total, densities)
            for s in range(n_sets):
                n = counts[s, e]
                if not detected:
                    p = below[e, n]
                elif detection_only:
                    p = 1.0 - below[e, n]
                else:
                    p = densities[n]
                out[d, s] += np.log(p) if p > 0.0 else -np.inf
    return out
