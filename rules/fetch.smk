from xtinct.structures.sources import source_inputs


rule fetch:
    input:
        lambda wildcards: source_inputs(config["sources"][wildcards.source]),
    output:
        "data/raw/{source}.parquet",
    log:
        "logs/fetch/{source}.log",
    params:
        source=lambda wildcards: config["sources"][wildcards.source],
        code=code_digest("xtinct.structures.sources"),
    script:
        "../workflow/scripts/fetch.py"
