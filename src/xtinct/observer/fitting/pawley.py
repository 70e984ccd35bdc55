"""Whole-pattern fit of a lattice: heights of all lines free (Pawley 1981, J. Appl. Cryst. 14, 357).

Heights and background are linear and are eliminated (variable projection; Golub and Pereyra 1973; Kaufman
1975, BIT 15, 49); metric, shift and shape of the lines are refined by Gauss-Newton steps with analytic
derivatives. Lines that the lattice has no place for may be added: they are fitted where they stand.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from xtinct.errors import XtinctError
from xtinct.lattices.metric import cell_of
from xtinct.observer.fitting import normal_equations
from xtinct.observer.fitting.line_sets import Lines, lines_of
from xtinct.observer.peaks.peak_shapes import (
    SHAPE,
    Columns,
    Grid,
    Profile,
    columns,
    doublet,
    q_of,
    shapes,
    shift,
    true_angle,
)

#: Everything of the profile.
ALL = Profile._fields
#: FWHM from its centre at which a profile is cut: there a Lorentzian has fallen to 0.06 % of its height.
REACH = 20.0
#: Degrees between two knots of the correction to the background.
KNOTS = 6.0
#: A background lies too high by the first number times the share of points that peaks occupy around a knot,
#: in units of the noise of a point, and is uncertain by as much; where no peaks are, by the second number.
#: Measured on simulated patterns, whose background is known.
TOO_HIGH, UNCERTAIN = 0.6, 0.1
#: Where the profile is expected to be: centre and width of the normal prior of each parameter.
EXPECTED = Profile(0.0, 0.0, 0.0144, 0.0, 0.0, 0.5, 0.0, 0.0)
SPREAD = Profile(0.05, 0.08, 0.05, 0.05, 0.05, 0.3, 0.3, 0.05)
#: Most that one step changes a parameter; W, V and U by this or by a third of W.
_CAP = Profile(0.05, 0.05, 0.01, 0.01, 0.01, 0.2, 0.2, 0.02)
#: Drop of chi^2 below which a fit has converged: parameters are within a sixth of their errors.
_CONVERGED = 0.03
#: Points that a fit needs.
FEWEST_POINTS = 50
#: Degrees beyond the range within which a line still reaches into it.
_MARGIN = 0.3
#: Square root of the information on a parameter below which the pattern does not show it.
_SEEN = 1e-50


@dataclass(frozen=True)
class FitSettings:
    """How a pattern is fitted.

    refine      names of the profile's parameters that are refined
    metric      whether the metric is refined
    steps       Gauss-Newton steps at most
    misfit      share of a line's height by which its profile may be wrong, part of the variance
    range       2theta from which to which is fitted, degree
    variance    float64 (n,) of the whole pattern, where it is not to follow from the fit
    farthest    most that one step moves a line, degree
    errors      whether the covariance of the metric is asked for
    """

    refine: tuple[str, ...] = ALL
    metric: bool = True
    steps: int = 25
    misfit: float = 0.03
    range: tuple[float, float] = (0.0, 180.0)
    variance: np.ndarray | None = None
    farthest: float = 0.05
    errors: bool = False


@dataclass(frozen=True)
class LatticeFit:
    """A pattern as the sum of the lines of a lattice, foreign lines and a background.

    family, metric      as given, refined
    profile             refined
    lines               the lattice's lines within the range (m of them)
    foreign             float64 (f,): 2theta of the foreign lines, as observed, degree
    area                float64 (m + f,): area of every line (both components), lattice lines first
    normal, right       float64 (m + f + k, ...): normal equations of the areas and of the k heights of the
                        background's correction, in the order of `area`
    at                  slice of the pattern's points that were fitted
    two_theta, fitted, background, residual, variance   float64 (n,) of those points
    chi2                mean of residual^2 / variance per degree of freedom
    metric_covariance   float64 (p, p), NaN where it was not asked for: errors follow the residuals, whose
                        correlation along the pattern is counted (Berar and Lelann 1991)
    profile_errors      Profile of standard errors, NaN for what was not refined
    inflation           float64 (p,): factor by which the residuals widen the errors of counting statistics
    wavelength          of the first component, angstrom
    """

    family: str
    metric: np.ndarray
    profile: Profile
    lines: Lines
    foreign: np.ndarray
    area: np.ndarray
    normal: np.ndarray
    right: np.ndarray
    at: slice
    two_theta: np.ndarray
    fitted: np.ndarray
    background: np.ndarray
    residual: np.ndarray
    variance: np.ndarray
    chi2: float
    wavelength: float
    metric_covariance: np.ndarray
    profile_errors: Profile
    inflation: np.ndarray
    penalty: float = 0.0

    @property
    def step(self) -> float:
        """Distance of two points, degree."""
        return float(self.two_theta[1] - self.two_theta[0])

    @property
    def q(self) -> np.ndarray:
        """1/d^2 of the lattice's lines float64 (m,), 1/angstrom^2."""
        return self.lines.forms @ self.metric

    @property
    def angle(self) -> np.ndarray:
        """True 2theta of all lines float64 (m + f,), degree; foreign ones as if they were the specimen's."""
        own = true_angle(self.q, self.wavelength)
        return np.concatenate([own, self.foreign - shift(self.foreign, self.profile)])

    @property
    def centre(self) -> np.ndarray:
        """2theta of all lines as observed float64 (m + f,), degree."""
        own = true_angle(self.q, self.wavelength)
        return np.concatenate([own + shift(own, self.profile), self.foreign])

    @property
    def area_error(self) -> np.ndarray:
        """Standard error of every area float64 (m + f,), the others and the background free."""
        n = len(self.area)
        scale = np.sqrt(np.maximum(np.diagonal(self.normal), 1e-300))
        scaled = self.normal / np.outer(scale, scale)
        scaled[np.diag_indices(len(scaled))] += 1e-6
        return np.sqrt(np.diagonal(np.linalg.inv(scaled))[:n]) / scale[:n]

    @property
    def weighted_r(self) -> float:
        """Weighted profile R: sqrt(sum w (y - fit)^2 / sum w y^2)."""
        y = self.fitted + self.residual
        return math.sqrt(float(np.sum(self.residual**2 / self.variance) / np.sum(y**2 / self.variance)))

    def cell(self) -> tuple[np.ndarray, np.ndarray]:
        """Conventional cell float64 (6,), angstrom and degree, and its standard errors (or NaN)."""
        cell = cell_of(self.family, self.metric)
        jacobian = np.zeros((6, len(self.metric)))
        for i, value in enumerate(self.metric):
            d = 1e-6 * max(abs(value), 1e-3 * np.abs(self.metric).max())
            moved = self.metric.copy()
            moved[i] += d
            jacobian[:, i] = (cell_of(self.family, moved) - cell) / d
        return cell, np.sqrt(np.einsum("ij,jk,ik->i", jacobian, self.metric_covariance, jacobian))


