"""Values of a configuration that are fine alone and wrong together, one line for each."""

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from xtinct.datasets.settings import SPLIT_KINDS
from xtinct.errors import XtinctError
from xtinct.lattices.distributions import LatticeSpec
from xtinct.learning.group_priors import GroupPrior
from xtinct.learning.import_paths import source_digest
from xtinct.learning.training_settings import TrainSettings, check_frequencies, from_section
from xtinct.linelists.ulbd_lines import HKL_LIMIT
from xtinct.patterns.instrument import EXACT_LAW_NEEDS, Instrument
from xtinct.patterns.pattern_transform import PatternTransform
from xtinct.patterns.variation import Variation
from xtinct.project.named_sets import (
    COPIES,
    is_apart,
    is_own_set,
    stored_set,
    training_sets,
    with_variant,
)
from xtinct.project.refusals import did_you_mean
from xtinct.radiation.tubes import radiation_of
from xtinct.symmetry.families import FAMILIES

Config = Mapping[str, Any]

_DATASETS = ("ulbd", "cddd", "gcdd")
#: Training sets whose lattices are drawn while training; these, and the one whose crystals are.
_LATTICES = ("ulbd-online", "wilson-online", "physical-online")
_ONLINE = (*_LATTICES, "gcdd-online")
#: Keys of a section of an experiment that have an effect under some values of another key alone.
_ONLY_WITH = {
    "training": {
        "focusing": ("loss", "focal"),
        "patience": ("schedule", "plateau"),
        "factor": ("schedule", "plateau"),
        "warmup": ("schedule", "cosine"),
        "muon_learning_rate": ("optimizer", "muon"),
        "weight_decay": ("optimizer", "muon", "adamw"),
    },
    "transform": {"half_width": ("background", "snip"), "floor": ("values", "log")},
}
#: Networks with batch normalisation, whose batches are whole ghost batches: kind -> name, "" for all of them.
NORMALISED = {"logq": "", "simxrd": "CNN7", "report": "ann-normalised"}
#: Sites of the smallest Wyckoff position, of the space group of each family where they are most; the group.
_FEWEST_SITES = {
    "cubic": (16, 230),
    "tetragonal": (8, 142),
    "trigonal-hexagonal": (6, 179),
    "orthorhombic": (8, 73),
    "monoclinic": (4, 15),
    "triclinic": (1, 2),
}
#: Keys of a variant that are no settings of its dataset.
_FOREIGN = {"ulbd": ("least",), "cddd": ("lattices", "ranges", "intensities")}


def contradictions(config: Config) -> Iterator[str]:
    """Each contradiction between keys of a configuration whose every key is right by itself."""
    yield from _wrong_crystals(config["gcdd"], config["families"])
    yield from _wrong_measurement(config)
    yield from _wrong_lattices(config, "ulbd.lattices.", config["ulbd"]["lattices"])
    yield from _wrong_patterns(config["patterns"])
    yield from _wrong_parts(config)
    yield from _without_labels(config)
    yield from _wrong_sources(config["sources"])
    for name in config["variants"]:
        yield from _wrong_variant(config, name)
    yield from _wrong_networks(config["models"])
    for name in config["experiments"]:
        yield from _wrong_sets(config, name)
    for name in config["experiments"]:
        yield from _wrong_experiment(config, name)
    yield from _wrong_observer(config)
    for test in config["robustness"]["tests"]:
        unknown = _unknown_test(config, test)
        if unknown:
            yield f"robustness.tests: {unknown}"


def _wrong_crystals(gcdd: Config, families: list[str]) -> Iterator[str]:
    low, high = gcdd["elements"]
    if low > high:
        yield f"gcdd.elements: {low} to {high} is an empty range; the smaller value comes first"
    least, number = max(_FEWEST_SITES[family] for family in families)
    if gcdd["max_sites"] < least:
        yield (
            f"gcdd.max_sites: {gcdd['max_sites']} is less than any position of space group {number} holds; "
            f"write {least} or more"
        )


