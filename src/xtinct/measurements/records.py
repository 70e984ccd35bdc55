"""What a file of a measurement holds: a profile, or a list of peaks."""

from dataclasses import dataclass, field

import numpy as np

from xtinct.errors import XtinctError
from xtinct.measurements.axes import Axis
from xtinct.radiation.tubes import Radiation


@dataclass(frozen=True)
class Measurement:
    """One measured profile.

    two_theta        float64 (n,), degrees, strictly ascending
    intensity        float64 (n,), as in the file: counts if the file says so
    sigma            float64 (n,), standard uncertainties of the intensities; None where the file has none
    radiation        None where neither the file nor the caller says it
    notes            what was converted, sorted, ignored, completed: one plain sentence each
    name             file, and the scan or block where there are several
    counting_time    seconds per step, None if unknown
    monochromator    2theta of the monochromator, degrees, None if unknown

    XtinctError for columns that are no numbers, of different lengths or without order.
    """

    two_theta: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray | None = None
    radiation: Radiation | None = None
    notes: tuple[str, ...] = ()
    name: str = ""
    counting_time: float | None = None
    monochromator: float | None = None

    def __post_init__(self) -> None:
        where = self.name or "pattern"
        for column in ("two_theta", "intensity", "sigma"):
            values = getattr(self, column)
            if values is None and column == "sigma":
                continue
            try:
                values = np.asarray(values, dtype=np.float64)
            except (TypeError, ValueError):
                raise XtinctError(f"{where}: {column} holds something that is no number") from None
            object.__setattr__(self, column, values)
            if values.ndim != 1 or values.shape != self.two_theta.shape:
                beside = f"{column} {values.shape} beside two_theta {self.two_theta.shape}"
                raise XtinctError(f"{where}: {beside}, expected (n,) each")
        if not (np.isfinite(self.two_theta).all() and np.isfinite(self.intensity).all()):
            raise XtinctError(f"{where}: two_theta and intensity: all values must be finite")
        if not (np.diff(self.two_theta) > 0).all():
            raise XtinctError(f"{where}: two_theta must ascend, each angle once")


@dataclass(frozen=True)
class PeakTable:
    """A list of peaks without a profile, d descending.

    d            float64 (n,), angstrom
    two_theta    float64 (n,), degrees; None where no wavelength is known
    intensity    float64 (n,), in any unit; None where the list has none
    d_error      float64 (n,), standard uncertainties of d, angstrom; None where the list has none
    radiation, notes, name    as of a Measurement
    """

    d: np.ndarray
    two_theta: np.ndarray | None = None
    intensity: np.ndarray | None = None
    d_error: np.ndarray | None = None
    radiation: Radiation | None = None
    notes: tuple[str, ...] = ()
    name: str = ""


@dataclass
class Scan:
    """Columns as a format's reader found them, before axis, order and gaps are looked at.

    x             float64 (n,), in the unit of `axis` (None: the file does not say)
    y             float64 (n,); None in a list of positions alone
    sigma         float64 (n,) of y, or None; x_error: of x, in its unit, or None
    rows          int (n,): line of the file of each point, for messages; None where points are no lines
    peaks         True: a list of peaks; False: a profile; None: to be judged by the steps
    alike         the other columns of positions that the file has, by their axes: float64 (n,) each
    others as of a Measurement
    """

    x: np.ndarray
    y: np.ndarray | None
    axis: Axis | None = None
    sigma: np.ndarray | None = None
    x_error: np.ndarray | None = None
    rows: np.ndarray | None = None
    peaks: bool | None = None
    alike: dict[Axis, np.ndarray] = field(default_factory=dict)
    radiation: Radiation | None = None
    notes: list[str] = field(default_factory=list)
    name: str = ""
    counting_time: float | None = None
    monochromator: float | None = None
