from xtinct.auditing.pattern_paths import pattern_inputs


rule pattern_links:
    input:
        expand("data/links/patterns/{set}.json", set=PATTERN_SETS),


# For DVC: a path that dvc.yaml can name leads to whatever a set of measured patterns reads.
rule link_patterns:
    output:
        "data/links/patterns/{set}.json",
    log:
        "logs/link_patterns/{set}.log",
    benchmark:
        "logs/link_patterns/{set}.tsv"
    resources:
        mem_mb=sized(500),
        runtime=sized(10),
    params:
        paths=lambda wildcards: pattern_inputs(
            config["patterns"][wildcards.set], PROJECT
        ),
        code=code_digest("xtinct.sources.links"),
    script:
        "../workflow/scripts/link_patterns.py"
