rule clean_shard:
    input:
        expand("data/raw/{source}.parquet", source=config["sources"]),
    output:
        structures=temp("shards/structures/{shard}.parquet"),
        quarantine=temp("shards/structures/{shard}.quarantine.parquet"),
    log:
        "logs/clean_shard/{shard}.log",
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
    params:
        code=code_digest("xtinct.structures.cleaning"),
    script:
        "../workflow/scripts/structures.py"
