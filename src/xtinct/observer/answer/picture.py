"""A picture of what the observer read: pattern, fit, background, difference, lines, absences."""

import io
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xtinct.errors import XtinctError
from xtinct.files.writing import write_bytes
from xtinct.observer.answer.answer_data import AnswerData
from xtinct.observer.answer.wording import told

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
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise XtinctError(f"{path}: a picture is written as {', '.join(_FORMATS)}")
    if observation.measured is None:
        raise XtinctError(f"{observation.name}: a list of peaks has no pattern to draw")
    figure = picture(observation)
    kind = "png" if path.suffix.lower() == ".png" else "svg"
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None)
    data = buffer.getvalue()
    if path.suffix.lower() == ".html":
        svg = data.decode()
        data = _page(observation, svg[svg.index("<svg") :]).encode()
    write_bytes(path, data)


def picture(observation: AnswerData) -> "Figure":
    """The picture as a matplotlib figure."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise XtinctError("a picture needs matplotlib: pip install matplotlib") from None

    measured, fit = observation.measured, observation.fit
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, 5.6), layout="constrained")
        if fit is None:
            upper = lower = figure.subplots()
        else:
            upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1.15))
        two_theta = measured.two_theta
        upper.plot(two_theta, measured.intensity, ".", ms=2, color=_MEASURED, label="measured")
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
        upper.set_title(_title(observation), loc="left")
        upper.legend(loc="upper right", frameon=False)
    return figure


def _root(y: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(y, 0.0))


def _square(y: np.ndarray) -> np.ndarray:
    return np.square(y)


def _ticks(axes: "Axes", observation: AnswerData) -> None:
    """Ticks of the lattice's lines below the difference: allowed, absent, and peaks that are foreign."""
    fit = observation.fit
    lines = fit.centre[: len(fit.lines)]
    low = float(fit.residual.min())
    height = max(float(np.ptp(fit.residual)), 1e-9)
    absent = np.array([np.abs(observation.absent - x).min(initial=9.0) < 1e-6 for x in lines], dtype=bool)
    foreign = [line.two_theta for line in observation.lines if line.hkl is None]
    rows = (
        (lines[~absent], _TICKS, "lines"),
        (lines[absent], _ABSENT, "absent in the best class"),
        (np.array(foreign), _FOREIGN, "not of this lattice"),
    )
    for row, (places, colour, name) in enumerate(rows):
        y = low - (0.18 + 0.16 * row) * height
        if len(places):
            axes.plot(places, np.full(len(places), y), "|", ms=6, color=colour, label=name)
    axes.set_ylim(bottom=low - 0.62 * height)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.35), ncols=4, frameon=False)


def _title(observation: AnswerData) -> str:
    lattice = observation.lattice
    if lattice is None:
        return f"{observation.name}: no lattice"
    best = observation.classes[0]
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