def _wrong_measurement(config: Config) -> Iterator[str]:
    lines, settings = config["lines"], config["instrument"]
    instrument = None
    try:
        instrument = Instrument.from_config(settings)
        instrument.check_reach(lines["d_star_max"])
    except XtinctError as error:
        yield str(error)
    yield from _wrong_lines("lines", lines, settings)
    anomalous = lines["anomalous"]
    if lines["convention"] == "wang2025" and anomalous:
        yield "lines.anomalous: wang2025 has no f' and f''; write 0"
    if lines["convention"] == "wang2025" and lines["march_dollase"]["r"] != 1:
        yield "lines.march_dollase.r: wang2025 has no preferred orientation; write 1"
    if anomalous and instrument and abs(anomalous - instrument.wavelength) > 0.01 * instrument.wavelength:
        yield f"lines.anomalous: {anomalous} angstrom, but instrument.wavelength is {instrument.wavelength}"
    drawn = (name for e in config["experiments"].values() for name in training_sets(e))
    if lines["convention"] != "standard" and any(name in _ONLINE for name in drawn):
        yield "lines.convention: training that draws its samples knows standard alone; make a variant instead"


def _wrong_lines(where: str, lines: Config, instrument: Config) -> Iterator[str]:
    """Lines of crystals that there are none of: those of the configuration, or of a variant."""
    neutrons, anomalous = lines["radiation"] == "neutron", lines["anomalous"]
    if neutrons and instrument["lorentz"] == "lorentz-polarisation":
        yield f"{where}.radiation: neutrons are not polarised by scattering: instrument.lorentz is lorentz"
    if not any(lines["march_dollase"]["axis"]):
        yield f"{where}.march_dollase.axis: 0 0 0 is no direction"
    if anomalous and neutrons:
        yield f"{where}.radiation: neutrons have no f' and f''; write lines.anomalous: 0"


def _wrong_lattices(config: Config, where: str, lattices: Config) -> Iterator[str]:
    """Lattices that there are none of, or whose lines no memory holds."""
    d_star_max = config["lines"]["d_star_max"]
    for family, settings in lattices.items():
        try:
            spec = LatticeSpec.from_config(settings)
            spec.n_lattices(family)
        except XtinctError as error:
            yield f"{where}{family}: {str(error).removeprefix('lattices: ')}"
            continue
        reached = (2 * spec.length_max * d_star_max + 1) ** 3
        if reached > HKL_LIMIT:
            yield (
                f"{where}{family}: axes of {spec.length_max:g} angstrom have {reached:.2g} hkl up to "
                f"lines.d_star_max = {d_star_max:g}, expected at most {HKL_LIMIT}; shorten them or lower it"
            )


def _wrong_patterns(sets: Config) -> Iterator[str]:
    """Wavelengths of measured patterns that are none."""
    for name, settings in sets.items():
        try:
            radiation_of(settings.get("wavelength", "CuKa"))
        except XtinctError as error:
            yield f"patterns.{name}.wavelength: {str(error).removeprefix('radiation: ')}"


def _wrong_parts(config: Config) -> Iterator[str]:
    total = math.fsum(config["splits"]["fractions"].values())
    if abs(total - 1) > 1e-9:
        yield f"splits.fractions: train + validation + test = {total:g}, must be 1"
    fractions = config["splits"]["fractions"]
    if not fractions["test"]:
        yield "splits.fractions.test = 0: models are judged on that part"
    known = {*_DATASETS, *config["variants"]}
    trained = [name for experiment in config["experiments"].values() for name in training_sets(experiment)]
    stored = [name for name in trained if stored_set(name) in known]
    if not fractions["train"] and (stored or config["gcdd"]["learn_from"] == "train"):
        user = f"{stored[0]} is trained on" if stored else "gcdd.learn_from is train"
        yield f"splits.fractions.train = 0: {user}"
    for key, split in _splits(config):
        if split == "source" and len(config["sources"]) < 2:
            yield f"{key}: source puts all of one source into one part; sources has one alone"
    for family in config["families"]:
        if family not in config["ulbd"]["lattices"]:
            yield f"ulbd.lattices.{family} is missing: families asks for {family}"


