"""The configuration is refused with one line that names the key, the value and what is allowed."""

import copy
import inspect
import re
import subprocess
import sys
import time
from typing import get_args

import pytest
import torch
import yaml
from jsonschema import Draft202012Validator

from xtinct.datasets.settings import SPLIT_KINDS
from xtinct.errors import XtinctError
from xtinct.learning.models import MODELS, simxrd
from xtinct.learning.models.normalisation import set_ghost_batch
from xtinct.learning.models.parkcnn import SIZES
from xtinct.learning.models.resnet import BLOCKS
from xtinct.learning.models.student_networks import REPORT, SLIDES
from xtinct.linelists.scattering import RADIATIONS
from xtinct.linelists.ulbd_lines import INTENSITY_LAWS
from xtinct.linelists.wang2025 import CONVENTIONS
from xtinct.patterns.instrument import Instrument
from xtinct.project import configuration, named_sets
from xtinct.project.contradictions import _FEWEST_SITES, NORMALISED
from xtinct.project.keys import dataset_keys, model_keys, reference
from xtinct.project.keys.schema_document import below, document
from xtinct.project.refusals import INSTEAD
from xtinct.symmetry.families import FAMILIES, space_groups
from xtinct.symmetry.operations import wyckoff_positions

NAMES = "letters, digits, _ and -; starts with a letter"

FILES = (
    "config.yaml",
    "smoke.yaml",
    "paper.yaml",
    "measured.yaml",
    "../benchmarks/paper/logq.yaml",
    "../benchmarks/paper/fcn13.yaml",
    "../benchmarks/accuracy/narrow.yaml",
    "../benchmarks/accuracy/transfer.yaml",
    "zoo.yaml",
    "schopmans.yaml",
)


