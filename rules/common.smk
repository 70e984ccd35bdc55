import os
from functools import cache

import xtinct.project.experiments
import xtinct.project.named_sets
from xtinct.auditing.pattern_paths import pattern_content, pattern_inputs
from xtinct.learning.import_paths import source_digest
from xtinct.project.digests import code_digest
from xtinct.sources.fetching import source_content, source_inputs

# The merged configuration: with values from the command line it may differ from the file.
xtinct.project.configuration.exit_if_wrong_values(config)

FAMILIES = config["families"]
DATASETS = ["cddd", "ulbd", "gcdd"]
VARIANTS = config["variants"]
# Real test crystals with coordinates, lattice or both drawn anew.
COPIES = list(xtinct.project.named_sets.COPIES)
# Sets of measured patterns, and what is asked of them.
PATTERN_SETS = list(config["patterns"])
MEASURED_METHODS = ["index", "predict"]
SHARDS = [f"{i:04d}" for i in range(config["shards"])]
# GPUs that a job asks for: none for `train.device: cpu`, else one, whatever this machine has.
# Where jobs run on a machine without any, the Snakefile lets as many ask as there are cores.
GPUS = int(config["train"]["device"] != "cpu")
# (experiment, family, seed) of every model.
MODELS = [
    (name, family, seed)
    for name, experiment in config["experiments"].items()
    for family in experiment["families"]
    for seed in experiment["seeds"]
]


wildcard_constraints:
    source="|".join(config["sources"]),
    set="|".join(PATTERN_SETS) or "-",
    family="|".join([*FAMILIES, "all"]),
    shard=r"\d{4}",
    experiment="|".join(config["experiments"]),
    seed=r"\d+",
    test="|".join([*DATASETS, *COPIES, *VARIANTS]),
    copies="|".join(COPIES),
    cddd="|".join(xtinct.project.named_sets.versions(config, "cddd")),
    ulbd="|".join(xtinct.project.named_sets.versions(config, "ulbd")),


def part(*paths, of=config):
    """The configuration reduced to these dotted paths, nested as it was."""
    reduced = {}
    for path in paths:
        source, target = of, reduced
        *parents, key = path.split(".")
        for parent in parents:
            source, target = source[parent], target.setdefault(parent, {})
        target[key] = source[key]
    return reduced


def line_list_file(dataset, family):
    """The file of one family of a dataset or of a variant."""
    return xtinct.project.experiments.line_list_file(config, dataset, family)


def least_of(of=config):
    """The path of `splits.least`, where it leaves space groups out."""
    return ["splits.least"] if of["splits"].get("least") else []


def cddd_part(wildcards):
    """What the lines of real structures depend on, in this version of them."""
    of = xtinct.project.named_sets.with_variant(config, wildcards.cddd)
    return part("lines", "splits.cddd", "splits.fractions", *least_of(of), of=of)


def ulbd_part(wildcards):
    """What the uniform lattices of one family depend on, in this version of them."""
    return part(
        f"ulbd.lattices.{wildcards.family}",
        "ulbd.intensities",
        "lines.d_star_max",
        "lines.convention",
        "splits.ulbd",
        "splits.fractions",
        of=xtinct.project.named_sets.with_variant(config, wildcards.ulbd),
    )


def lattice_ranges(wildcards):
    """Real structures whose ranges limit the lattices of each group, in a variant that asks for it."""
    variant = VARIANTS.get(wildcards.ulbd.removeprefix("variants/"), {})
    return (
        line_list_file(variant["ranges"], wildcards.family)
        if "ranges" in variant
        else []
    )


# What decides whether a draw is a crystal of its group.
GCDD_DRAWS = [
    f"gcdd.{key}"
    for key in ("elements", "max_sites", "min_distance_scale", "max_attempts")
] + ["cleaning.symprec"]


def gcdd_part():
    """What generated crystals depend on, beside the statistics they are drawn from."""
    return part(
        "gcdd.generator",
        "gcdd.per_group",
        *GCDD_DRAWS,
        "lines",
        "splits.gcdd",
        "splits.fractions",
    )


def for_models(pattern, experiment=None):
    """`pattern` filled in for every model (of one experiment)."""
    return [
        pattern.format(experiment=e, family=f, seed=s)
        for e, f, s in MODELS
        if experiment in (None, e)
    ]