@dataclass
class _Pattern:
    """The part of a measurement that is fitted, with what does not change during the fit."""

    measured: object
    settings: FitSettings
    at: slice = field(init=False)

    def __post_init__(self) -> None:
        m, (low, high) = self.measured, self.settings.range
        begin, end = np.searchsorted(m.two_theta, [low, high])
        if end - begin < FEWEST_POINTS:
            raise XtinctError(
                f"range {low:g}-{high:g} degrees: fewer than {FEWEST_POINTS} measured points in it"
            )
        self.at = slice(int(begin), int(end))
        self.t = m.two_theta[self.at]
        self.n = len(self.t)
        self.narrowest = float(m.narrowest)
        self.radiation = m.radiation
        self.wavelength = float(m.radiation.wavelength)
        self.grid = Grid(float(self.t[0]), float(self.t[1] - self.t[0]), self.n)
        knots = max(2, round((self.t[-1] - self.t[0]) / KNOTS) + 1)
        self.hats = normal_equations.hats(self.n, knots)
        noise = max(float(np.median(m.variance(m.background, 0.0)[self.at])), 1e-300)
        # Share of the points around every knot that peaks occupy.
        occupied = m.occupied[self.at].astype(np.float64)
        sums = normal_equations.projections(self.hats, np.stack([occupied, np.ones(self.n)]))
        share = sums[:, 0] / sums[:, 1]
        high = normal_equations.accumulate(self.hats, TOO_HIGH * share * math.sqrt(noise), self.n)
        self.background = np.maximum(m.background[self.at] - high, 0.0)
        self.data = np.ascontiguousarray(m.intensity[self.at]) - self.background
        # Weight of no correction, at every knot.
        self.stiffness = 1.0 / (noise * (UNCERTAIN**2 + (TOO_HIGH * share) ** 2))

    def variance(self, fitted: np.ndarray) -> np.ndarray:
        """Variance of the fitted points, given the fitted pattern on them."""
        if self.settings.variance is not None:
            return self.settings.variance[self.at]
        whole = self.measured.background.copy()
        whole[self.at] = np.maximum(fitted, 0.0)
        return self.measured.variance(whole, self.settings.misfit)[self.at]

    def smoothed(self) -> np.ndarray:
        """The measurement, smoothed, never below the background: the first idea of the fit."""
        y = np.pad(self.data, 3, mode="edge")
        return np.maximum(np.convolve(y, np.full(7, 1 / 7), "valid"), 0.0) + self.background