@pytest.fixture(scope="module")
def schema(root):
    """The schema as editors read it, for an engine of its own."""
    return yaml.safe_load((root / "config/config.schema.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def default(root):
    return configuration.load(root / "config" / "config.yaml")


def refusal(config) -> str:
    with pytest.raises(XtinctError) as caught:
        configuration.check(config, where="c.yaml")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("c.yaml: ")
    return message.removeprefix("c.yaml: ")


def changed(default, path, value):
    config = copy.deepcopy(default)
    *parents, key = path.split(".")
    target = config
    for parent in parents:
        target = target[parent]
    if value is KeyError:
        del target[key]
    else:
        target[key] = value
    return config


@pytest.mark.parametrize("name", FILES)
def test_every_configuration_of_the_project_is_accepted(root, schema, name):
    path = root / "config" / name
    loaded = configuration.load(path)
    assert loaded == yaml.safe_load(path.read_text()), "nothing may be filled in"
    Draft202012Validator(schema).validate(loaded)


def test_committed_schema_and_table_are_those_of_the_models(root):
    for path, text in reference.written(root).items():
        stale = f"{path.name} is out of date: python -m xtinct.project.keys.reference"
        assert path.read_text(encoding="utf-8") == text, stale


def objects(node, path=""):
    """(path, schema) of everything in a schema document that has keys of its own."""
    if isinstance(node, dict):
        if "properties" in node:
            yield path, node
        for key, value in node.items():
            yield from objects(value, f"{path}.{key}")
    elif isinstance(node, list):
        for value in node:
            yield from objects(value, path)


def test_schema_is_strict_describes_every_key_and_fills_nothing_in(schema):
    found = list(objects(schema))
    assert len(found) > 20
    for path, node in found:
        assert node.get("additionalProperties") is False, f"{path} takes unknown keys"
        for key, value in node["properties"].items():
            where = f"{path}.{key}"
            target = schema["$defs"][value["$ref"].split("/")[-1]] if "$ref" in value else {}
            assert value.get("description") or target.get("description"), f"{where} has no description"
            assert "default" not in value, f"{where}: one tool would see the default and the other not"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("train.learning_rat", 0.1, "unknown key train.learning_rat; did you mean learning_rate?"),
        ("train.lr", 0.1, "unknown key train.lr: write train.learning_rate"),
        ("experiments.ulbd.epochs", 5, "unknown key experiments.ulbd.epochs: training never repeats"),
        ("colour", "red", "unknown key colour; allowed here: seed, families, shards"),
        ("seed", KeyError, "key seed is missing: seed of every random draw"),
        ("seed", True, "seed = True: must be a whole number"),
        ("seed", 1.5, "seed = 1.5: must be a whole number"),
        ("seed", "7", "seed = '7': must be a whole number (this is text; write 7 without quotes)"),
        (
            "experiments.ulbd.patterns",
            "1e5",
            "must be a whole number (YAML reads this as text; write 100000)",
        ),
        ("ceilings.lattices", 1, "ceilings.lattices = 1: must be at least 2"),
        ("ceilings.wilson_lattices", 1, "ceilings.wilson_lattices = 1: must be at least 2"),
        ("shards", 0, "shards = 0: must be at least 1 and at most 9999"),
        ("train.warmup", 1, "train.warmup = 1: must be at least 0 and less than 1"),
        ("train.learning_rate", "1e-3", "(YAML reads this as text; write 1.0e-03)"),
        ("cleaning.disordered", "drop", "cleaning.disordered = 'drop': must be one of keep, reject"),
        ("families", [], "families = []: must be a list of at least 1 values"),
        ("families", ["cubic", "cubic"], "must be a list without repeated values"),
        ("families", ["cubik"], "did you mean cubic?"),
        ("ulbd.lattices.cubic.lengths", [5], "must be a list of 2 values"),
        (
            "ulbd.lattices.cubic.step",
            0.1,
            "unknown key ulbd.lattices.cubic.step; allowed here: kind, lengths",
        ),
        ("sources.aflow", {"kind": "files"}, "key sources.aflow.path is missing: a folder"),
        ("sources", {"9": {"kind": "prototypes"}}, "sources: '9' is not allowed here; allowed: letters"),
        (
            "instrument.wavelength",
            "CuKb",
            "instrument.wavelength: 'CuKb' is not allowed here; allowed: angstrom;",
        ),
        ("instrument.wavelength", True, "must be a number or text or a list"),
        ("instrument.fwhm", {"u": 0.1, "w": 0.1}, "key instrument.fwhm.v is missing: of tan theta"),
        ("instrument.profile", "voigt", "instrument.profile: 'voigt' is not allowed here; allowed: shape"),
        ("instrument.profile", {"pseudo-voigt": {"eta": 2}}, "must be at least 0 and at most 1"),
        ("instrument.sample_displacement", 0.1, "did you mean displacement?"),
        ("instrument.background", {"chebyshev": []}, "key instrument.background.humps is missing"),
        ("lines.march_dollase.r", 0, "lines.march_dollase.r = 0: must be more than 0"),
        ("sources", {}, "sources = {}: must be a mapping with at least one entry"),
        ("experiments", [], "experiments = []: must be a mapping of keys"),
        ("sources.aflow", {}, "key sources.aflow.kind is missing: one of prototypes (structures carried"),
        ("sources.aflow", {"kind": ["files"]}, "sources.aflow.kind = ['files']: must be one of prototypes"),
        ("models.logq", None, "models.logq = None: must be a mapping of keys"),
        (
            "models.logq",
            {"kind": "resnet", "depth": 18},
            "models.logq.depth = 18: must be one of 10, 50, 101",
        ),
        ("ulbd.lattices.cubi", {}, "unknown key ulbd.lattices.cubi; did you mean cubic?"),
        ("instrument.background.humps", [{"height": 1}], "key instrument.background.humps.0.two_theta is"),
        ("instrument.impurities", [[0.5, 0]], "instrument.impurities.0.1 = 0: must be more than 0"),
        ("instrument.wavelength", "1.54", "(this is text; write 1.54 without quotes)"),
        (
            "experiments.ulbd.train",
            {"ulbd": "half"},
            "experiments.ulbd.train.ulbd = 'half': must be a number",
        ),
        ("experiments.cddd.training", {}, "experiments.cddd.training = {}: must be a mapping with"),
        (
            "experiments.cddd.training",
            {"loss": "hinge"},
            "training.loss = 'hinge': must be one of cross-entropy",
        ),
        ("variants", {"new": {"of": "cddd", "lines": {}}}, "variants.new.lines = {}: must be a mapping with"),
        ("variants", {"new": {"of": "cddd", "split": None}}, "variants.new.split = None: must be one of"),
    ],
)
def test_a_wrong_key_type_or_range_is_named(default, schema, path, value, expected):
    config = changed(default, path, value)
    assert expected in refusal(config)
    assert not Draft202012Validator(schema).is_valid(config), "editors would show nothing"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        # JSON Schema knows neither: 8.0 is a whole number to it, and a number need not be finite.
        ("shards", 8.0, "shards = 8.0: must be a whole number (write 8)"),
        ("cleaning.max_gap", float("inf"), "cleaning.max_gap = inf: must be a finite number"),
        ("splits.fractions.test", float("nan"), "splits.fractions.test = nan: must be a finite number"),
    ],
)
def test_a_number_is_finite_and_a_whole_one_has_no_point(default, path, value, expected):
    assert expected in refusal(changed(default, path, value))


