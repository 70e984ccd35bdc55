"""What the observer found as input of the next program: a Pawley fit in TOPAS, intensities in EXPO."""

from collections.abc import Callable
from pathlib import Path

from xtinct.errors import XtinctError
from xtinct.files.writing import write_text
from xtinct.observer.answer.answer_data import CELL, AnswerData
from xtinct.observer.answer.cell_cif import cell_on_axes_of
from xtinct.symmetry.families import CUBIC, MONOCLINIC, ORTHORHOMBIC, TETRAGONAL, TRIGONAL_HEXAGONAL
from xtinct.symmetry.operations import hermann_mauguin

#: Numbers of the cell that are free in each family, and those that follow another one.
_FREE = {
    CUBIC: ("a",),
    TETRAGONAL: ("a", "c"),
    TRIGONAL_HEXAGONAL: ("a", "c"),
    ORTHORHOMBIC: ("a", "b", "c"),
    MONOCLINIC: ("a", "b", "c", "beta"),
}
_AS_A = {CUBIC: ("b", "c"), TETRAGONAL: ("b",), TRIGONAL_HEXAGONAL: ("b",)}
#: TOPAS's short names of the angles.
_TOPAS_NAMES = {"alpha": "al", "beta": "be", "gamma": "ga"}


def write_program_input(answer: AnswerData, path: str | Path) -> None:
    """Write the input of the program that `path` is named for: .inp (TOPAS) or .exp (EXPO).

    The most probable group of the best lattice's best class is taken, on the axes of its standard setting;
    the other groups of the class stand in comments. XtinctError for another name, and where no lattice was
    found.
    """
    program = program_named(path)
    if answer.lattice_class is None or answer.radiation is None:
        raise XtinctError(f"{answer.name}: no lattice was found, so there is nothing to write to {path}")
    write_text(path, program(answer))


def program_named(path: str | Path) -> Callable[[AnswerData], str]:
    """What writes the input of the program that a path is named for; XtinctError for another name."""
    program = _PROGRAMS.get(Path(path).suffix.lower())
    if program is None:
        raise XtinctError(f"{path}: name it .inp for TOPAS or .exp for EXPO; most other programs read --cif")
    return program


def _groups(answer: AnswerData) -> list[int]:
    """Groups of the best lattice's best class, the most probable first."""
    probability = dict(answer.groups)
    return sorted(answer.lattice_class.members, key=lambda g: -probability.get(g, 0.0))


def _alternatives(groups: list[int]) -> str:
    return ", ".join(f"{hermann_mauguin(g)} ({g})" for g in groups[1:]) or "none"


def _topas(answer: AnswerData) -> str:
    """Pawley fit of the cell; keywords of the Technical Reference (Coelho)."""
    groups = _groups(answer)
    lattice, radiation = answer.lattices[0], answer.radiation
    cell = dict(zip(CELL, cell_on_axes_of(answer, groups[0]), strict=True))
    free, as_a = _FREE.get(lattice.family, CELL), _AS_A.get(lattice.family, ())
    profile = answer.fit.profile if answer.fit is not None else None
    lines = [f"lo {radiation.wavelength:.6g} la {1.0:.4f} lh 0.1"]
    if radiation.ratio:
        lines.append(f"lo {radiation.second:.6g} la {radiation.ratio:.4f} lh 0.1")
    rows = [
        f"' Cell and group of {answer.name}; other groups with the same absences: {_alternatives(groups)}",
        f'xdd "{answer.name}"',
        "  bkg @ 0 0 0 0 0 0",
        f"  Zero_Error(@, {profile.zero if profile else 0.0:.4f})",
        "  LP_Factor(0)",
        "  lam ymin_on_ymax 0.001",
        *[f"    {line}" for line in lines],
        "  hkl_Is",
        f'    phase_name "{answer.name}"',
        *[
            f"    {_TOPAS_NAMES.get(name, name)} "
            + ("= Get(a);" if name in as_a else f"{'@ ' if name in free else ''}{value}")
            for name, value in cell.items()
        ],
        f'    space_group "{hermann_mauguin(groups[0])}"',
        "    PV_Peak_Type(@, 0.1, @, 0.01, @, 0.01, @, 0.5, @, 0.01, @, 0.01)",
    ]
    return "\n".join(rows) + "\n"


def _expo(answer: AnswerData) -> str:
    """Data of the measurement; the content of the cell is for the user to say."""
    groups = _groups(answer)
    radiation = answer.radiation
    name = "".join(c if c.isalnum() else "_" for c in Path(answer.name).stem) or "sample"
    rows = [
        f"%structure {name}",
        f"%job {answer.name}, cell and group by Xtinct",
        f"! other groups with the same absences: {_alternatives(groups)}",
        "%data",
        f"  pattern {answer.name}",
        f"  wavelength {radiation.wavelength:.6g}",
        *(["  alpha2"] if radiation.ratio else []),
        "  cell " + " ".join(cell_on_axes_of(answer, groups[0])),
        f"  spacegroup {hermann_mauguin(groups[0]).partition(':')[0].lower()}",
        "! add the content of the cell, as: content Ca 4 C 4 O 12",
        "%continue",
    ]
    return "\n".join(rows) + "\n"


_PROGRAMS: dict[str, Callable[[AnswerData], str]] = {".inp": _topas, ".exp": _expo}
