"""The cell and the groups that the observer found, as CIF for the next program."""

import gemmi
import numpy as np

from xtinct.errors import XtinctError
from xtinct.observer.answer.answer_data import CELL, AnswerData, LatticeAnswer
from xtinct.symmetry.families import ORTHORHOMBIC
from xtinct.symmetry.operations import hermann_mauguin


def cif_of(answer: AnswerData) -> str:
    """CIF text with the best cell, one block for every group of its best class, the most probable first.

    Each block has the axes of its group's standard setting. XtinctError where no lattice was found.
    """
    lattice, best = answer.lattice, answer.lattice_class
    if lattice is None or best is None:
        raise XtinctError(f"{answer.name}: no lattice was found, so there is nothing to write as CIF")
    document = gemmi.cif.Document()
    probability = dict(answer.groups)
    for number in sorted(best.members, key=lambda g: -probability.get(g, 0.0)):
        block = document.add_new_block(f"group_{number}")
        block.set_pair("_audit_creation_method", gemmi.cif.quote("Xtinct: whole-pattern fit"))
        names = [f"_cell_length_{x}" for x in "abc"] + [f"_cell_angle_{x}" for x in CELL[3:]]
        for name, text in zip(names, _on_axes(lattice, answer.axes.get(number)), strict=True):
            block.set_pair(name, text)
        block.set_pair("_cell_volume", f"{lattice.volume:.3f}")
        block.set_pair("_space_group_IT_number", str(number))
        block.set_pair("_space_group_name_H-M_alt", gemmi.cif.quote(hermann_mauguin(number)))
        if answer.radiation is not None:
            block.set_pair("_diffrn_radiation_wavelength", f"{answer.radiation.wavelength:.6g}")
    return document.as_string()


def cell_on_axes_of(answer: AnswerData, number: int) -> list[str]:
    """The six numbers of the best cell on the axes of a group's standard setting, without uncertainties."""
    lattice = answer.lattices[0]
    return _exchanged([f"{x:.7g}" for x in lattice.cell], lattice, answer.axes.get(number))


def _on_axes(lattice: LatticeAnswer, matrix: np.ndarray | None) -> list[str]:
    """The six numbers of a cell with their uncertainties, on the axes of `matrix`."""
    return _exchanged(lattice.cell_text(), lattice, matrix)


def _exchanged(text: list[str], lattice: LatticeAnswer, matrix: np.ndarray | None) -> list[str]:
    """Six numbers of a cell; those of an orthorhombic one with its axes exchanged by `matrix`."""
    if matrix is None or lattice.family != ORTHORHOMBIC:
        return text
    return [text[i] for i in np.abs(matrix).argmax(axis=0)] + text[3:]
