"""Keys of the datasets: `splits`, `lines`, `ulbd`, `gcdd` and `variants`."""

from typing import Annotated, Literal

from pydantic import Field

from xtinct.lattices.distributions import SPACINGS
from xtinct.project.keys.declaring import (
    Changes,
    Count,
    Pair,
    Positive,
    Share,
    StrictSection,
    by_kind,
    key,
    one_of,
    optional_key,
)
from xtinct.symmetry.families import FAMILIES

Family = one_of(FAMILIES)
Radiation = Literal["xray", "neutron"]
Convention = Literal["standard", "wang2025"]
IntensityLaw = Literal["uniform", "wilson", "physical"]
Spacing = one_of(SPACINGS)
#: What never falls into two parts of a dataset: of real structures, and of uniform lattices.
StructureSplit = Literal["random", "formula", "protostructure", "source", "contiguous"]
LatticeSplit = Literal["lattice", "draw"]
Least = Annotated[int, Field(ge=0)]
BIso = Annotated[float, Field(ge=0, le=100)]


class Fractions(StrictSection):
    """Share of each part; they add up to 1."""

    train: Share = key("share that models are trained on")
    validation: Share = key("share that training is watched on")
    test: Share = key("share that models are judged on")


class Splits(StrictSection):
    """Parts of the stored datasets."""

    fractions: Fractions
    cddd: StructureSplit = key(
        "what never falls into two parts of CDDD; contiguous cuts their table where it stands, as SimXRD-4M"
    )
    ulbd: LatticeSplit = key(
        "what never falls into two parts of ULBD; draw shares lattices between parts, as in the seed paper"
    )
    gcdd: Literal["random", "formula", "protostructure"] = key(
        "what never falls into two parts of GCDD; random makes every crystal its own key"
    )
    least: Least = key(
        "structures of a space group in the training part of CDDD that it takes to keep the group; those of "
        "other groups go to quarantine, in all parts. 0 keeps all"
    )


class MarchDollase(StrictSection):
    """Preferred orientation of the crystallites."""

    axis: Annotated[list[int], Field(min_length=3, max_length=3)] = key(
        "hkl of the preferred direction, of the conventional cell"
    )
    r: float = key(
        "March's r; below 1 for plates that lie flat, above 1 for needles, 1 for none", gt=0, le=100
    )


class LinesKeys(StrictSection):
    """Line lists, before any instrument."""

    d_star_max: float = key(
        "largest 1/d of a line, 1/angstrom; must reach what the instrument shows", gt=0, le=10
    )
    radiation: Radiation = key("what is scattered")
    b_iso: BIso = key("isotropic displacement factor of every atom, angstrom^2")
    max_reflections: int = key(
        "reflections of one structure (half sphere); above it the structure is quarantined",
        ge=1,
        le=50_000_000,
    )
    intensity_floor: float = key(
        "lines weaker than this share of the strongest are rounding errors of absent ones", ge=0, lt=1
    )
    march_dollase: MarchDollase
    anomalous: float = key(
        "wavelength of the anomalous dispersion f' and f'' of X-rays, angstrom; 0 for none", ge=0, le=100
    )
    convention: Convention = key(
        "standard sums all hkl of equal d; wang2025 is the seed paper's, for comparison: hkl from -10 to 10 "
        "and, of real structures, the first reflection of each angle alone"
    )


Lengths = Annotated[
    Pair[Annotated[float, Field(ge=1, le=100)]],
    Field(description="smallest and largest of a, b and c, angstrom"),
]
Angles = Annotated[
    Pair[Annotated[float, Field(gt=0, lt=180)]], Field(description="smallest and largest free angle, degree")
]
Draws = Annotated[Count, Field(description="intensity draws for each lattice and space group")]


class ContinuousLattices(StrictSection):
    """Lattices of one crystal family, drawn from a range."""

    kind: Literal["continuous"] = key("draws lattices from a range")
    lengths: Lengths
    angles: Angles
    spacing: Spacing = key("law of the lengths")
    count: Count = key("number of lattices")
    draws: Draws


class LatticeMesh(StrictSection):
    """Lattices of one crystal family, walked through on a grid."""

    kind: Literal["mesh"] = key("walks through a grid of lattices")
    lengths: Lengths
    angles: Angles
    step: Positive = key("of the lengths in angstrom")
    draws: Draws


FamilyLattices = Annotated[
    by_kind(ContinuousLattices, LatticeMesh),
    Field(description="lattices of this crystal family, drawn from a range or walked through on a grid"),
]


class Ulbd(StrictSection):
    """Lattices x extinction law x random intensities: the Uniform Lattice Based Dataset."""

    intensities: IntensityLaw = key(
        "law of the intensity of each distinct line: uniform is U(0, 1), wilson the statistics of random "
        "atoms, physical those with fall-off, weakened and lost lines"
    )
    lattices: dict[Family, FamilyLattices] = key("lattices of each crystal family")


class Gcdd(StrictSection):
    """Crystals generated for a space group: the Generated Crystal Derived Dataset."""

    generator: Literal["statistical", "pyxtal"] = key(
        "statistical draws from the statistics of the fetched structures; pyxtal is the seed paper's recipe"
    )
    learn_from: Literal["train", "all"] = key(
        "structures that the statistics are learned from; train is that part of them by splits.cddd"
    )
    per_group: Count = key("crystals of each space group")
    occupations: Count = key(
        "ways to occupy the Wyckoff positions of each space group that are confirmed to give exactly that "
        "group; training that draws its crystals itself takes them from here"
    )
    elements: Pair[Annotated[int, Field(ge=1, le=20)]] = key(
        "smallest and largest number of distinct elements of a crystal"
    )
    max_sites: Count = key("largest number of sites of the conventional cell")
    min_distance_scale: float = key(
        "smallest distance as a share of the sum of covalent radii; 0 switches the rule off", ge=0, le=2
    )
    max_attempts: Count = key("tries for one crystal; then its group is reported as not reached")


class LatticeChanges(Changes):
    """In place of the same keys of ulbd.lattices, for every family."""

    kind: Literal["continuous", "mesh"] = optional_key("as in ulbd.lattices")
    lengths: Pair[float] = optional_key("range, angstrom")
    angles: Pair[float] = optional_key("range, degree")
    spacing: Spacing = optional_key("of continuous lengths")
    step: Positive = optional_key("of a mesh, angstrom")
    count: Count = optional_key("number of continuous lattices")
    draws: Count = optional_key("samples of a lattice and a group")


class LineChanges(Changes):
    """In place of the same keys of lines."""

    b_iso: BIso = optional_key("isotropic displacement factor, angstrom^2")
    radiation: Radiation = optional_key("what is scattered")
    convention: Convention = optional_key("as in lines")
    march_dollase: MarchDollase = optional_key("as in lines")


class Variant(StrictSection):
    """A further version of a dataset, given by what differs."""

    of: Literal["ulbd", "cddd"] = key("the dataset that it is a version of")
    split: Literal["lattice", "draw", "random", "formula", "protostructure", "source", "contiguous"] = (
        optional_key("in place of splits.<of>")
    )
    least: Least = optional_key("of cddd, in place of splits.least")
    intensities: IntensityLaw = optional_key("in place of ulbd.intensities")
    lattices: LatticeChanges = optional_key("in place of the same keys of ulbd.lattices, for every family")
    ranges: Literal["cddd"] = optional_key(
        "of each group only lattices within the range of its samples in this dataset are kept"
    )
    lines: LineChanges = optional_key("in place of the same keys of lines")