def _splits(config: Config) -> Iterator[tuple[str, str]]:
    """Key and value of every split of real structures."""
    yield "splits.cddd", config["splits"]["cddd"]
    for name, variant in config["variants"].items():
        if "split" in variant:
            yield f"variants.{name}.split", variant["split"]


def _without_labels(config: Config) -> Iterator[str]:
    """What goes by protostructures where structures get no such labels: each would be a type of its own."""
    if config["cleaning"]["protostructures"]:
        return
    asking = [f"{key}: {split}" for key, split in _splits(config) if split == "protostructure"]
    for name, experiment in config["experiments"].items():
        asking += [
            f"experiments.{name}.train: {train}" for train in training_sets(experiment) if is_apart(train)
        ]
    for what in asking:
        yield f"{what} needs the labels of cleaning.protostructures, which is false"


def _wrong_sources(sources: Config) -> Iterator[str]:
    """Names of sources that identifiers of samples could not be told apart from datasets by."""
    for name in sources:
        if name in _DATASETS:
            yield f"sources.{name}: the name is taken by a dataset"


def _wrong_variant(config: Config, name: str) -> Iterator[str]:
    where, variant = f"variants.{name}", config["variants"][name]
    for key in _FOREIGN[variant["of"]]:
        if key in variant:
            yield f"{where}.{key}: not a setting of {variant['of']}"
    if variant["of"] == "ulbd" and variant.get("lines", {}).keys() - {"convention"}:
        yield f"{where}.lines: of ulbd there is convention alone"
    if name in (*_DATASETS, *_ONLINE, *COPIES):
        yield f"{where}: the name is taken by a training set or a test set"
    if "split" in variant and (variant["split"] in SPLIT_KINDS) != (variant["of"] == "ulbd"):
        yield f"{where}.split: {variant['split']!r} is no split of {variant['of']}"
    changed = with_variant(config, f"variants/{name}")
    if variant["of"] == "cddd" and "lines" in variant:
        own, lines = variant["lines"], changed["lines"]
        yield from _wrong_lines(f"{where}.lines", lines, config["instrument"])
        if lines["convention"] == "wang2025" and own.get("march_dollase", {"r": 1})["r"] != 1:
            yield f"{where}.lines.march_dollase.r: wang2025 has no preferred orientation; write 1"
    lattices = changed["ulbd"]["lattices"]
    # A mesh that some families cannot have is no mistake where they are not asked for.
    asked = {
        family
        for experiment in config["experiments"].values()
        if name in (*training_sets(experiment), *experiment["tests"])
        for family in (FAMILIES if "all" in experiment["families"] else experiment["families"])
    }
    asked_for = {family: settings for family, settings in lattices.items() if family in asked}
    yield from _wrong_lattices(config, f"{where}.lattices of ", asked_for)


def _wrong_networks(models: Config) -> Iterator[str]:
    """Networks that cannot be made, and those of the user's own whose module is not there."""
    for name, model in models.items():
        if model["kind"] == "logq" and model["points"] & (model["points"] - 1):
            yield f"models.{name}.points: {model['points']} is not 32 times a power of two"
        try:
            source_digest(model["kind"])
        except XtinctError as error:
            yield f"models.{name}.kind: {error}"