def for_evaluations(pattern, experiment=None):
    """`pattern` filled in for every model (of one experiment) and each of its test sets."""
    return [
        pattern.format(experiment=e, family=f, seed=s, test=test)
        for e, f, s in MODELS
        if experiment in (None, e)
        for test in config["experiments"][e]["tests"]
    ]


def for_robustness(experiment=None):
    """The curves of every model (of one experiment) on those of its test sets that are asked for."""
    found = for_evaluations(
        "results/evaluation/{experiment}/{family}/seed-{seed}/{test}", experiment
    )
    tests = config["robustness"]["tests"]
    return [f"{path}.robustness.csv" for path in found if path.split("/")[-1] in tests]


def for_observer(pattern):
    """`pattern` filled in for every test set of the observer."""
    observer = config["observer"]
    return [
        pattern.format(family=family, test=test)
        for family in observer["families"]
        for test in observer["laws"]
    ]


def for_hybrid(pattern):
    """`pattern` filled in where the observer meets a model of the family."""
    trained = config["experiments"][config["observer"]["hybrid"]]["families"]
    return [
        pattern.format(family=family, test=test)
        for family in config["observer"]["families"]
        if family in trained
        for test in config["observer"]["laws"]
    ]


def observed_lengths(wildcards):
    """Range of axes of the uniform lattices, which the observer of them may know; unknown for crystals."""
    lattices = config["ulbd"]["lattices"][wildcards.family]
    return lattices["lengths"] if wildcards.test == "ulbd" else None


def hybrid_model(name):
    """A file of the model that the observer is combined with."""
    experiment = config["observer"]["hybrid"]
    seed = config["experiments"][experiment]["seeds"][0]
    return f"models/{experiment}/{{family}}/seed-{seed}/{name}"


def for_measured(pattern):
    """`pattern` filled in for every set of measured patterns and what is asked of it."""
    return [
        pattern.format(set=name, method=method)
        for name in PATTERN_SETS
        for method in MEASURED_METHODS
    ]


def for_joint_models(name):
    """A file of every model that tells all families apart."""
    return [
        f"models/{experiment}/all/seed-{seed}/{name}"
        for experiment, family, seed in MODELS
        if family == "all"
    ]


def sets_before(wildcards):
    """Sets of measured patterns that come before this one, whose patterns it may repeat."""
    before = PATTERN_SETS[: PATTERN_SETS.index(wildcards.set)]
    return expand("data/measured/{set}.parquet", set=before)


def test_files(experiment):
    """Line lists of every test set of an experiment, by test set and then by family."""

    def files(wildcards):
        families = xtinct.project.experiments.families_of(wildcards.family)
        return [
            line_list_file(test, family)
            for test in config["experiments"][experiment]["tests"]
            for family in families
        ]

    return files


def of_tests(experiment, *names, among=None):
    """Files of a model's evaluation, each name filled in for every test set (of those `among`)."""
    return [
        f"results/evaluation/{experiment}/{{family}}/seed-{{seed}}/{name.format(test=test)}"
        for test in config["experiments"][experiment]["tests"]
        if among is None or test in among
        for name in names
    ]


def curves_of(experiment):
    """What the curves of an experiment's models are made of; none where they are not asked for."""
    asked, tests = config["robustness"], config["experiments"][experiment]["tests"]
    tests = [test for test in tests if test in asked["tests"]]
    return {**asked, "tests": tests} if tests else None


def sized(least, per_read=0):
    """Memory (MB) or time (minutes) that a job asks a cluster for: at least so much, and so much per MB it reads.

    A repeated attempt (`--retries`) asks for as much again. What a job took stands beside its log, in a .tsv.
    """

    def amount(wildcards, input, attempt):
        return round(attempt * (least + (per_read and per_read * read_mb(input))))

    return amount


def read_mb(files):
    """Size of these files in MB of 2^20 bytes; FileNotFoundError, which Snakemake expects, before they are made.

    The same as their `size_mb`, which takes milliseconds for each file that is on this disk.
    """
    if any(file.is_storage for file in files):
        return files.size_mb
    return sum(os.path.getsize(file) for file in files) / 2**20


def asks_for(experiment, key):
    """What a key of an experiment says; nothing where it is missing."""
    return config["experiments"][experiment].get(key)


def crystals_of(test):
    """The structures that a test set is of; none for lattices, and for crystals with something drawn anew."""
    of = VARIANTS.get(test, {"of": test})["of"]
    tables = {
        "cddd": "data/structures/structures.parquet",
        "gcdd": "data/gcdd/structures.parquet",
    }
    return tables.get(of, "")


