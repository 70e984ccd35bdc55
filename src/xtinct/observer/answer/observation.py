"""What the observer says of a measured pattern, as an object: to read, to print, to plot, to hand on."""

from dataclasses import dataclass
from pathlib import Path

from xtinct.files.writing import write_text
from xtinct.observer.answer.answer_data import AnswerData
from xtinct.observer.answer.cell_cif import cif_of
from xtinct.observer.answer.picture import write_picture
from xtinct.observer.answer.program_inputs import write_program_input
from xtinct.observer.answer.wording import told
from xtinct.symmetry.operations import hermann_mauguin


@dataclass(frozen=True)
class Observation(AnswerData):
    """What the observer says of a pattern: the attributes are those of `AnswerData`."""

    def to_dict(self) -> dict[str, object]:
        """All of it as plain values, for JSON."""
        fit = self.fit
        return {
            "name": self.name,
            "wavelength": self.radiation.wavelength if self.radiation else None,
            "second_wavelength": self.radiation.second if self.radiation else None,
            "units": {
                "cell": "angstrom, degree",
                "two_theta": "degree",
                "d": "angstrom",
                "volume": "angstrom^3",
            },
            "lattices": [lattice.to_dict() for lattice in self.lattices],
            "no_lattice_probability": self.unknown,
            "families": self.families,
            "classes": [c.to_dict() for c in self.classes],
            "groups": [{"number": g, "symbol": hermann_mauguin(g), "probability": p} for g, p in self.groups],
            "lines": [line.to_dict() for line in self.lines],
            "class_of_best_lattice": None
            if self.lattice_class is None
            else {"family": self.lattice_class.family, "symbol": self.lattice_class.symbol},
            "deciding_lines": {
                rival: [
                    {
                        "hkl": line.hkl.tolist(),
                        "two_theta": line.two_theta,
                        "allowed_by_best": line.allowed,
                        "area": line.area,
                        "decibans": line.decibans,
                    }
                    for line in lines
                ]
                for rival, lines in self.deciding.items()
            },
            "statements": [vars(statement) for statement in self.statements],
            "fit": None
            if fit is None
            else {
                "chi2": fit.chi2,
                "weighted_R": fit.weighted_r,
                "zero": fit.profile.zero,
                "displacement": fit.profile.displacement,
                "profile": {key: float(value) for key, value in fit.profile._asdict().items()},
            },
        }

    def to_cif(self, path: str | Path | None = None) -> str:
        """CIF text with the best cell, one block for every group of its best class; written to `path`.

        Each block has the axes of its group's standard setting.

        There are no atoms in it: it carries cell, uncertainties and symmetry to the next program.
        """
        text = cif_of(self)
        if path is not None:
            write_text(path, text)
        return text

    def to_input(self, path: str | Path) -> None:
        """Write the input of the program that `path` is named for.

        .inp: a Pawley fit in TOPAS; .pcr: a Le Bail fit in FullProf; .cif: a phase for GSAS-II; .exp: data of
        EXPO.
        """
        write_program_input(self, path)

    def plot(self, path: str | Path) -> None:
        """Write a picture of pattern, fit, difference and lines: .svg, .png or .html."""
        write_picture(self, path)

    def __str__(self) -> str:
        return told(self)

    # In a notebook and at the prompt an answer is what a person reads, not its thousands of numbers.
    __repr__ = __str__
