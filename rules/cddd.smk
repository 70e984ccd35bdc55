rule cddd_shard:
    input:
        "data/structures/structures.parquet",
    output:
        lines=temp(
            expand(
                "shards/{cddd}/{shard}/{family}.parquet",
                family=FAMILIES,
                allow_missing=True,
            )
        ),
        quarantine=temp("shards/{cddd}/{shard}/quarantine.parquet"),
    log:
        "logs/cddd_shard/{cddd}/{shard}.log",
    benchmark:
        "logs/cddd_shard/{cddd}/{shard}.tsv"
    resources:
        mem_mb=sized(2000, 4),
        runtime=sized(30, 2),
    params:
        config=cddd_part,
        seed=config["seed"],
        families=FAMILIES,
        shards=config["shards"],
        code=code_digest("xtinct.datasets.cddd"),
    script:
        "../workflow/scripts/cddd_shard.py"


rule cddd_family:
    input:
        expand("shards/{{cddd}}/{shard}/{{family}}.parquet", shard=SHARDS),
    output:
        "data/{cddd}/{family}.parquet",
    log:
        "logs/cddd_family/{cddd}/{family}.log",
    benchmark:
        "logs/cddd_family/{cddd}/{family}.tsv"
    resources:
        mem_mb=sized(1000, 8),
        runtime=sized(30, 0.1),
    params:
        config=cddd_part,
        seed=config["seed"],
        code=code_digest("xtinct.datasets.settings", "xtinct.datasets.merging"),
    script:
        "../workflow/scripts/cddd_family.py"


rule cddd:
    input:
        structures="data/structures/structures.parquet",
        families=expand("data/cddd/{family}.parquet", family=FAMILIES),
        quarantine=expand("shards/cddd/{shard}/quarantine.parquet", shard=SHARDS),
    output:
        quarantine="data/cddd/quarantine.parquet",
        manifest="data/cddd/manifest.json",
    log:
        "logs/cddd.log",
    benchmark:
        "logs/cddd.tsv"
    resources:
        mem_mb=sized(1000, 8),
        runtime=sized(30, 0.1),
    params:
        config=part("lines", "splits.cddd", "splits.fractions", *least_of()),
        seed=config["seed"],
        families=FAMILIES,
        code=code_digest(
            "xtinct.datasets.settings",
            "xtinct.datasets.merging",
            "xtinct.datasets.manifest",
        ),
    script:
        "../workflow/scripts/cddd.py"