def drawn_crystals(experiment):
    """Tables of structures that the figures of an experiment's models need, by test set."""
    tests = config["experiments"][experiment]["tests"]
    asked = tests if asks_for(experiment, "figures") else []
    return {test: crystals_of(test) for test in asked}


def of_trees(experiment):
    """The importances of an experiment's models, where these are trees and their figures are asked for."""
    kind = config["models"][config["experiments"][experiment]["model"]]["kind"]
    drawn = asks_for(experiment, "figures") and kind == "extratrees"
    return (
        [f"results/evaluation/{experiment}/{{family}}/seed-{{seed}}/importances.csv"]
        if drawn
        else []
    )


def library_files(experiment):
    """Line lists of the crystals of training, for experiments that are judged on them as well."""
    if not asks_for(experiment, "libraries"):
        return []
    (train,) = xtinct.project.named_sets.training_sets(
        config["experiments"][experiment]
    )
    return lambda wildcards: [
        line_list_file(train, family)
        for family in xtinct.project.experiments.families_of(wildcards.family)
    ]


def for_figures():
    """Tables that figures of single models, and comparisons of libraries, are made from."""
    tables = []
    for experiment in config["experiments"]:
        of_model = "results/evaluation/{experiment}/{family}/seed-{seed}"
        if asks_for(experiment, "figures"):
            for table in ("features", "descriptors"):
                tables += for_evaluations(
                    f"{of_model}/{{test}}.{table}.csv", experiment
                )
        if asks_for(experiment, "libraries"):
            tables += for_models(f"{of_model}/libraries.csv", experiment)
        for path in of_trees(experiment):
            tables += for_models(path, experiment)
    return tables


def training(wildcards):
    """What a model is trained with."""
    return xtinct.project.experiments.training_settings(
        config, wildcards.experiment, wildcards.family, int(wildcards.seed)
    )


def types_left_out():
    """The files of data/apart that trainings read."""
    settings = [
        xtinct.project.experiments.training_settings(config, *model) for model in MODELS
    ]
    files = {
        p for of in settings for p in xtinct.project.experiments.training_inputs(of)
    }
    return sorted(filter(xtinct.project.named_sets.is_apart, files))


def network_digest(experiment):
    """Digest of the source of an experiment's network, if it is of the user's own."""
    model = config["models"][config["experiments"][experiment]["model"]]
    return source_digest(model["kind"])


def variant_files():
    """Files of each variant that experiments or the observer ask for, by variant and family."""
    observer = config["observer"]
    asked = [(observer["families"], observer["laws"])]
    for experiment in config["experiments"].values():
        every = FAMILIES if "all" in experiment["families"] else experiment["families"]
        trained = xtinct.project.named_sets.training_sets(experiment)
        asked.append((every, [*trained, *experiment["tests"]]))
    files = {name: {} for name in VARIANTS}
    for families, datasets in asked:
        for dataset in datasets:
            for family in families if dataset in VARIANTS else ():
                files[dataset][family] = line_list_file(dataset, family)
    return files


def final_targets():
    return [
        "results/report.html",
        "results/metrics.json",
        *for_observer("results/observer/{family}/{test}.json"),
        *for_hybrid("results/observer/{family}/{test}.hybrid.json"),
        *for_robustness(),
        *for_measured("results/measured/{set}/{method}.json"),
        *expand("results/measured_networks/{set}.json", set=PATTERN_SETS),
        "results/ceilings.csv",
        "data/symmetry/reflection_conditions.parquet",
        "data/splits/structures.parquet",
        "data/recognition/table.parquet",
        "results/generated/comparison.csv",
        *[f"data/{copies}/manifest.json" for copies in COPIES],
    ]


def given_paths():
    """What sources and sets of measured patterns read on this disk."""
    return [
        *[p for of in config["sources"].values() for p in source_inputs(of, PROJECT)],
        *[p for of in config["patterns"].values() for p in pattern_inputs(of, PROJECT)],
    ]


@cache
def content(source):
    """Digests of what a source reads on this disk: Snakemake sees no edit within a folder."""
    kept = f"data/cache/listings/{source}.parquet"
    return source_content(config["sources"][source], kept, PROJECT)


@cache
def measured_content(name):
    """The same of a set of measured patterns."""
    kept = f"data/cache/listings/patterns/{name}.parquet"
    return pattern_content(config["patterns"][name], kept, PROJECT)
