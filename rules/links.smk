from xtinct.sources.fetching import source_inputs


rule links:
    input:
        expand("data/links/{source}.json", source=config["sources"]),


# For DVC: a path that dvc.yaml can name leads to whatever a source reads.
rule link_source:
    output:
        "data/links/{source}.json",
    log:
        "logs/link_source/{source}.log",
    benchmark:
        "logs/link_source/{source}.tsv"
    resources:
        mem_mb=sized(500),
        runtime=sized(10),
    params:
        paths=lambda wildcards: source_inputs(
            config["sources"][wildcards.source], PROJECT
        ),
        code=code_digest("xtinct.sources.links"),
    script:
        "../workflow/scripts/link_source.py"
