"""Reading and checking the configuration: one complete file, nothing filled in, one line per mistake."""

import difflib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from xtinct.errors import XtinctError
from xtinct.project.job import one_line_errors

#: In the project's folder, or in that of a checkout.
CONFIG = "config/config.yaml"
#: Part of the package: the same wherever a command runs.
SCHEMA = Path(__file__).with_name("config.schema.yaml")

#: Keys that do not exist but are asked for: dotted path, with * for a free name -> what to write instead.
INSTEAD = {
    "systems": "write families; trigonal and hexagonal share a metric and are one family",
    "train.lr": "write train.learning_rate",
    "train.wd": "write train.weight_decay",
    "train.epochs": "training never repeats a pattern; set experiments.<name>.patterns",
    "train.patterns": "the budget belongs to an experiment; set experiments.<name>.patterns",
    "train.seed": "set experiments.<name>.seeds",
    "instrument.sigma": "write instrument.fwhm, which is 2.3548 sigma",
    "instrument.radiation": "write lines.radiation; it decides the structure factors",
    "fetch": "write sources (where structures come from) and cleaning (what is done to them)",
    "ulbd.mesh": "write ulbd.lattices.<family>",
    "experiments.*.seed": "write experiments.<name>.seeds, a list",
    "experiments.*.test": "write experiments.<name>.tests, a list",
    "experiments.*.epochs": "training never repeats a pattern; set experiments.<name>.patterns",
}

_DATASETS = ("ulbd", "cddd", "gcdd")
#: Test sets of real crystals with something drawn anew.
COPIES = ("cddd-coordinates", "cddd-lattice", "cddd-both")
_ONLINE = ("ulbd-online", "wilson-online", "physical-online", "gcdd-online")