def test_what_stands_below_a_wrong_name_is_not_counted(default):
    config = changed(default, "sources", {"a b": {"kind": "files"}})
    assert refusal(config) == "sources: 'a b' is not allowed here; allowed: " + NAMES


def test_configuration_offers_what_the_library_knows():
    """Light modules hold these names, the models of the configuration may not load torch to ask for them."""

    def offered(model, key):
        return get_args(model.model_fields[key].annotation)

    assert offered(dataset_keys.LinesKeys, "radiation") == RADIATIONS
    assert offered(dataset_keys.LinesKeys, "convention") == CONVENTIONS
    assert offered(dataset_keys.Ulbd, "intensities") == INTENSITY_LAWS
    assert offered(dataset_keys.Splits, "ulbd") == SPLIT_KINDS
    assert set(offered(model_keys.Parkcnn, "size")) == set(SIZES)
    assert set(offered(model_keys.Resnet, "depth")) == set(BLOCKS)
    networks = get_args(get_args(model_keys.AnyModel)[0])
    options = {get_args(member)[0] for member in networks} - {model_keys.OwnNetwork}
    known = {offered(model, "kind")[0]: {*model.model_fields} - {"kind"} for model in options}
    signatures = {name: {*inspect.signature(network.__init__).parameters} for name, network in MODELS.items()}
    assert known == {name: names - {"self", "instrument", "n_outputs"} for name, names in signatures.items()}


def test_the_fewest_sites_are_those_of_the_wyckoff_positions():
    for family in FAMILIES:
        smallest = {n: min(p.multiplicity for p in wyckoff_positions(n)) for n in space_groups(family)}
        least, number = _FEWEST_SITES[family]
        assert smallest[number] == least == max(smallest.values())