@dataclass
class _State:
    """Nonlinear parameters and what they give."""

    metric: np.ndarray
    profile: Profile


@dataclass
class _Solved:
    """Linear part at a state."""

    profiles: Columns
    N: np.ndarray
    rhs: np.ndarray
    first: np.ndarray
    factor: np.ndarray
    fixed: np.ndarray
    x: np.ndarray
    fitted: np.ndarray
    chi2: float


class _Fit:
    """Gauss-Newton iterations of one lattice on one pattern."""

    def __init__(self, pattern: _Pattern, lines: Lines, foreign: np.ndarray, start: _State) -> None:
        self.pattern, self.lines, self.foreign = pattern, lines, foreign
        self.settings = pattern.settings
        self.prior = start.profile
        self.names = list(self.settings.refine)
        self.p = len(start.metric) if self.settings.metric and len(lines) else 0
        self.state = start
        own = true_angle(lines.forms @ start.metric, pattern.wavelength) + start.profile.zero
        # Ascending in angle, so that only neighbours overlap.
        self.order = np.argsort(np.concatenate([own, foreign]), kind="stable")
        self.variance = pattern.variance(pattern.smoothed())

    def true_angles(self, state: _State) -> np.ndarray:
        """True 2theta of the lattice's lines, then the foreign ones' where they stand; float64 (lines,)."""
        own = true_angle(self.lines.forms @ state.metric, self.pattern.wavelength)
        return np.concatenate([own, self.foreign])

    def place(self, true: np.ndarray, profile: Profile):
        """Components of all lines, observed (`DoubletLines`); foreign ones are not shifted."""
        placed = doublet(true, self.pattern.radiation, profile)
        away = np.zeros_like(true)
        away[len(self.lines) :] = shift(true[len(self.lines) :], profile)
        return placed._replace(first=placed.first - away, second=placed.second - away)

    def solve(self, state: _State, derivatives: bool = True) -> _Solved:
        """Areas and background at a state."""
        p, o = self.pattern, self.order
        true = self.true_angles(state)[o]
        shape = shapes(true, state.profile, p.narrowest)
        placed = self.place(self.true_angles(state), state.profile)
        placed = placed._replace(first=placed.first[o], second=placed.second[o], stretch=placed.stretch[o])
        profiles = columns(p.grid, placed, shape.fwhm, shape.eta, shape.skew, REACH, derivatives)
        weight = 1.0 / self.variance
        N, rhs, firsts = normal_equations.normal_equations(profiles, p.hats, weight, p.data)
        n_lines = len(o)
        on_background = np.arange(n_lines, len(rhs))
        N[on_background, on_background] += p.stiffness
        diagonal = np.diagonal(N)
        ridge = np.zeros(len(rhs))
        ridge[:n_lines] = 1e-4 * diagonal[:n_lines] + 1e-9 * diagonal[:n_lines].max(initial=1e-300)
        x, factor, fixed = normal_equations.not_negative(N, rhs, firsts, ridge, n_lines)
        fitted = normal_equations.accumulate(profiles, x[:n_lines], p.n)
        fitted += normal_equations.accumulate(p.hats, x[n_lines:], p.n)
        residual = p.data - fitted
        chi2 = float(weight @ (residual * residual)) + self.penalty(state.profile)
        return _Solved(profiles, N, rhs, firsts, factor, fixed, x, fitted, chi2)

    def penalty(self, profile: Profile) -> float:
        """Twice the negative logarithm of the profile's prior."""
        return sum(
            ((getattr(profile, name) - getattr(EXPECTED, name)) / getattr(SPREAD, name)) ** 2
            for name in self.names
        )

    def factors(self, state: _State, x: np.ndarray) -> np.ndarray:
        """float64 (K, 4, lines): areas times derivatives of position, FWHM, eta, skew by every parameter."""
        p, m = self.pattern, len(self.lines)
        true = self.true_angles(state)
        shape = shapes(true, state.profile, p.narrowest)
        area = np.empty(len(true))
        area[self.order] = x[: len(true)]
        out = np.zeros((self.p + len(self.names), 4, len(true)))
        if self.p:
            out[: self.p, 0, :m] = self.lines.forms.T * (self.degrees_per_q(state) * area[:m])
        own = area * (np.arange(len(true)) < m)
        for i, name in enumerate(self.names, start=self.p):
            if name in SHAPE:
                row = SHAPE.index(name)
                out[i, 1:] = np.stack([shape.by_fwhm[row], shape.by_eta[row], shape.by_skew[row]]) * area
            else:
                out[i, 0] = own if name == "zero" else own * np.cos(np.radians(true / 2.0))
        return np.ascontiguousarray(out[:, :, self.order])

    def degrees_per_q(self, state: _State) -> np.ndarray:
        """Change of 2theta, degree, with 1/d^2 of the lattice's lines, float64 (m,)."""
        q, wavelength = self.lines.forms @ state.metric, self.pattern.wavelength
        cosine = np.sqrt(np.maximum(1.0 - q * wavelength**2 / 4.0, 1e-3))
        return np.degrees(wavelength / (2.0 * np.sqrt(np.maximum(q, 1e-9)) * cosine))

    def jacobian(self, state: _State, solved: _Solved):
        """Derivatives of the pattern (K, n), and what of them the linear part cannot imitate."""
        p = self.pattern
        n_lines = len(self.order)
        G = normal_equations.gradients(solved.profiles, self.factors(state, solved.x), p.n)
        weighted = G / self.variance
        parts = (solved.profiles, p.hats)
        right = np.vstack([normal_equations.projections(part, weighted) for part in parts])
        right[solved.fixed] = 0.0
        imitation = normal_equations.solve(solved.factor, solved.first, right)
        M = weighted @ G.T - right.T @ imitation
        return G, weighted, imitation, M, n_lines

    def step(self, state: _State, solved: _Solved, damping: float):
        """(next state, largest change in units of its error)."""
        K = self.p + len(self.names)
        _, weighted, _, M, _ = self.jacobian(state, solved)
        g = weighted @ (self.pattern.data - solved.fitted)
        for i, name in enumerate(self.names):
            spread, expected = getattr(SPREAD, name), getattr(EXPECTED, name)
            M[self.p + i, self.p + i] += spread**-2
            g[self.p + i] -= (getattr(state.profile, name) - expected) / spread**2
        # Far below what any parameter is worth, so that a parameter without effect divides by no zero.
        scale = np.sqrt(np.maximum(np.diagonal(M), 1e-30 * max(float(np.abs(M).max()), 1e-200)))
        scaled = M / np.outer(scale, scale)
        scaled[np.diag_indices(K)] += damping
        change = np.linalg.solve(scaled, g / scale) / scale
        # Significance of the step as a whole: its drop of chi^2.
        gain = float(change @ g)
        metric = state.metric
        factor = 1.0
        if self.p:
            move = self.degrees_per_q(state) * np.abs(self.lines.forms @ change[: self.p])
            factor = min(1.0, self.settings.farthest / max(move.max(), 1e-12))
            metric = metric + factor * change[: self.p]
        values = state.profile._asdict()
        for i, name in enumerate(self.names):
            cap = getattr(_CAP, name)
            if name in "WVU":
                cap = max(cap, values["W"] / 3.0)
            delta = float(np.clip(change[self.p + i], -cap, cap))
            values[name] += factor * delta if name in ("zero", "displacement") else delta
        values["W"] = max(values["W"], self.pattern.narrowest**2)
        values["eta0"] = min(max(values["eta0"], 0.0), 1.0)
        return _State(metric, Profile(**values)), gain

    def run(self) -> tuple[_State, _Solved]:
        """Refine; the state and the linear part at it."""
        K = self.p + len(self.names)
        state = self.state
        solved = self.solve(state, derivatives=K > 0)
        damping = 1e-5
        for number in range(self.settings.steps if K else 0):
            proposed, gain = self.step(state, solved, damping)
            # Where the equations are singular, the step is no number: it counts as one that made it worse.
            trial = self.solve(proposed) if np.isfinite(proposed.metric).all() else None
            if trial is None or not trial.chi2 <= solved.chi2 * (1 + 1e-6):
                damping = max(damping, 1e-2) * 10.0
                if damping > 50.0:
                    break
                continue
            converged = abs(gain) < _CONVERGED and solved.chi2 - trial.chi2 < _CONVERGED
            state, solved = proposed, trial
            damping = max(damping / 10.0, 1e-8)
            if number < 4 or number == 7:
                # The weights follow the fit until it is near; then they stay, so that chi^2 is one function.
                before = self.variance
                self.variance = self.pattern.variance(solved.fitted + self.pattern.background)
                if before is not self.variance and self.settings.variance is None:
                    solved = self.solve(state)
            if converged:
                break
        return state, solved

    def result(self) -> LatticeFit:
        """Refine and collect."""
        p = self.pattern
        state, solved = self.run()
        n_lines, m = len(self.order), len(self.lines)
        inverse = np.argsort(self.order)
        place = np.concatenate([inverse, np.arange(n_lines, len(solved.rhs))])
        background = p.background + normal_equations.accumulate(p.hats, solved.x[n_lines:], p.n)
        freedom = max(1, p.n - int((~solved.fixed[:n_lines]).sum()) - self.p - len(self.names))
        residual = p.data - solved.fitted
        chi2 = float(np.sum(residual**2 / self.variance)) / freedom
        covariance, errors, inflation = self.errors(state, solved, residual, chi2)
        return LatticeFit(
            family=self.lines.family,
            metric=state.metric,
            profile=state.profile,
            lines=self.lines,
            foreign=self.foreign,
            area=solved.x[:n_lines][inverse] if m or n_lines else np.zeros(0),
            normal=solved.N[np.ix_(place, place)],
            right=solved.rhs[place],
            at=p.at,
            two_theta=p.t,
            fitted=solved.fitted + p.background,
            background=background,
            residual=residual,
            variance=self.variance,
            chi2=chi2,
            wavelength=p.wavelength,
            metric_covariance=covariance,
            profile_errors=errors,
            inflation=inflation,
            penalty=self.penalty(state.profile),
        )

    def errors(self, state: _State, solved: _Solved, residual: np.ndarray, chi2: float):
        """Covariance of the metric, errors of the profile, inflation of the metric's errors.

        The covariance of counting statistics is widened, parameter by parameter, by the larger of the mean
        misfit and of the variance that the residuals show in the direction of the parameter when points
        within a line's width are not taken as independent (the estimate of Newey and West 1987).
        """
        width = len(state.metric)
        K = self.p + len(self.names)
        missing = np.full((width, width), np.nan)
        no_errors = Profile(*[math.nan] * len(ALL))
        if not self.settings.errors or not K:
            return missing, no_errors, np.full(width, np.nan)
        G, _, imitation, M, n_lines = self.jacobian(state, solved)
        p = self.pattern
        own = np.empty_like(G)
        for k in range(K):
            copied = normal_equations.accumulate(solved.profiles, imitation[:n_lines, k], p.n)
            own[k] = G[k] - copied - normal_equations.accumulate(p.hats, imitation[n_lines:, k], p.n)
        told = np.zeros(K)  # precision of the prior
        told[self.p :] = [getattr(SPREAD, name) ** -2 for name in self.names]
        scale = np.sqrt(np.maximum(np.diagonal(M) + told, 0.0))
        if not (scale > _SEEN).all():
            # No line has a height, so nothing shows where lines are.
            return missing, no_errors, np.full(width, np.nan)
        scaled = (M + np.diag(told)) / np.outer(scale, scale)
        scaled[np.diag_indices(K)] += 1e-9
        ideal = np.linalg.inv(scaled) / np.outer(scale, scale)
        score = own * (residual / self.variance)
        fwhm = float(np.median(shapes(self.true_angles(state), state.profile, p.narrowest).fwhm))
        lags = max(2, round(2.0 * fwhm / p.grid.step))
        spread = score @ score.T
        for lag in range(1, min(lags, p.n - 1) + 1):
            cross = score[:, lag:] @ score[:, :-lag].T
            spread += (1.0 - lag / (lags + 1.0)) * (cross + cross.T)
        covariance = ideal @ (M * max(1.0, chi2) + np.diag(told)) @ ideal
        correlated = np.diagonal(ideal @ (spread + np.diag(told)) @ ideal)
        factor = np.sqrt(np.maximum(1.0, correlated / np.maximum(np.diagonal(covariance), 1e-300)))
        covariance = covariance * np.outer(factor, factor)
        factor = np.sqrt(np.diagonal(covariance) / np.diagonal(ideal))
        named = dict.fromkeys(ALL, math.nan)
        for i, name in enumerate(self.names):
            named[name] = float(np.sqrt(covariance[self.p + i, self.p + i]))
        if not self.p:
            return missing, Profile(**named), np.full(width, np.nan)
        return covariance[: self.p, : self.p], Profile(**named), factor[: self.p]


