"""The answer as input of the next program: TOPAS, FullProf, GSAS-II or EXPO."""

from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np

from xtinct.errors import XtinctError
from xtinct.files.writing import write_text
from xtinct.observer.answer.answer_data import CELL, AnswerData
from xtinct.observer.answer.cell_cif import cell_on_axes_of
from xtinct.observer.peaks.peak_shapes import Profile
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
#: Points of the background that FullProf interpolates between.
_BACKGROUND_POINTS = 12
#: The flags of FullProf's lines Job and Ipr, in their order.
_JOB_FLAGS = "Job Npr Nph Nba Nex Nsc Nor Dum Iwg Ilo Ias Res Ste Nre Cry Uni Cor Opt Aut"
_OUTPUT_FLAGS = "Ipr Ppl Ioc Mat Pcr Ls1 Ls2 Ls3 NLI Prf Ins Rpa Sym Hkl Fou Sho Ana"


def write_program_input(answer: AnswerData, path: str | Path) -> None:
    """Write the input of the program that `path` is named for.

    .inp: a Pawley fit in TOPAS; .pcr: a Le Bail fit in FullProf; .cif: a phase for GSAS-II; .exp: data of
    EXPO. The most probable group of the best lattice's best class is taken, on the axes of its standard
    setting; the other groups of the class stand in comments. XtinctError for another name, and where no
    lattice was found.
    """
    program = program_named(path)
    if answer.lattice_class is None:
        raise XtinctError(f"{answer.name}: no lattice was found, so there is nothing to write to {path}")
    if answer.radiation is None:
        raise XtinctError(
            f"{answer.name}: the wavelength is not known, which {path} has to name; tell it (--wavelength)"
        )
    write_text(path, program(answer))


def program_named(path: str | Path) -> Callable[[AnswerData], str]:
    """What writes the input of the program that a path is named for; XtinctError for another name."""
    program = _PROGRAMS.get(Path(path).suffix.lower())
    if program is None:
        raise XtinctError(
            f"{path}: name it .inp for TOPAS, .pcr for FullProf, .cif for GSAS-II or .exp for EXPO"
        )
    return program


def _groups(answer: AnswerData) -> list[int]:
    """Groups of the best lattice's best class, the most probable first."""
    probability = dict(answer.groups)
    return sorted(answer.lattice_class.members, key=lambda g: -probability.get(g, 0.0))


def _alternatives(groups: list[int]) -> str:
    return ", ".join(f"{hermann_mauguin(g)} ({g})" for g in groups[1:]) or "none"


def _one_word(name: str) -> str:
    """A name without what programs take for a comment or the end of a word."""
    return "".join(c if c.isalnum() or c in ".-" else "_" for c in name) or "sample"