#: Lattices with axes of 5 to 15 angstrom.
CUBIC = {
    **{"kind": "continuous", "lengths": [5, 15], "angles": [90, 90], "spacing": "log"},
    **{"count": 1, "draws": 1},
}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        # 2 sin(60 degrees) / 1.5406 = 1.124 1/angstrom, and the last line's tail reaches a little further.
        ("instrument.two_theta.max", 120, "lines.d_star_max: 0.93 1/angstrom is below 1.12"),
        ("instrument.two_theta.max", 4, "instrument.two_theta"),
        ("ulbd.lattices.cubic", KeyError, "ulbd.lattices.cubic is missing: families asks for cubic"),
        ("ulbd.lattices.cubic.lengths", [15, 5], "ulbd.lattices.cubic: lengths 15"),
        (
            "lines.d_star_max",
            9,
            "ulbd.lattices.cubic: axes of 15 angstrom have 2e+07 hkl up to lines.d_star_max",
        ),
        ("ulbd.lattices.triclinic.angles", [60, 130], "ulbd.lattices.triclinic: angles 60"),
        ("experiments.cddd.model", "logs", "experiments.cddd.model = 'logs': must be a key of models: logq"),
        ("splits.fractions.test", 0.4, "splits.fractions: train + validation + test = 1.1, must be 1"),
        ("instrument.fwhm", 0, "instrument.fwhm: 0.0, expected a positive number"),
        ("instrument.zero_shift", 0.01, "observer.families: its exact law needs an instrument with one wave"),
        ("instrument.two_theta.points", 500, "observer.families: its exact law needs an instrument with one"),
        ("instrument.monochromator", 26.4, "instrument.monochromator: needs lorentz: lorentz-polarisation"),
        ("lines.anomalous", 0.71, "lines.anomalous: 0.71 angstrom, but instrument.wavelength is 1.5406"),
        ("lines.convention", "wang2025", "lines.convention: training that draws its samples knows standard"),
        ("lines.march_dollase.axis", [0, 0, 0], "lines.march_dollase.axis: 0 0 0 is no direction"),
        ("gcdd.elements", [5, 1], "gcdd.elements: 5 to 1 is an empty range"),
        (
            "gcdd.max_sites",
            7,
            "gcdd.max_sites: 7 is less than any position of space group 230 holds; write 16",
        ),
        (
            "experiments.cddd.training",
            {"sampling": "class-balanced", "loss": "logit-adjusted"},
            "experiments.cddd.training: loss: logit-adjusted and sampling: class-balanced each do away",
        ),
        (
            "experiments.measured.training",
            {"sampling": "class-balanced"},
            "experiments.measured: prior and training.sampling: class-balanced both say how often",
        ),
        (
            "experiments.cddd.libraries",
            2,
            "experiments.cddd.libraries: training crystals are measured anew by `variation`, which is",
        ),
        (
            "experiments.ulbd.libraries",
            2,
            "experiments.ulbd.libraries: one stored training set holds the crystals",
        ),
        (
            "experiments.ulbd.training",
            {"sampling": "class-balanced"},
            "experiments.ulbd.training.sampling: class-balanced needs a stored training set",
        ),
        (
            "experiments.ulbd.training",
            {"loss": "logit-adjusted", "focusing": 2},
            "experiments.ulbd.training.focusing: has no effect with loss: logit-adjusted, only with focal",
        ),
        (
            "experiments.ulbd.training",
            {"patience": 2},
            "experiments.ulbd.training.patience: has no effect with schedule: cosine, only with plateau",
        ),
        (
            "experiments.ulbd.training",
            {"optimizer": "adam", "weight_decay": 0.1},
            "training.weight_decay: has no effect with optimizer: adam, only with muon or adamw",
        ),
        (
            "experiments.cddd.lattices",
            {"cubic": CUBIC},
            "experiments.cddd.lattices: have no effect; only ulbd-onl",
        ),
        (
            "experiments.mixture.lattices",
            {"cubic": CUBIC, "tetragonal": CUBIC},
            "experiments.mixture.lattices.tetragonal: has no effect, because families has no tetragonal",
        ),
        ("train.batch_size", 500, "train.batch_size 500 is no multiple of processes 1 x ghost_batch 64"),
        ("train.processes", 3, "is no multiple of processes 3 x ghost_batch 64"),
        ("models.logq.points", 1000, "models.logq.points: 1000 is not 32 times a power of two"),
        (
            "experiments.cddd.training",
            {"focusing": 3},
            "experiments.cddd.training.focusing: has no effect without loss: focal",
        ),
        (
            "experiments.cddd.transform",
            {"floor": 0.1},
            "experiments.cddd.transform.floor: has no effect without values: log",
        ),
        (
            "splits.fractions",
            {"train": 0.9, "validation": 0.1, "test": 0},
            "splits.fractions.test = 0: models are judged on that part",
        ),
        (
            "splits.fractions",
            {"train": 0, "validation": 0.1, "test": 0.9},
            "splits.fractions.train = 0: cddd is trained on",
        ),
        (
            "splits.cddd",
            "source",
            "splits.cddd: source puts all of one source into one part; sources has one alone",
        ),
        ("observer.hybrid", "ulbdd", "observer.hybrid = 'ulbdd': must be a key of experiments"),
        ("observer.laws", {"cdd": "uniform"}, "observer.laws: 'cdd' is neither a dataset nor a variant"),
    ],
)
def test_values_that_contradict_each_other_are_named(default, path, value, expected):
    assert expected in refusal(changed(default, path, value))


TREES = {"kind": "extratrees", "trees": 3, "min_leaf": 1}


@pytest.mark.parametrize(
    ("model", "path", "value", "expected"),
    [
        (
            {"kind": "fcn13"},
            "instrument.two_theta.points",
            4096,
            "model: fcn13 needs instrument.two_theta.poi",
        ),
        ({"kind": "fcn13"}, "train.batch_size", 130, None),
        ({"kind": "fcn13"}, "train.processes", 3, "train.batch_size 128 is no multiple of processes 3"),
        (TREES, "train.batch_size", 130, None),
        (TREES, "train.processes", 2, "model: trees are fitted in one process, and train.processes is 2"),
        (TREES, "experiments.ulbd.training", {"loss": "focal"}, "training.loss: trees are grown without"),
        (
            TREES,
            "experiments.ulbd.training",
            {"l1": 0.1},
            "training.l1: trees are grown without; leave it out",
        ),
    ],
)
def test_a_training_is_held_against_its_network(default, model, path, value, expected):
    config = changed(default, "models", {"other": model})
    of_other = {name: {**experiment, "model": "other"} for name, experiment in config["experiments"].items()}
    config = changed(config, "experiments", of_other)
    config = changed(changed(config, "observer.families", []), path, value)
    if expected is None:
        configuration.check(config)
    else:
        assert refusal(config).startswith(("experiments.ulbd: ", "experiments.ulbd."))
        assert expected in refusal(config)


