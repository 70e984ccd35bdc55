from xtinct.structures.sources import source_inputs


rule fetch:
    input:
        expand("data/raw/{source}.parquet", source=config["sources"]),


rule fetch_source:
    input:
        lambda wildcards: source_inputs(config["sources"][wildcards.source]),
    output:
        "data/raw/{source}.parquet",
    log:
        "logs/fetch_source/{source}.log",
    params:
        source=lambda wildcards: config["sources"][wildcards.source],
        code=code_digest("xtinct.structures.sources"),
    script:
        "../workflow/scripts/fetch_source.py"
