"""Characteristic lines of X-ray tubes."""

from typing import NamedTuple


class Anode(NamedTuple):
    """Characteristic lines of one anode, angstrom."""

    alpha1: float
    alpha2: float
    beta: float


#: K lines of tubes. Cr to Cu: Hoelzer et al. (1997), Phys. Rev. A 56, 4554; Mo, Ag: Deslattes et al. (2003),
#: Rev. Mod. Phys. 75, 35; both also in ITC vol. C (2004), table 4.2.2.4.
TUBES = {
    "Cr": Anode(2.2897260, 2.2936510, 2.0848810),
    "Fe": Anode(1.9360410, 1.9399730, 1.7566040),
    "Co": Anode(1.7889960, 1.7928350, 1.6208260),
    "Ni": Anode(1.6579300, 1.6617560, 1.5001520),
    "Cu": Anode(1.5405929, 1.5444274, 1.3922340),
    "Mo": Anode(0.70931715, 0.7136070, 0.6323030),
    "Ag": Anode(0.55942178, 0.5638131, 0.4970820),
}
#: Those that a file's header or a number is taken for: where a header says nickel, it means the filter.
ANODES = {name: lines for name, lines in TUBES.items() if name != "Ni"}
#: L-alpha1 of tungsten, which the filament brings onto an anode, angstrom: Deslattes et al. (2003).
TUNGSTEN_L_ALPHA = 1.4763112
#: Intensity of K-alpha2 over that of K-alpha1: two electrons over four.
ALPHA_RATIO = 0.5
#: Wavelength in angstrom times energy in keV (CODATA 2018: exact constants h, c and e).
HC = 12.398419843