@pytest.mark.parametrize(
    "training",
    [
        {"loss": "focal", "focusing": 1},
        {"schedule": "plateau", "patience": 2, "factor": 0.5},
        {"optimizer": "adamw", "weight_decay": 0.1, "warmup": 0.1, "l2": 0.001},
    ],
)
def test_keys_of_a_training_that_have_an_effect_are_accepted(default, training):
    configuration.check(changed(default, "experiments.ulbd.training", training))


def test_the_networks_whose_batches_are_whole_ghost_batches_are_known(default):
    instrument = Instrument.from_config(default["instrument"])
    for kind, network in MODELS.items():
        if kind == "extratrees":
            continue
        names = {"simxrd": simxrd.NAMES, "report": REPORT, "slides": SLIDES}.get(kind, ("",))
        for name in names:
            with torch.device("meta"):  # without their weights, 99 million of the largest
                model = network(instrument, 7, **({"name": name} if name else {}))
            assert set_ghost_batch(model, 2) == (NORMALISED.get(kind) in ("", name)), (kind, name)


def test_types_of_no_measured_patterns_cannot_be_left_out(default):
    config = changed(default, "experiments.cddd.train", "data/apart")
    configuration.check(config)
    assert refusal(changed(config, "patterns", {})) == (
        "experiments.cddd.train: data/apart leaves out the types of measured patterns; patterns has none"
    )


def test_a_split_by_types_needs_their_labels(default):
    """Without them each structure would be a type of its own, and types would fall into two parts."""
    needs = "needs the labels of cleaning.protostructures, which is false"
    unlabelled = changed(default, "cleaning.protostructures", False)
    assert refusal(unlabelled) == f"splits.cddd: protostructure {needs}"
    by_formula = changed(unlabelled, "splits.cddd", "formula")
    configuration.check(by_formula)
    variant = {"of": "cddd", "split": "protostructure"}
    by_type = changed(by_formula, "variants.by-type", variant)
    assert refusal(by_type) == f"variants.by-type.split: protostructure {needs}"
    apart = changed(by_formula, "experiments.cddd.train", "data/apart")
    assert refusal(apart) == f"experiments.cddd.train: data/apart {needs}"


def test_the_laboratory_instrument_of_the_documents_is_accepted_with_what_they_say_of_it(root, default):
    text = (root / "config/README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(instrument:\n.*?)```", text, re.S)
    said = yaml.safe_load(block)
    config = default | {"instrument": said["instrument"]}
    assert "lines.d_star_max: 0.93" in refusal(config)
    config = changed(config, "lines.d_star_max", 0.94)
    assert refusal(config).startswith(
        "observer.families: its exact law needs an instrument with one wavelength"
    )
    configuration.check(changed(config, "observer.families", said["observer"]["families"]))


def test_an_observer_is_of_families_that_are_built(default):
    config = changed(default, "families", [name for name in default["families"] if name != "monoclinic"])
    # A model of all families needs them all.
    config["experiments"] = {k: v for k, v in config["experiments"].items() if "all" not in v["families"]}
    for experiment in config["experiments"].values():
        experiment["families"] = [name for name in experiment["families"] if name != "monoclinic"]
    assert "observer.families: 'monoclinic' is not in families (cubic, " in refusal(config)


def test_neutrons_are_not_polarised_nor_dispersed(default):
    neutrons = changed(default, "lines.radiation", "neutron")
    refused = refusal(changed(neutrons, "instrument.lorentz", "lorentz-polarisation"))
    assert "neutrons are not polarised by scattering" in refused
    assert "neutrons have no f' and f''" in refusal(changed(neutrons, "lines.anomalous", 1.5406))


