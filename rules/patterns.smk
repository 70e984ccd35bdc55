rule patterns:
    input:
        expand("data/measured/{set}.parquet", set=PATTERN_SETS),


# Measured patterns with their labels, whatever they lie in; what cannot be read, with reasons.
rule read_patterns:
    input:
        "data/links/patterns/{set}.json",
        # Their content counts, and not the time of the last change.
        lambda wildcards: ancient(
            pattern_inputs(config["patterns"][wildcards.set], PROJECT)
        ),
    output:
        patterns="data/measured/{set}.parquet",
        quarantine="data/measured/{set}.quarantine.parquet",
    log:
        "logs/read_patterns/{set}.log",
    benchmark:
        "logs/read_patterns/{set}.tsv"
    priority: 1
    resources:
        mem_mb=sized(4000),
        runtime=sized(600),
    params:
        patterns=lambda wildcards: config["patterns"][wildcards.set],
        content=lambda wildcards: measured_content(wildcards.set),
        project=PROJECT,
        code=code_digest("xtinct.auditing.pattern_sources"),
    script:
        "../workflow/scripts/read_patterns.py"