def _wrong_sets(config: Config, name: str) -> Iterator[str]:
    """Training and test sets that do not exist, or do not go together."""
    where, experiment = f"experiments.{name}", config["experiments"][name]
    known = [*_DATASETS, *_ONLINE, *config["variants"]]
    trained = training_sets(experiment)
    for train in trained:
        if is_own_set(train):
            yield from _wrong_own_set(train, where, experiment["families"])
            if is_apart(train) and not config["patterns"]:
                yield f"{where}.train: {train} leaves out the types of measured patterns; patterns has none"
        elif train not in known:
            online = ", ".join(_ONLINE)
            yield (
                f"{where}.train: {train!r} is no dataset, no variant, no folder and none of {online}"
                + did_you_mean(train, known)
            )
    for test in experiment["tests"]:
        unknown = _unknown_test(config, test)
        if unknown:
            yield f"{where}.tests: {unknown}"
            continue
        for train in trained:
            if stored_set(train) in known and _share_samples(config, stored_set(train), test):
                yield (
                    f"{where}: {train} and {test} hold the same samples in other parts, so the test would "
                    "hold training samples; test on a version with the same split"
                )

    for one, other in combinations(trained, 2):
        names = stored_set(one), stored_set(other)
        if all(name in known for name in names) and _share_samples(config, *names):
            yield (
                f"{where}.train: {one} and {other} hold the same samples in other parts, so the validation "
                "would hold training samples; mix versions with the same split"
            )


def _wrong_own_set(train: str, where: str, families: list[str]) -> Iterator[str]:
    """A single file where there must be one for each family."""
    if train.endswith(".parquet") and (len(families) > 1 or "all" in families):
        yield f"{where}.train: {train} is one file; name a folder with FAMILY.parquet for several families"


def _unknown_test(config: Config, test: str) -> str:
    known = [*_DATASETS, *COPIES, *config["variants"]]
    return "" if test in known else f"{test!r} is neither a dataset nor a variant{did_you_mean(test, known)}"


def _share_samples(config: Config, train: str, test: str) -> bool:
    """Whether two versions of one dataset draw their parts differently from the same samples."""
    # Copies are made of the test part of CDDD, and keep much of their crystals.
    versions_of = [
        {"of": "cddd" if name in COPIES else name, **config["variants"].get(name, {})}
        for name in (train, test)
    ]
    if versions_of[0]["of"] != versions_of[1]["of"] or train.endswith("-online"):
        return False
    splits = [v.get("split", config["splits"][v["of"]]) for v in versions_of]
    return splits[0] != splits[1]


def _wrong_experiment(config: Config, name: str) -> Iterator[str]:
    where, experiment = f"experiments.{name}", config["experiments"][name]
    families = config["families"]
    yield from _no_key_of("models", config, f"{where}.model", experiment["model"])
    for family in experiment["families"]:
        if family == "all":
            for missing in sorted(set(FAMILIES) - set(families)):
                yield f"{where}.families: all needs every family in families, where {missing} is missing"
        elif family not in families:
            yield f"{where}.families: {family!r} is not in families ({', '.join(families)})"
    yield from _wrong_lattices(config, f"{where}.lattices.", experiment.get("lattices", {}))
    yield from _idle_lattices(where, experiment)
    yield from _wrong_variation(config, where, experiment)
    yield from _without_effect(config, where, experiment)
    if "libraries" in experiment:
        yield from _wrong_libraries(where, experiment)
    try:
        from_section(TrainSettings, {**config["train"], **experiment.get("training", {})}, "train")
    except XtinctError as error:
        yield f"{where}.{error}"
    try:
        check_frequencies(experiment.get("prior"), experiment.get("training", {}), where)
    except XtinctError as error:
        yield str(error)
    yield from _wrong_training(config, where, experiment)


def _idle_lattices(where: str, experiment: Config) -> Iterator[str]:
    """Lattices that nothing is drawn from."""
    lattices, families = experiment.get("lattices", {}), experiment["families"]
    if lattices and set(_LATTICES).isdisjoint(training_sets(experiment)):
        yield f"{where}.lattices: have no effect; only {', '.join(_LATTICES)} draw from them"
    for family in lattices:
        if "all" not in families and family not in families:
            yield f"{where}.lattices.{family}: has no effect, because families has no {family}"


