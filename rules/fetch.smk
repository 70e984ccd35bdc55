from xtinct.sources.fetching import source_addresses


rule fetch:
    input:
        expand("data/raw/{source}.parquet", source=config["sources"]),


rule fetch_source:
    input:
        "data/links/{source}.json",
        # Their content counts, and not the time of the last change.
        lambda wildcards: ancient(
            source_inputs(config["sources"][wildcards.source], PROJECT)
        ),
        # What lies elsewhere is brought by Snakemake's storage plugin of its address.
        brought=lambda wildcards: [
            storage(address)
            for address in source_addresses(config["sources"][wildcards.source])
        ],
    output:
        "data/raw/{source}.parquet",
    log:
        "logs/fetch_source/{source}.log",
    benchmark:
        "logs/fetch_source/{source}.tsv"
    resources:
        mem_mb=sized(4000),
        runtime=sized(2880),
    params:
        source=lambda wildcards: config["sources"][wildcards.source],
        content=lambda wildcards: content(wildcards.source),
        project=PROJECT,
        code=code_digest("xtinct.sources.fetching"),
    script:
        "../workflow/scripts/fetch_source.py"