@pytest.mark.parametrize(
    ("of_lines", "of_variant", "expected"),
    [
        (
            {"anomalous": 1.5406},
            {"radiation": "neutron"},
            "variants.new.lines.radiation: neutrons have no f'",
        ),
        (
            {},
            {"march_dollase": {"axis": [0, 0, 0], "r": 1}},
            "variants.new.lines.march_dollase.axis: 0 0 0 is",
        ),
        (
            {},
            {"convention": "wang2025", "march_dollase": {"axis": [0, 0, 1], "r": 0.8}},
            "variants.new.lines.march_dollase.r: wang2025 has no preferred orientation; write 1",
        ),
        ({"convention": "wang2025", "anomalous": 1.5406}, {}, "lines.anomalous: wang2025 has no f' and f''"),
        (
            {"convention": "wang2025", "march_dollase": {"axis": [0, 0, 1], "r": 0.8}},
            {},
            "lines.march_dollase.r: wang2025 has no preferred orientation; write 1",
        ),
    ],
)
def test_lines_of_a_variant_are_lines_that_there_are(default, of_lines, of_variant, expected):
    config = copy.deepcopy(default)
    config["lines"] |= of_lines
    config["variants"] = {"new": {"of": "cddd", "lines": of_variant}} if of_variant else {}
    config["experiments"] = {"cddd": default["experiments"]["cddd"]}
    config["observer"]["hybrid"] = "cddd"
    assert expected in refusal(config)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # Both versions of CDDD hold the same structures, each drawn into other parts.
        ({"train": "cddd-random", "tests": ["cddd"]}, "hold the same samples in other parts"),
        ({"train": "cddd", "tests": ["cddd-random"]}, "hold the same samples in other parts"),
        ({"train": "cddd-random", "tests": ["cddd-both"]}, "hold the same samples in other parts"),
        (
            {"train": "data/apart", "tests": ["cddd-random"]},
            "data/apart and cddd-random hold",
        ),
        ({"train": "data/cddd", "tests": ["cddd-random"]}, "data/cddd and cddd-random hold"),
        (
            {"train": "data/variants/cddd-random", "tests": ["cddd"]},
            "data/variants/cddd-random and cddd hold the same samples",
        ),
        (
            {"train": {"data/apart": 1, "gcdd": 1, "cddd-random": 2}, "tests": ["gcdd"]},
            "train: data/apart and cddd-random hold the same samples in other parts, so the validation",
        ),
        ({"train": "ulbd-imbalancd"}, "did you mean ulbd-imbalanced?"),
        ({"tests": ["gcddd"]}, "is neither a dataset nor a variant; did you mean gcdd?"),
    ],
)
def test_experiments_name_datasets_and_variants_that_fit(default, changes, expected):
    config = copy.deepcopy(default)
    config["experiments"]["cddd-groups"].update(changes)
    assert expected in refusal(config)


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ({"of": "cddd", "ranges": "cddd"}, "variants.new.ranges: not a setting of cddd"),
        ({"of": "ulbd", "least": 50}, "variants.new.least: not a setting of ulbd"),
        ({"of": "ulbd", "split": "formula"}, "variants.new.split: 'formula' is no split of ulbd"),
        ({"of": "cddd", "split": "lattice"}, "variants.new.split: 'lattice' is no split of cddd"),
        ({"of": "gcdd"}, "variants.new.of = 'gcdd': must be one of ulbd, cddd"),
        ({"of": "ulbd", "lattices": {"lengths": [9, 5]}}, "expected 0 < min <= max"),
    ],
)
def test_a_variant_changes_only_what_its_dataset_has(default, variant, expected):
    config = copy.deepcopy(default)
    config["variants"]["new"] = variant
    config["experiments"]["balanced"]["tests"].append("new")
    assert expected in refusal(config)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            "robustness.tests",
            ["ulbdd"],
            "robustness.tests: 'ulbdd' is neither a dataset nor a variant; did you",
        ),
        (
            "variants.cddd-both",
            {"of": "cddd", "split": "random"},
            "variants.cddd-both: the name is taken by a training set or a test set",
        ),
        ("sources.cddd", {"kind": "prototypes"}, "sources.cddd: the name is taken by a dataset"),
    ],
)
def test_a_name_stands_for_one_thing_and_for_something(default, path, value, expected):
    assert expected in refusal(changed(default, path, value))


def test_a_variant_keeps_every_other_key(default):
    config = copy.deepcopy(default)
    config["variants"] = {"few": {"of": "ulbd", "lattices": {"count": 3}, "split": "draw"}}
    changed = named_sets.with_variant(config, "variants/few")
    assert {lattice.pop("count") for lattice in changed["ulbd"]["lattices"].values()} == {3}
    assert changed["splits"].pop("ulbd") == "draw"
    for lattice in config["ulbd"]["lattices"].values():
        del lattice["count"]
    del config["splits"]["ulbd"]
    assert changed == config


