"""A picture of what the observer read: pattern, fit, background, difference, lines, absences."""

import io
from contextlib import AbstractContextManager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from xtinct.errors import XtinctError
from xtinct.extras import naming_extra
from xtinct.files.writing import write_bytes
from xtinct.observer.answer.answer_data import AnswerData
from xtinct.observer.answer.wording import told
from xtinct.observer.peaks.gridded import within

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FORMATS = (".svg", ".png", ".html")
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "xtinct",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_MEASURED, _FITTED, _BACKGROUND, _DIFFERENCE, _TICKS, _ABSENT, _FOREIGN = (
    "#1a1a1a",
    "#c8102e",
    "#7a8b99",
    "#2f6db3",
    "#2a7f46",
    "#b8860b",
    "#8e44ad",
)


def write_picture(observation: AnswerData, path: str | Path) -> None:
    """Write `observation` as .svg, .png or .html (the SVG in a page with the answer as text)."""
    path = check_picture_name(path)
    if observation.measured is None:
        raise XtinctError(f"{observation.name}: a list of peaks has no pattern to draw")
    figure = picture(observation)
    kind = "png" if path.suffix.lower() == ".png" else "svg"
    buffer = io.BytesIO()
    with _style():  # text stays text, and equal pictures are equal files
        figure.savefig(buffer, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None)
    data = buffer.getvalue()
    if path.suffix.lower() == ".html":
        svg = data.decode()
        data = _page(observation, svg[svg.index("<svg") :]).encode()
    write_bytes(path, data)


def check_picture_name(path: str | Path) -> Path:
    """The path of a picture; XtinctError where its name ends in no format that is written."""
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise XtinctError(f"{path}: a picture is written as {', '.join(_FORMATS)}")
    return path


def picture(observation: AnswerData) -> "Figure":
    """The picture as a matplotlib figure."""
    with naming_extra():
        from matplotlib.figure import Figure

    measured, fit = observation.measured, observation.fit
    with _style():
        figure = Figure(figsize=(11, 5.6), layout="constrained")
        if fit is None:
            upper = lower = figure.subplots()
        else:
            upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1.15))
        two_theta = measured.two_theta
        seen = ~within(measured.gaps, two_theta)
        shown = two_theta[seen], measured.intensity[seen]
        upper.plot(*shown, ".", ms=2, color=_MEASURED, label="measured")
        if fit is None:
            upper.plot(two_theta, measured.background, lw=1, color=_BACKGROUND, label="background")
            for line in observation.lines:
                upper.axvline(line.two_theta, ymax=0.03, color=_FOREIGN, lw=1)
        else:
            upper.plot(fit.two_theta, fit.background, lw=1, color=_BACKGROUND, label="background")
            upper.plot(fit.two_theta, fit.fitted, lw=1, color=_FITTED, label="fit of the lattice's lines")
            lower.plot(fit.two_theta, fit.residual, lw=0.8, color=_DIFFERENCE, label="measured - fit")
            lower.set_ylabel("difference")
            _ticks(lower, observation)
        upper.set_ylabel("intensity")
        # Weak lines decide, so the scale shows them.
        highest = float(measured.intensity.max())
        upper.set_yscale("function", functions=(_root, _square))
        upper.set_ylim(max(0.0, 0.5 * float(measured.background.min())), 1.05 * highest)
        upper.margins(x=0.01)
        lower.set_xlabel("2theta (degrees)")
        # A dollar sign in the name of a file begins no formula.
        upper.set_title(_title(observation), loc="left", parse_math=False)
        upper.legend(loc="upper right", frameon=False)
    return figure


def _style() -> AbstractContextManager[None]:
    """Settings of matplotlib for drawing and for writing alike."""
    with naming_extra():
        import matplotlib as mpl
    return mpl.rc_context(_STYLE)


def _root(y: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(y, 0.0))


def _square(y: np.ndarray) -> np.ndarray:
    return np.square(y)


class TickRow(NamedTuple):
    """A row of marks under the pattern: `two_theta` float64 (n,), degrees, and hkl of each, "" if unknown."""

    kind: str
    name: str
    colour: str
    two_theta: np.ndarray
    hkl: tuple[str, ...]


def tick_rows(observation: AnswerData) -> tuple[TickRow, ...]:
    """Lines of the lattice that the best class allows, those that it forbids, and peaks that are foreign.

    Without a fit there is no lattice, and every found peak is a mark of its own.
    """
    fit = observation.fit
    if fit is None:
        places = np.array([line.two_theta for line in observation.lines])
        hkl = tuple("" if line.hkl is None else " ".join(map(str, line.hkl)) for line in observation.lines)
        return (TickRow("found", "found lines", _FOREIGN, places, hkl),)
    lines = fit.centre[: len(fit.lines)]
    obverse = observation.lattice is not None and observation.lattice.centring == "R"
    hkl = [" ".join(map(str, one)) for one in fit.lines.representative(obverse=obverse).tolist()]
    absent = np.array([np.abs(observation.absent - x).min(initial=9.0) < 1e-6 for x in lines], dtype=bool)
    foreign = np.array([line.two_theta for line in observation.lines if line.hkl is None])

    def named(chosen: np.ndarray) -> tuple[str, ...]:
        return tuple(name for name, is_chosen in zip(hkl, chosen, strict=True) if is_chosen)

    return (
        TickRow("allowed", "lines", _TICKS, lines[~absent], named(~absent)),
        TickRow("absent", "absent in the best class", _ABSENT, lines[absent], named(absent)),
        TickRow("foreign", "not of this lattice", _FOREIGN, foreign, ("",) * len(foreign)),
    )


def _ticks(axes: "Axes", observation: AnswerData) -> None:
    """Ticks of the lattice's lines below the difference: allowed, absent, and peaks that are foreign."""
    residual = observation.fit.residual
    low = float(residual.min())
    height = max(float(np.ptp(residual)), 1e-9)
    for row, ticks in enumerate(tick_rows(observation)):
        y = low - (0.18 + 0.16 * row) * height
        if len(ticks.two_theta):
            places = ticks.two_theta
            axes.plot(places, np.full(len(places), y), "|", ms=6, color=ticks.colour, label=ticks.name)
    axes.set_ylim(bottom=low - 0.62 * height)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.35), ncols=4, frameon=False)


def _title(observation: AnswerData) -> str:
    lattice = observation.lattice
    if lattice is None:
        return f"{observation.name}: no lattice"
    best = observation.lattice_class
    cell = " ".join(lattice.cell_text())
    return f"{observation.name}: {lattice.bravais}  {cell}  {best.symbol}  ({best.probability:.2f})"


def _page(observation: AnswerData, svg: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(observation.name)}</title>"
        "<style>body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
        "svg{width:100%;height:auto}pre{overflow-x:auto}</style></head><body>"
        f"<h1>{escape(observation.name)}</h1>{svg}<pre>{escape(told(observation))}</pre></body></html>\n"
    )
