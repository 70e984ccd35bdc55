"""What is trained and rendered: sections of the configuration, without a reader of YAML."""

from xtinct.learning.training_settings import TrainingSettings

#: As config/config.yaml has them.
INSTRUMENT = {
    "wavelength": 1.5406,
    "two_theta": {"min": 5, "max": 90, "points": 8192},
    "lorentz": "lorentz",
    "monochromator": 0,
    "profile": "gaussian",
    "fwhm": 0.23548,
    "crystallite_size": 0,
    "zero_shift": 0,
    "displacement": 0,
    "goniometer_radius": 200,
    "background": {"chebyshev": [], "humps": []},
    "impurities": [],
    "counts": 0,
}
LINES = {
    "d_star_max": 0.93,
    "radiation": "xray",
    "b_iso": 0.5,
    "max_reflections": 2000000,
    "intensity_floor": 1.0e-9,
    "march_dollase": {"axis": [0, 0, 1], "r": 1},
    "anomalous": 0,
    "convention": "standard",
}
#: As config/measured.yaml has it, but for what each case says itself.
TRAIN = {
    "device": "auto",
    "threads": 1,
    "precision": "auto",
    "processes": 1,
    "compile": "never",
    "batch_size": 512,
    "ghost_batch": 64,
    "gradient_clip": 10.0,
    "optimizer": "muon",
    "learning_rate": 0.002,
    "muon_learning_rate": 0.04,
    "weight_decay": 0.01,
    "schedule": "cosine",
    "warmup": 0.05,
    "validation_patterns": 8192,
    "validations": 20,
    "stop_confidence": 0.0,
}
#: The model of the default build, and that of config/measured.yaml.
SMALL_MODEL = {"kind": "logq", "points": 1024, "width": 16, "hidden": 256}
LARGE_MODEL = {"kind": "logq", "points": 2048, "width": 32, "hidden": 512}
#: The conditions and lattices of the experiment `measured` of config/config.yaml.
VARIATION = {
    "width_factor": [0.3, 1.5],
    "zero_shift": [-0.1, 0.1],
    "displacement": [-0.15, 0.15],
    "background": [0, 0.3],
    "counts": [40, 20000],
    "texture": [0.5, 1.6],
    "b_iso": [-0.4, 1.5],
    "foreign_phase": [0.005, 0.12],
    "shares": {"texture": 0.5, "foreign_phase": 0.3},
}
PRIOR = {"of": "mp", "added": 0.5}


def _lattice(lengths, angles=(90, 90)):
    drawn = {"kind": "continuous", "spacing": "log", "count": 1, "draws": 1}
    return {**drawn, "lengths": list(lengths), "angles": list(angles)}


WIDE = {
    **dict.fromkeys(("cubic", "tetragonal", "trigonal-hexagonal"), _lattice((2.5, 25))),
    "orthorhombic": _lattice((3, 20)),
    "monoclinic": _lattice((3, 20), (90, 120)),
    "triclinic": _lattice((4, 14), (70, 110)),
}


def case(train, experiment, family, *, model=SMALL_MODEL, lattices=None, occupations=None):
    """The settings of one training; `train` and `experiment` say what differs from the sections above."""
    return TrainingSettings.from_config(
        {
            "experiment": {"name": "benchmark", "train": "ulbd-online", "target": "extinction_class"}
            | {"model": "model", "patterns": 10**9}
            | experiment,
            "family": family,
            "seed": 0,
            "train": TRAIN | train,
            "models": {"model": model},
            "instrument": INSTRUMENT,
            "lines": LINES,
            "ulbd": {"intensities": "uniform", "lattices": lattices or WIDE},
            "datasets": {},
            "occupations": occupations,
        }
    )


def narrow_cubic(train, **experiment):
    """ULBD of cubic lattices of 5 to 15 angstrom, which a network learns within seconds."""
    lattices = {"cubic": _lattice((5, 15)) | {"spacing": "uniform"}}
    return case(train, experiment, "cubic", lattices=lattices)


def wide_orthorhombic(train, **experiment):
    """ULBD of orthorhombic lattices of 3 to 20 angstrom: 33 classes, learned slowly."""
    return case(train, experiment, "orthorhombic", model=LARGE_MODEL)


def joint_measured(train, occupations=None, **experiment):
    """All 230 groups as laboratories measure them; crystals too where there are occupations for them."""
    sets = {"gcdd-online": 3, "physical-online": 1} if occupations else {"physical-online": 1}
    measured = {"train": sets, "target": "spacegroup", "variation": VARIATION, "prior": PRIOR}
    return case(train, measured | experiment, "all", model=LARGE_MODEL, occupations=occupations)