def _wrong_training(config: Config, where: str, experiment: Config) -> Iterator[str]:
    """A training that its network, its samples or its processes do not allow."""
    train = {**config["train"], **experiment.get("training", {})}
    model = config["models"].get(experiment["model"], {})
    kind, processes = model.get("kind"), train["processes"]
    if train.get("sampling") == "class-balanced" and all(t in _ONLINE for t in training_sets(experiment)):
        yield f"{where}.training.sampling: class-balanced needs a stored training set, and train has none"
    if kind == "extratrees":
        if processes > 1:
            yield f"{where}.model: trees are fitted in one process, and train.processes is {processes}"
        for key, none in (("loss", "cross-entropy"), ("l1", 0), ("l2", 0)):
            if train.get(key, none) != none:
                yield f"{where}.training.{key}: trees are grown without; leave it out"
        return
    if kind == "fcn13" and (points := config["instrument"]["two_theta"]["points"]) != 8192:
        yield f"{where}.model: fcn13 needs instrument.two_theta.points: 8192, not {points}"
    normalised = NORMALISED.get(kind) in ("", model.get("name", ""))
    parts = f"processes {processes}" + (f" x ghost_batch {train['ghost_batch']}" if normalised else "")
    if train["batch_size"] % (processes * (train["ghost_batch"] if normalised else 1)):
        yield f"{where}: train.batch_size {train['batch_size']} is no multiple of {parts}"


def _without_effect(config: Config, where: str, experiment: Config) -> Iterator[str]:
    """Keys of an experiment that the values of others leave without any effect."""
    for section, keys in _ONLY_WITH.items():
        given = experiment.get(section, {})
        all_told = {**config["train"], **given} if section == "training" else given
        for key in filter(given.__contains__, keys):
            other, *values = keys[key]
            if (told := all_told.get(other)) not in values:
                present = "without" if told is None else f"with {other}: {told}, only with"
                needed = f"{other}: " * (told is None) + " or ".join(values)
                yield f"{where}.{section}.{key}: has no effect {present} {needed}"


def _wrong_libraries(where: str, experiment: Config) -> Iterator[str]:
    """Crystals of training that there are none of, or that cannot be measured anew."""
    if len(training_sets(experiment)) > 1 or training_sets(experiment)[0].endswith("-online"):
        yield f"{where}.libraries: one stored training set holds the crystals; write it as train"
    if not experiment.get("variation"):
        yield f"{where}.libraries: training crystals are measured anew by `variation`, which is missing"


def _wrong_variation(config: Config, where: str, experiment: Config) -> Iterator[str]:
    """A variation or a transform that makes no sense, by itself or with the instrument."""
    instrument = _instrument(config)
    try:
        variation = Variation.from_config(experiment.get("variation", {}))
        transform = PatternTransform.from_config(experiment.get("transform", {}))
        if instrument is not None:
            variation.check(instrument, config["lines"]["d_star_max"])
            transform.check(instrument)
    except XtinctError as error:
        yield f"{where}.{error}"
    if "prior" in experiment:
        try:
            GroupPrior.from_config(experiment["prior"])
        except XtinctError as error:
            yield f"{where}.{error}"


def _instrument(config: Config) -> Instrument | None:
    """The instrument; None for one that is refused, which is said where it is checked."""
    try:
        return Instrument.from_config(config["instrument"])
    except XtinctError:
        return None


def _no_key_of(section: str, config: Config, path: str, name: str) -> Iterator[str]:
    known = list(config[section])
    if name not in known:
        yield (
            f"{path} = {name!r}: must be a key of {section}: {', '.join(known)}{did_you_mean(name, known)}"
        )


def _wrong_observer(config: Config) -> Iterator[str]:
    observer, families = config["observer"], config["families"]
    for family in observer["families"]:
        if family not in families:
            yield f"observer.families: {family!r} is not in families ({', '.join(families)})"
    instrument = _instrument(config)
    if observer["families"] and instrument is not None and not instrument.suits_exact_law:
        yield f"observer.families: its exact law needs {EXACT_LAW_NEEDS}; for this one write []"
    for test in observer["laws"]:
        unknown = _unknown_test(config, test)
        if unknown:
            yield f"observer.laws: {unknown}"
    yield from _no_key_of("experiments", config, "observer.hybrid", observer["hybrid"])