_TYPES = {
    "object": "a mapping of keys",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets a repeated key overwrite the first one in silence; here it is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key!r} stands twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: str | Path) -> Any:
    """Parsed content of a YAML file; XtinctError naming file and line where it is not YAML."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            return yaml.load(file, Loader=_UniqueKeys)
    except OSError as error:
        hint = "; name a configuration, or run in a checkout of the project" if str(path) == CONFIG else ""
        raise XtinctError(f"{path}: {(error.strerror or str(error)).lower()}{hint}") from None
    except UnicodeDecodeError:
        raise XtinctError(f"{path}: not a text file in UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise XtinctError(f"{path}:{line} not valid YAML: {problem}") from None


def load(path: str | Path = CONFIG, schema: str | Path = SCHEMA) -> dict[str, Any]:
    """The checked configuration of a file; XtinctError with one line naming the first wrong key."""
    return check(read_yaml(path), schema=schema, where=str(path))


def check(config: Any, *, schema: str | Path = SCHEMA, where: str = CONFIG) -> dict[str, Any]:
    """`config` itself, as plain dicts and lists, if it obeys the schema and makes sense as a whole.

    Nothing is filled in: what the file says is what every tool sees. Raises XtinctError with one
    line that names file, key, value and what is allowed.
    """
    from jsonschema import Draft202012Validator

    config = _plain(config)
    if not isinstance(config, dict):
        raise XtinctError(f"{where}: expected keys with values, found {_show(config)}")
    validator = Draft202012Validator(read_yaml(schema))
    # A misspelt key is at once unknown and missing: the unknown one is the one to show.
    errors = sorted(
        validator.iter_errors(config), key=lambda error: error.validator != "additionalProperties"
    )
    problems = [_explain(error) for error in errors] or list(_contradictions(config))
    if problems:
        others = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise XtinctError(f"{where}: {problems[0]}{others}")
    return config


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _explain(error: Any) -> str:
    """One line for a jsonschema error: key path, value, what is allowed."""
    path = ".".join(str(part) for part in error.absolute_path)
    rule, schema, value = error.validator_value, error.schema, error.instance
    match error.validator:
        case "additionalProperties":
            known = schema.get("properties", {})
            key = next(key for key in value if key not in known)
            return _unknown_key(path, key, list(known))
        case "required":
            key = next(key for key in rule if key not in value)
            about = schema.get("properties", {}).get(key, {}).get("description", "")
            return f"key {_join(path, key)} is missing" + (f": {about}" if about else "")
        case "pattern":
            return f"{path}: {_show(value)} is not allowed here; allowed: {schema.get('description', rule)}"
        case "type":
            kinds = [rule] if isinstance(rule, str) else rule
            allowed = " or ".join(_TYPES.get(kind, "empty") for kind in kinds)
        case "enum":
            allowed = "one of " + ", ".join(map(str, rule)) + _did_you_mean(value, rule)
        case "const":
            allowed = f"{rule!r}"
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            allowed = _bounds(schema)
        case "minItems" | "maxItems":
            least, most = schema.get("minItems", 0), schema.get("maxItems")
            count = (
                f"{least}" if least == most else f"at least {least}" if most is None else f"{least} to {most}"
            )
            allowed = f"a list of {count} values"
        case "uniqueItems":
            allowed = "a list without repeated values"
        case "minProperties":
            allowed = "a mapping with at least one entry"
        case _:
            return f"{path} = {_show(value)}: {error.message}"
    return f"{path} = {_show(value)}: must be {allowed}{_yaml_number_hint(error)}"


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _unknown_key(path: str, key: Any, known: list[str]) -> str:
    full = _join(path, key)
    parts = full.split(".")
    for pattern, advice in INSTEAD.items():
        asked = pattern.split(".")
        if len(asked) == len(parts) and all(a in ("*", p) for a, p in zip(asked, parts, strict=True)):
            return f"unknown key {full}: {advice}"
    return f"unknown key {full}{_did_you_mean(key, known) or '; allowed here: ' + ', '.join(known)}"


def _did_you_mean(value: Any, known: list[Any]) -> str:
    close = difflib.get_close_matches(str(value), [str(name) for name in known], n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _bounds(schema: Mapping[str, Any]) -> str:
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
    }
    return " and ".join(f"{word} {schema[key]}" for key, word in words.items() if key in schema)


def _yaml_number_hint(error: Any) -> str:
    """YAML 1.1 reads 1e-3 as text; say so instead of leaving people puzzled."""
    if error.validator == "type" and isinstance(error.instance, str):
        try:
            number = float(error.instance)
        except ValueError:
            return ""
        return f" (YAML reads this as text; write {number:.1e})" if math.isfinite(number) else ""
    return ""


def training_sets(experiment: Mapping[str, Any]) -> list[str]:
    """Names of an experiment's training sets: `train` is one of them, or a mixture with weights."""
    train = experiment["train"]
    return [train] if isinstance(train, str) else list(train)


def versions(config: Mapping[str, Any], dataset: str) -> list[str]:
    """Folders below data/ that hold a dataset and its variants."""
    return [dataset, *(f"variants/{name}" for name, v in config["variants"].items() if v["of"] == dataset)]


def with_variant(config: Mapping[str, Any], version: str) -> dict[str, Any]:
    """The configuration that a version of a dataset is built with: its keys in place of the dataset's.

    `version`: one of `versions`. `ranges` is no key of the configuration; the rules read it.
    """
    changed = _plain(config)
    variant = changed["variants"].get(version.removeprefix("variants/"))
    if variant is not None:
        if "split" in variant:
            changed["splits"][variant["of"]] = variant["split"]
        if "intensities" in variant:
            changed["ulbd"]["intensities"] = variant["intensities"]
        changed["lines"].update(variant.get("lines", {}))
        for lattices in changed["ulbd"]["lattices"].values():
            lattices.update(variant.get("lattices", {}))
    return changed


