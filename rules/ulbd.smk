rule ulbd_shard:
    input:
        ranges=lattice_ranges,
    output:
        temp("shards/{ulbd}/{family}/{shard}.parquet"),
    log:
        "logs/ulbd_shard/{ulbd}/{family}/{shard}.log",
    benchmark:
        "logs/ulbd_shard/{ulbd}/{family}/{shard}.tsv"
    resources:
        mem_mb=sized(2000, 4),
        runtime=sized(120),
    params:
        config=ulbd_part,
        seed=config["seed"],
        shards=config["shards"],
        code=code_digest("xtinct.datasets.ulbd"),
    script:
        "../workflow/scripts/ulbd_shard.py"


rule ulbd_family:
    input:
        expand("shards/{{ulbd}}/{{family}}/{shard}.parquet", shard=SHARDS),
    output:
        "data/{ulbd}/{family}.parquet",
    log:
        "logs/ulbd_family/{ulbd}/{family}.log",
    benchmark:
        "logs/ulbd_family/{ulbd}/{family}.tsv"
    resources:
        mem_mb=sized(1000, 8),
        runtime=sized(30, 0.1),
    params:
        config=ulbd_part,
        variant=lambda wildcards: VARIANTS.get(wildcards.ulbd.removeprefix("variants/")),
        seed=config["seed"],
        code=code_digest("xtinct.datasets.settings", "xtinct.datasets.merging"),
    script:
        "../workflow/scripts/ulbd_family.py"


rule ulbd:
    input:
        expand("data/ulbd/{family}.parquet", family=FAMILIES),
    output:
        "data/ulbd/manifest.json",
    log:
        "logs/ulbd.log",
    benchmark:
        "logs/ulbd.tsv"
    resources:
        mem_mb=sized(1000, 8),
        runtime=sized(30, 0.1),
    params:
        config=part(
            "ulbd",
            "lines.d_star_max",
            "lines.convention",
            "splits.ulbd",
            "splits.fractions",
        ),
        seed=config["seed"],
        families=FAMILIES,
        code=code_digest("xtinct.datasets.manifest"),
    script:
        "../workflow/scripts/ulbd.py"