def fit_lattice(
    measured,
    family: str,
    metric: np.ndarray,
    profile: Profile,
    *,
    foreign: Sequence[float] | np.ndarray = (),
    settings: FitSettings | None = None,
) -> LatticeFit:
    """Fit the lines of a lattice, and foreign ones, to a measured pattern.

    measured   xtinct.observer.peaks.gridded.Measured
    family     crystal family; metric float64 (p,): reciprocal metric, numbers of `form_metric`
    profile    from which the refinement starts; its prior is EXPECTED and SPREAD
    foreign    2theta of lines, as observed, that are not the lattice's
    Raises XtinctError when the range has fewer than 50 points or no line of the lattice.
    """
    settings = settings or FitSettings()
    pattern = _Pattern(measured, settings)
    metric = np.asarray(metric, dtype=np.float64)
    lines = lines_within(family, metric, (pattern.t[0], pattern.t[-1]), pattern.wavelength)
    foreign = np.asarray(foreign, dtype=np.float64)
    foreign = foreign[(foreign > pattern.t[0]) & (foreign < pattern.t[-1])]
    return _Fit(pattern, lines, foreign, _State(metric, profile)).result()


def lines_within(family: str, metric: np.ndarray, span: tuple[float, float], wavelength: float) -> Lines:
    """Lines of a metric whose profiles reach into a range of 2theta; XtinctError where there are none."""
    low, high = (
        q_of(angle, wavelength) for angle in (max(span[0] - _MARGIN, 0.5), min(span[1] + _MARGIN, 179.0))
    )
    lines = lines_of(family, metric, float(low), float(high))
    if not len(lines):
        raise XtinctError(f"{family} cell: no line between {span[0]:g} and {span[1]:g} degrees")
    return lines