def _wrong_variants(config: dict[str, Any]) -> Iterator[str]:
    from xtinct.lattices.distributions import LatticeSpec

    for name, variant in config["variants"].items():
        where = f"variants.{name}"
        foreign = {"ulbd": [], "cddd": ["lattices", "ranges", "intensities"]}[variant["of"]]
        for key in foreign:
            if key in variant:
                yield f"{where}.{key}: not a setting of {variant['of']}"
        if variant["of"] == "ulbd" and variant.get("lines", {}).keys() - {"convention"}:
            yield f"{where}.lines: of ulbd there is convention alone"
        if name in (*_DATASETS, *_ONLINE):
            yield f"{where}: the name is taken by a training set"
        for family, lattices in with_variant(config, f"variants/{name}")["ulbd"]["lattices"].items():
            try:
                LatticeSpec.from_config(lattices).n_lattices(family)
            except XtinctError as error:
                # A mesh that some families cannot have is no mistake where they are not asked for.
                asked = any(
                    family in e["families"] and name in (*training_sets(e), *e["tests"])
                    for e in config["experiments"].values()
                )
                if asked:
                    yield f"{where}.lattices of {family}: {str(error).removeprefix('lattices: ')}"
    for name, experiment in config["experiments"].items():
        known = [*_DATASETS, *_ONLINE, *config["variants"]]
        for train in training_sets(experiment):
            if train not in known:
                yield (
                    f"experiments.{name}.train: {train!r} is no dataset, no variant and none of "
                    + ", ".join(_ONLINE)
                    + _did_you_mean(train, known)
                )
        for test in experiment["tests"]:
            tests = [*_DATASETS, *COPIES, *config["variants"]]
            if test not in tests:
                yield (
                    f"experiments.{name}.tests: {test!r} is neither a dataset nor a variant"
                    + _did_you_mean(test, tests)
                )
                continue
            for train in training_sets(experiment):
                if train in known and _share_samples(config, train, test):
                    yield (
                        f"experiments.{name}: {train} and {test} hold the same samples in other parts, so "
                        "the test would hold training samples; test on a version with the same split"
                    )


def _share_samples(config: Mapping[str, Any], train: str, test: str) -> bool:
    """Whether two versions of one dataset draw their parts differently from the same samples."""
    versions_of = [{"of": name, **config["variants"].get(name, {})} for name in (train, test)]
    if versions_of[0]["of"] != versions_of[1]["of"] or train.endswith("-online"):
        return False
    splits = [v.get("split", config["splits"][v["of"]]) for v in versions_of]
    return splits[0] != splits[1]


def _contradictions(config: dict[str, Any]) -> Iterator[str]:
    """What a schema cannot see: values that are fine alone and wrong together."""
    from xtinct.lattices.distributions import LatticeSpec
    from xtinct.patterns.instrument import Instrument
    from xtinct.patterns.measuring import Variation
    from xtinct.symmetry.families import FAMILIES

    families = config["families"]
    low, high = config["gcdd"]["elements"]
    if low > high:
        yield f"gcdd.elements: {low} to {high} is an empty range; the smaller value comes first"
    try:
        Instrument.from_config(config["instrument"]).check_reach(config["lines"]["d_star_max"])
    except XtinctError as error:
        yield str(error)
    yield from _mixed_radiation(config["lines"], config["instrument"])
    if config["lines"]["convention"] != "standard" and any(
        train in _ONLINE
        for experiment in config["experiments"].values()
        for train in training_sets(experiment)
    ):
        yield "lines.convention: training that draws its samples knows standard alone; make a variant instead"
    for family, lattice in config["ulbd"]["lattices"].items():
        try:
            LatticeSpec.from_config(lattice).n_lattices(family)
        except XtinctError as error:
            yield f"ulbd.lattices.{family}: {str(error).removeprefix('lattices: ')}"
    total = math.fsum(config["splits"]["fractions"].values())
    if abs(total - 1) > 1e-9:
        yield f"splits.fractions: train + validation + test = {total:g}, must be 1"

    for family in families:
        if family not in config["ulbd"]["lattices"]:
            yield f"ulbd.lattices.{family} is missing: families asks for {family}"
    yield from _wrong_variants(config)
    for name, experiment in config["experiments"].items():
        where = f"experiments.{name}"
        if experiment["model"] not in config["models"]:
            known = list(config["models"])
            yield (
                f"{where}.model = {experiment['model']!r}: must be a key of models: {', '.join(known)}"
                + _did_you_mean(experiment["model"], known)
            )
        for family in experiment["families"]:
            if family == "all":
                for missing in sorted(set(FAMILIES) - set(families)):
                    yield f"{where}.families: all needs every family in families, where {missing} is missing"
            elif family not in families:
                yield f"{where}.families: {family!r} is not in families ({', '.join(families)})"
        for family, lattice in experiment.get("lattices", {}).items():
            try:
                LatticeSpec.from_config(lattice).n_lattices(family)
            except XtinctError as error:
                yield f"{where}.lattices.{family}: {str(error).removeprefix('lattices: ')}"
        try:
            Variation.from_config(experiment.get("variation", {}))
        except XtinctError as error:
            yield f"{where}.{error}"
    yield from _wrong_observer(config)


