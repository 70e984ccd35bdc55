"""What the observer says, as text for a terminal or a page."""

from collections.abc import Iterable, Sequence

from xtinct.observer.answer.answer_data import AnswerData
from xtinct.symmetry.operations import hermann_mauguin

#: How many lattices, classes and groups are told.
_TOLD = 5
#: Of tables that rank classes and groups side by side.
RANKED_APART = "Each column is ranked by itself: the class and the group of a row need not belong together."


def told(observation: AnswerData) -> str:
    """The answer as text: lattices, classes and groups, deciding lines, what is to be known, and lines."""
    parts = [observation.name, symmetry(observation), statements(observation), lines(observation)]
    return "\n\n".join(part for part in parts if part)


def symmetry(observation: AnswerData) -> str:
    """Lattices, classes and groups as tables, and the lines that decide; that there is no lattice."""
    parts = [_lattices(observation)]
    if observation.lattices:
        parts += [_classes(observation), _deciding(observation)]
    return "\n\n".join(part for part in parts if part)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as their widest cell."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    cells.insert(1, ["-" * width for width in widths])
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "\n".join(lines)


def _lattices(observation: AnswerData) -> str:
    if not observation.lattices:
        return "No lattice was found; probabilities are those of the prior."
    rows = [
        (x.bravais, *x.cell_text(), f"{x.volume:.1f}", f"{x.m20:.0f}", f"{x.f20:.0f}", f"{x.probability:.2f}")
        for x in observation.lattices[:_TOLD]
    ]
    degrees = [f"{x} (deg)" for x in ("alpha", "beta", "gamma")]
    header = ("lattice", "a (A)", "b (A)", "c (A)", *degrees, "V (A^3)", "M20", "F20", "probability")
    return table(header, rows) + f"\nnone of these: {observation.unknown:.2f}"


def _classes(observation: AnswerData) -> str:
    rows = []
    groups = observation.groups[:_TOLD]
    for i, item in enumerate(observation.classes[:_TOLD]):
        number, probability = groups[i] if i < len(groups) else (0, 0.0)
        group = f"{hermann_mauguin(number)} ({number})" if number else ""
        rows.append((item.family, item.symbol, f"{item.probability:.2f}", group, f"{probability:.2f}"))
    text = table(("family", "extinction class", "probability", "space group", "probability"), rows)
    if len(rows) > 1:
        text += f"\n{RANKED_APART}"
    if any("R(obv)" in item.symbol for item in observation.classes[:_TOLD]):
        text += "\nR(obv): a rhombohedral lattice on hexagonal axes, obverse setting."
    return text


def _deciding(observation: AnswerData) -> str:
    parts: list[str] = []
    own = observation.lattice_class
    if own is None:
        return ""
    best = own.symbol
    if (own.family, best) != (observation.classes[0].family, observation.classes[0].symbol) and any(
        observation.deciding.values()
    ):
        parts.append(
            f"The most probable class is not one of the best lattice. On the best lattice {best} is first:"
        )
    for rival, deciding in list(observation.deciding.items())[:2]:
        if not deciding:
            continue
        rows = [
            (
                " ".join(str(x) for x in line.hkl[0]) + (" ..." if len(line.hkl) > 1 else ""),
                f"{line.two_theta:.3f}",
                "allowed" if line.allowed else "forbidden",
                f"{line.decibans:+.0f}",
            )
            for line in deciding[:_TOLD]
        ]
        parts.append(
            f"Lines that decide for {best} against {rival} "
            "(10 decibans: ten times as probable; minus: against it):\n"
            + table(("hkl", "2theta (deg)", f"in {best}", "evidence (decibans)"), rows)
        )
    return "\n\n".join(parts)


def lines(observation: AnswerData, most: int | None = None) -> str:
    """The observed lines as a table, the first of them where there are more than `most`; or nothing."""
    if not observation.lines:
        return ""
    highest = max(line.area for line in observation.lines)
    rows = [
        (
            *(line.hkl or ("-", "-", "-")),
            f"{line.two_theta:.3f}",
            f"{line.calculated:.3f}" if line.calculated is not None else "-",
            f"{line.d:.4f}",
            f"{100 * line.area / highest:.1f}",
        )
        for line in observation.lines[:most]
    ]
    text = table(("h", "k", "l", "2theta (deg)", "calculated (deg)", "d (A)", "area (%)"), rows)
    further = len(observation.lines) - len(rows)
    return f"{text}\nand {further} more (--json has all)" if further else text


def statements(observation: AnswerData) -> str:
    """What is to be known, a line each; or nothing."""
    return "\n".join(f"* {statement}" for statement in observation.statements)