def test_an_experiment_must_ask_for_families_that_are_built(default):
    config = changed(default, "families", ["tetragonal", "trigonal-hexagonal"])
    assert "experiments.ulbd.families: 'cubic' is not in families" in refusal(config)


def test_several_mistakes_are_counted_and_the_misspelt_key_comes_first(default):
    config = changed(changed(default, "seed", -1), "shards", KeyError) | {"shard": 8}
    assert refusal(config) == "unknown key shard; did you mean shards? (and 2 more)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1, 2\nb: 3\n", "line 2 not valid YAML"),
        ("a: 1\na: 2\n", "line 2 not valid YAML: key 'a' stands twice"),
        ("\tb: 1\n", "line 1 not valid YAML"),
        ("", "expected keys with values, found None"),
        ("just words\n", "expected keys with values"),
    ],
)
def test_a_file_that_is_no_configuration_is_named_with_its_line(tmp_path, text, expected):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(XtinctError) as caught:
        configuration.load(path)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_no_text_is_named(tmp_path):
    with pytest.raises(XtinctError, match="no such file"):
        configuration.load(tmp_path / "nothing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(XtinctError, match="not a text file"):
        configuration.load(tmp_path / "binary.yaml")


def test_every_piece_of_advice_names_a_key_that_does_not_exist():
    """Advice for a key that exists would never be seen."""
    for pattern in INSTEAD:
        node = document()
        for part in pattern.split("."):
            node = below(node, part)
        assert not node, f"{pattern} is a key of the configuration"
    assert below(below(document(), "train"), "learning_rate")


def test_light_modules_do_not_load_pydantic():
    """The job that runs cctbx may load nothing compiled before it; a job reads no configuration."""
    modules = "xtinct.project.job, xtinct.project.digests, xtinct.project.configuration, xtinct.cli"
    code = f"import sys, {modules}; print('pydantic_core' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def _laughs(depth, form):
    lines = ["l0: &l0 [1]"]
    lines += [f"l{k}: &l{k} {form.format(', '.join([f'*l{k - 1}'] * 10))}" for k in range(1, depth)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_laughs(10, "[{}]"), "line 7 not valid YAML: stands for more than 1,000,000 values"),
        (_laughs(10, "{{a: [{}]}}"), "stands for more than 1,000,000 values"),
        (_laughs(10, "{{<<: [{}]}}"), "stands for more than 1,000,000 values"),
        ("a: &a [*a]", "line 1 not valid YAML: *a stands within itself"),
        ("a: &a {b: {c: *a}}", "*a stands within itself"),
        ("[" * 100_000, "line 1 not valid YAML: nested deeper than 50 levels"),
        ("- " * 5000 + "a", "nested deeper than 50 levels"),
        (
            "\n".join(["l0: &l0 1", *(f"l{k}: &l{k} [[[[*l{k - 1}]]]]" for k in range(1, 500))]),
            "nested deeper",
        ),
        ("seed: " + "9" * 5000, "is no int that can be read"),
        ("a: 1\nseed: 2001-99-99", "line 2 not valid YAML: '2001-99-99' is no timestamp that can be read"),
        ("? [a]\n: 1", "a list or mapping is no key"),
        ("seed: !!float x", "'x' is no float"),
        ("seed: !!timestamp x", "'x' is no timestamp"),
        ("seed: !!bool x", "'x' is no bool"),
        ("seed: !!set [x]", "not valid YAML"),
        ("1: a\n'1': b", "key '1' stands twice"),
    ],
    ids=range(16),
)
def test_a_file_that_is_made_to_harm_is_refused_at_once(tmp_path, text, expected):
    """Aliases to aliases stand for gigabytes; brackets in brackets overflow the stack of libyaml's parser."""
    path = tmp_path / "c.yaml"
    path.write_text(text)
    start = time.monotonic()
    with pytest.raises(XtinctError) as caught:
        configuration.load(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 5


def test_aliases_are_allowed(tmp_path):
    (tmp_path / "c.yaml").write_text("a: &a {b: [1, 2]}\nc: *a\nd: [*a, *a]\n")
    found = configuration.read_yaml(tmp_path / "c.yaml")
    assert found == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}, "d": [{"b": [1, 2]}] * 2}
