rule measured_networks:
    input:
        for_networks("results/measured_networks/{set}/{experiment}/seed-{seed}.json"),


# What a model that tells all families apart says of the measured patterns that passed their audit.
rule ask_network:
    input:
        model="models/{experiment}/all/seed-{seed}/model.safetensors",
        card="models/{experiment}/all/seed-{seed}/card.json",
        patterns="data/measured/{set}.parquet",
        audit="data/audit/{set}.parquet",
    output:
        metrics="results/measured_networks/{set}/{experiment}/seed-{seed}.json",
        predictions="results/measured_networks/{set}/{experiment}/seed-{seed}.parquet",
    log:
        "logs/ask_network/{set}/{experiment}/seed-{seed}.log",
    benchmark:
        "logs/ask_network/{set}/{experiment}/seed-{seed}.tsv"
    threads: config["train"]["threads"]
    resources:
        mem_mb=sized(4000, 4),
        runtime=sized(60, 0.1),
        gpu=gpus,
    params:
        device=config["train"]["device"],
        precision=config["train"]["precision"],
        threads=config["train"]["threads"],
        confidence=config["report"]["confidence"],
        code=code_digest("xtinct.evaluation.measured_networks"),
    script:
        "../workflow/scripts/ask_network.py"


# CDDD without the types of the measured patterns: for experiments whose `train` is data/apart.
rule types_apart:
    input:
        lines="data/cddd/{family}.parquet",
        structures="data/structures/structures.parquet",
        patterns=expand("data/measured/{set}.parquet", set=PATTERN_SETS),
    output:
        "data/apart/{family}.parquet",
    log:
        "logs/types_apart/{family}.log",
    benchmark:
        "logs/types_apart/{family}.tsv"
    resources:
        mem_mb=sized(2000, 8),
        runtime=sized(60, 0.2),
    params:
        code=code_digest("xtinct.datasets.types_apart"),
    script:
        "../workflow/scripts/types_apart.py"