def _wrong_observer(config: dict[str, Any]) -> Iterator[str]:
    observer, families = config["observer"], config["families"]
    for family in observer["families"]:
        if family not in families:
            yield f"observer.families: {family!r} is not in families ({', '.join(families)})"
    tests = [*_DATASETS, *COPIES, *config["variants"]]
    for test in observer["laws"]:
        if test not in tests:
            yield f"observer.laws: {test!r} is neither a dataset nor a variant" + _did_you_mean(test, tests)
    experiments = list(config["experiments"])
    if observer["hybrid"] not in experiments:
        yield (
            f"observer.hybrid = {observer['hybrid']!r}: must be a key of experiments: "
            + ", ".join(experiments)
            + _did_you_mean(observer["hybrid"], experiments)
        )


def _mixed_radiation(lines: Mapping[str, Any], instrument: Mapping[str, Any]) -> Iterator[str]:
    from xtinct.patterns.instrument import Instrument

    if lines["radiation"] == "neutron" and instrument["lorentz"] == "lorentz-polarisation":
        yield "instrument.lorentz: neutrons are not polarised by scattering; write lorentz"
    if not any(lines["march_dollase"]["axis"]):
        yield "lines.march_dollase.axis: 0 0 0 is no direction"
    if lines["anomalous"]:
        if lines["radiation"] == "neutron":
            yield "lines.anomalous: f' and f'' are those of X-rays; write 0 for neutrons"
        try:
            wavelength = Instrument.from_config(instrument).wavelength
        except XtinctError:
            return  # said above
        if abs(lines["anomalous"] - wavelength) > 0.01 * wavelength:
            yield f"lines.anomalous: {lines['anomalous']} angstrom, but instrument.wavelength is {wavelength}"


def project_folder(folder: Any) -> str:
    """Where the project lies, as its paths begin: "" if that is the working directory.

    `folder`: that of the Snakefile, as Snakemake names it.
    """
    # Snakemake wraps a path in an object of its own where a file may lie elsewhere than on this disk.
    path = folder.get_path_or_uri(secret_free=False) if hasattr(folder, "get_path_or_uri") else str(folder)
    return "" if Path(path).resolve() == Path.cwd() else path


def exit_if_wrong(*paths: str | Path) -> None:
    """End the process with one line on stderr and status 2 if a configuration file is wrong."""
    with one_line_errors():
        for path in paths:
            load(path)


def exit_if_wrong_values(config: Mapping[str, Any]) -> None:
    """The same for a configuration that the command line may have changed."""
    with one_line_errors():
        check(config, where="configuration")
