import shutil

from xtinct.pipeline import code_digest

# The merged configuration: with values from the command line it may differ from the file.
xtinct.config.exit_if_wrong_values(config)

FAMILIES = config["families"]
DATASETS = ["cddd", "ulbd", "gcdd"]
SHARDS = [f"{i:04d}" for i in range(config["shards"])]
# (experiment, family, seed) of every model.
MODELS = [
    (name, family, seed)
    for name, experiment in config["experiments"].items()
    for family in experiment["families"]
    for seed in experiment["seeds"]
]


wildcard_constraints:
    source="|".join(config["sources"]),
    family="|".join(FAMILIES),
    shard=r"\d{4}",
    experiment="|".join(config["experiments"]),
    seed=r"\d+",
    test="|".join(DATASETS),


def part(*paths):
    """The configuration reduced to these dotted paths, nested as it was."""
    reduced = {}
    for path in paths:
        source, target = config, reduced
        *parents, key = path.split(".")
        for parent in parents:
            source, target = source[parent], target.setdefault(parent, {})
        target[key] = source[key]
    return reduced


def ulbd_part(wildcards):
    """What the uniform lattices of one family depend on."""
    return part(
        f"ulbd.lattices.{wildcards.family}",
        "ulbd.intensities",
        "lines.d_star_max",
        "splits.ulbd",
        "splits.fractions",
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


def gpus():
    """GPUs that a job takes: one if the configuration allows it and the machine has a driver for any."""
    return int(
        config["train"]["device"] != "cpu" and shutil.which("nvidia-smi") is not None
    )


def training_set(wildcards):
    """Line lists that a model is trained on; none for a generator that runs along."""
    train = config["experiments"][wildcards.experiment]["train"]
    return (
        [] if train.endswith("-online") else f"data/{train}/{wildcards.family}.parquet"
    )


def training_lattices(wildcards):
    """What an online generator draws from; nothing for a stored training set."""
    if training_set(wildcards):
        return {}
    return part(f"ulbd.lattices.{wildcards.family}", "ulbd.intensities")["ulbd"]


def final_targets():
    return [
        "results/report.html",
        "results/metrics.json",
        "results/ceilings.csv",
        "data/symmetry/reflection_conditions.parquet",
        "data/splits/structures.parquet",
    ]