def _topas(answer: AnswerData) -> str:
    """Pawley fit of the cell; keywords of the Technical Reference (Coelho)."""
    groups = _groups(answer)
    lattice, radiation = answer.lattices[0], answer.radiation
    cell = dict(zip(CELL, cell_on_axes_of(answer, groups[0]), strict=True))
    free, as_a = _FREE.get(lattice.family, CELL), _AS_A.get(lattice.family, ())
    profile = answer.fit.profile if answer.fit is not None else None
    lines = [f"la {1.0:.4f} lo {radiation.wavelength:.6g} lh 0.1"]
    if radiation.ratio:
        lines.append(f"la {radiation.ratio:.4f} lo {radiation.second:.6g} lh 0.1")
    rows = [
        f"' Cell and group of {answer.name}; other groups with the same absences: {_alternatives(groups)}",
        f'xdd "{answer.name}"',
        "  bkg @ 0 0 0 0 0 0",
        f"  Zero_Error(@, {profile.zero if profile else 0.0:.4f})",
        *(
            [f"  th2_offset = {profile.displacement:.4f} Cos(Th);"]
            if profile and profile.displacement
            else []
        ),
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
    rows = [
        f"%structure {_one_word(Path(answer.name).stem)}",
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


class _Codes:
    """FullProf's codewords: ten times the number of a free parameter, and its factor (1)."""

    def __init__(self) -> None:
        self.used = 0

    def new(self) -> float:
        """The codeword of one more free parameter."""
        self.used += 1
        return 10.0 * self.used + 1.0


def _fullprof(answer: AnswerData) -> str:
    """Le Bail fit of cell, zero, widths and background; one pattern, layout of the FullProf manual.

    Values stand above their codewords, line by line; a comment above each line names its fields.
    """
    groups = _groups(answer)
    profile = answer.fit.profile if answer.fit is not None else Profile()
    codes = _Codes()
    zero = f" {profile.zero:.5f} {codes.new():.1f} {profile.displacement:.5f} 0.0 0.0 0.0 0.0 0.0 0"
    background = _fullprof_background(answer, codes)
    phase = _fullprof_phase(answer, groups, profile, codes)
    first, last = _fitted_range(answer)
    return (
        "\n".join(
            [
                f"COMM {_one_word(Path(answer.name).name)}: cell and group by Xtinct",
                "! Data (Ins 10): a .dat file, columns of 2theta, intensity and, if known, uncertainty.",
                f"! Other groups with the same absences: {_alternatives(groups)}",
                *_flags(_JOB_FLAGS, Npr=5, Nph=1, Nba=len(background), Dum=1, Aut=1),
                *_flags(_OUTPUT_FLAGS, Ioc=1, Pcr=1, Ls2=4, Prf=1, Ins=10),
                *_fullprof_radiation(answer, first, last),
                "!2Theta   Background   Code",
                *background,
                f" {codes.used}    !Number of refined parameters",
                "!Zero Code SyCos Code SySin Code Lambda Code MORE",
                zero,
                *phase,
                "!2Th1 2Th2 Pattern",
                f" {first:.4f} {last:.4f} 1",
            ]
        )
        + "\n"
    )


def _flags(names: str, **values: int) -> list[str]:
    """A line of FullProf's flags under its names; those not given are zero."""
    return [f"!{names}", " ".join(f"{values.get(name, 0):4d}" for name in names.split())]


def _fitted_range(answer: AnswerData) -> tuple[float, float]:
    """First and last angle of the pattern, degrees; of a list, those around its lines."""
    if answer.measured is not None:
        return float(answer.measured.two_theta[0]), float(answer.measured.two_theta[-1])
    angles = [line.two_theta for line in answer.lines]
    return max(min(angles) - 5.0, 1.0), min(max(angles) + 5.0, 175.0)


def _fullprof_radiation(answer: AnswerData, first: float, last: float) -> list[str]:
    """Wavelengths, profile limits and steps of the refinement."""
    radiation = answer.radiation
    second, step = radiation.second or radiation.wavelength, 0.02
    if answer.measured is not None:
        step = answer.measured.step
    return [
        "!Lambda1 Lambda2 Ratio Bkpos Wdt Cthm muR AsyLim Rpolarz 2nd-muR",
        f" {radiation.wavelength:.6f} {second:.6f} {radiation.ratio:.5f} {(first + last) / 2:.3f} 12.0 1.0 "
        "0.0 40.0 0.0 0.0",
        "!NCY Eps R_at R_an R_pr R_gl Thmin Step Thmax PSD Sent0",
        f" 30 0.10 0.80 0.80 0.80 0.80 {first:.4f} {step:.6f} {last:.4f} 0.0 0.0",
    ]


def _fullprof_background(answer: AnswerData, codes: _Codes) -> list[str]:
    """Points of the background that was found; ends of the range at zero for a list of peaks."""
    first, last = _fitted_range(answer)
    if answer.measured is None:
        return [f" {first:.4f} 0.0 0.0", f" {last:.4f} 0.0 0.0"]
    angles = np.linspace(first, last, _BACKGROUND_POINTS)
    heights = np.interp(angles, answer.measured.two_theta, answer.measured.background)
    return [f" {x:.4f} {y:.4f} {codes.new():.1f}" for x, y in zip(angles, heights, strict=True)]


def _fullprof_phase(answer: AnswerData, groups: list[int], profile: Profile, codes: _Codes) -> list[str]:
    """The phase without atoms, by profile matching at constant scale (Jbt 2).

    FullProf's eta is Shape1 + X 2theta (Npr 5); that of `Profile` is eta0 + eta1 (2theta - 40) / 40.
    """
    family = answer.lattices[0].family
    cell = dict(zip(CELL, cell_on_axes_of(answer, groups[0]), strict=True))
    free, as_a = _FREE.get(family, CELL), _AS_A.get(family, ())
    code = {name: codes.new() for name in free}
    cell_codes = [code["a"] if name in as_a else code.get(name, 0.0) for name in CELL]
    eta, widths = codes.new(), [codes.new() for _ in range(3)]
    symbol = hermann_mauguin(groups[0]).partition(":")[0]
    return [
        _one_word(Path(answer.name).name),
        "!Nat Dis Ang Pr1 Pr2 Pr3 Jbt Irf Isy Str Furth ATZ Nvk Npr More",
        " 0 0 0 0.0 0.0 1.0 2 0 0 0 0 0.0 0 5 0",
        f"{symbol:20s}    <--Space group symbol",
        "!Scale Shape1 Bov Str1 Str2 Str3 Strain-Model",
        f" 1.0 {profile.eta0 - profile.eta1:.4f} 0.0 0.0 0.0 0.0 0",
        f" 0.0 {eta:.1f} 0.0 0.0 0.0 0.0",
        "!U V W X Y GauSiz LorSiz Size-Model",
        f" {profile.U:.6f} {profile.V:.6f} {profile.W:.6f} {profile.eta1 / 40:.6f} 0.0 0.0 0.0 0",
        " " + " ".join(f"{x:.1f}" for x in widths) + " 0.0 0.0 0.0 0.0",
        "!a b c alpha beta gamma",
        " " + " ".join(cell.values()),
        " " + " ".join(f"{x:.1f}" for x in cell_codes),
        "!Pref1 Pref2 Asy1 Asy2 Asy3 Asy4",
        " 0.0 0.0 0.0 0.0 0.0 0.0",
        " 0.0 0.0 0.0 0.0 0.0 0.0",
    ]


def _gsas(answer: AnswerData) -> str:
    """CIF of one phase with a dummy atom of no occupancy: GSAS-II passes over blocks without atoms."""
    groups = _groups(answer)
    document = gemmi.cif.Document()
    block = document.add_new_block(f"group_{groups[0]}")
    block.set_pair("_audit_creation_method", gemmi.cif.quote("Xtinct: cell and group, no structure"))
    block.set_pair("_pd_phase_name", gemmi.cif.quote(Path(answer.name).name))
    names = [f"_cell_length_{x}" for x in "abc"] + [f"_cell_angle_{x}" for x in CELL[3:]]
    for name, text in zip(names, cell_on_axes_of(answer, groups[0]), strict=True):
        block.set_pair(name, text)
    # Without ":2" and ":H", which GSAS-II means by every symbol and does not read.
    symbol = hermann_mauguin(groups[0]).partition(":")[0]
    block.set_pair("_space_group_name_H-M_alt", gemmi.cif.quote(symbol))
    block.set_pair("_space_group_IT_number", str(groups[0]))
    tags = ["label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy", "calc_flag"]
    block.init_loop("_atom_site_", tags).add_row(["Dum1", "H", "0", "0", "0", "0", "dum"])
    comment = f"# Dum1 is no atom. Other groups with the same absences: {_alternatives(groups)}\n"
    return comment + document.as_string()


_PROGRAMS: dict[str, Callable[[AnswerData], str]] = {
    ".inp": _topas,
    ".pcr": _fullprof,
    ".cif": _gsas,
    ".exp": _expo,
}
