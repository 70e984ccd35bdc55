rule clean_shard:
    input:
        expand("data/raw/{source}.parquet", source=config["sources"]),
    output:
        structures=temp("shards/structures/{shard}.parquet"),
        quarantine=temp("shards/structures/{shard}.quarantine.parquet"),
    log:
        "logs/clean_shard/{shard}.log",
    benchmark:
        "logs/clean_shard/{shard}.tsv"
    resources:
        mem_mb=sized(2000, 4),
        runtime=sized(30, 2),
    params:
        cleaning=config["cleaning"],
        shards=config["shards"],
        code=code_digest("xtinct.structures.cleaning"),
    script:
        "../workflow/scripts/clean_shard.py"


rule structures:
    input:
        raw=expand("data/raw/{source}.parquet", source=config["sources"]),
        structures=expand("shards/structures/{shard}.parquet", shard=SHARDS),
        quarantine=expand("shards/structures/{shard}.quarantine.parquet", shard=SHARDS),
    output:
        structures="data/structures/structures.parquet",
        quarantine="data/structures/quarantine.parquet",
        manifest="data/structures/manifest.json",
    log:
        "logs/structures.log",
    benchmark:
        "logs/structures.tsv"
    resources:
        mem_mb=sized(1000, 8),
        runtime=sized(30, 0.1),
    params:
        code=code_digest("xtinct.structures.cleaning"),
    script:
        "../workflow/scripts/structures.py"
