"""A picture of the lines of a crystal: sticks of their intensities, and a tick mark for each line."""

import io
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtinct.crystals.line_text import COLUMNS, hkl_text
from xtinct.errors import XtinctError
from xtinct.extras import naming_extra
from xtinct.files.writing import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FORMATS = (".svg", ".png", ".html")
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "xtinct",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_STICKS, _TICKS = "#1a1a1a", "#2a7f46"
#: Lines at least this strong are named, as far as names have room: degrees from name to name, as a share of
#: the range.
_NAMED, _ROOM = 3.0, 0.014


def write_lines_picture(lines: Any, path: str | Path, title: str = "") -> None:
    """Write a `LinesOfCrystal` as .svg, .png or .html (the SVG in a page with the table)."""
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise XtinctError(f"{path}: a picture is written as {', '.join(FORMATS)}")
    buffer = io.BytesIO()
    metadata = None if kind == ".png" else {"Date": None}
    figure = lines_picture(lines, title)
    figure.savefig(buffer, format="png" if kind == ".png" else "svg", dpi=160, metadata=metadata)
    data = buffer.getvalue()
    if kind == ".html":
        svg = data.decode()
        data = _page(lines, svg[svg.index("<svg") :], title).encode()
    write_bytes(path, data)


def lines_picture(lines: Any, title: str = "") -> "Figure":
    """The picture as a matplotlib figure."""
    with naming_extra():
        import matplotlib as mpl
        from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, 5), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(9, 1))
        upper.vlines(lines.two_theta, 0, lines.intensity, color=_STICKS, lw=1)
        for i in _named(lines):
            upper.annotate(
                hkl_text(lines.families[i][0].hkl),
                (lines.two_theta[i], lines.intensity[i]),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                va="bottom",
                rotation=90,
                fontsize=7,
            )
        upper.set(ylabel="intensity", ylim=(0, 118))
        upper.set_title(title or lines.space_group, loc="left")
        lower.vlines(lines.two_theta, 0, 1, color=_TICKS, lw=0.8)
        lower.set(yticks=[], ylim=(0, 1), xlabel=f"2theta (degrees) at {lines.wavelength:.6g} angstrom")
        lower.spines["left"].set_visible(False)
    return figure


def _named(lines: Any) -> list[int]:
    """Lines whose names find room, the strongest first."""
    room = _ROOM * (lines.two_theta[-1] - lines.two_theta[0])
    named: list[int] = []
    for i in (-lines.intensity).argsort(kind="stable").tolist():
        if lines.intensity[i] < _NAMED:
            break
        if all(abs(lines.two_theta[i] - lines.two_theta[j]) > room for j in named):
            named.append(i)
    return named


def _page(lines: Any, svg: str, title: str) -> str:
    heading = escape(title or lines.space_group)
    head = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in lines.text_rows()
    )
    about = "".join(f"<p>{escape(line)}</p>" for line in lines.heading())
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{heading}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<style>body{font:15px/1.5 sans-serif;max-width:70em;margin:1em auto;padding:0 1em}"
        "svg{width:100%;height:auto}table{border-collapse:collapse}"
        "td,th{padding:.1em .8em;text-align:right;font-variant-numeric:tabular-nums}</style></head>\n"
        f"<body><h1>{heading}</h1>{about}\n{svg}\n<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n"
        "</tbody></table></body></html>\n"
    )
