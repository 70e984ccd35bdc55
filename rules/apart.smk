rule apart:
    input:
        types_left_out(),


# CDDD without the types of the measured patterns: for experiments whose `train` is data/apart.
rule types_apart:
    input:
        lines="data/cddd/{family}.parquet",
        structures="data/structures/structures.parquet",
        patterns=expand("data/measured/{set}.parquet", set=PATTERN_SETS),
    output:
        "data/apart/{family}.parquet",
    log:
        "logs/types_apart/{family}.log",
    benchmark:
        "logs/types_apart/{family}.tsv"
    resources:
        mem_mb=sized(2000, 8),
        runtime=sized(60, 0.2),
    params:
        code=code_digest("xtinct.datasets.types_apart"),
    script:
        "../workflow/scripts/types_apart.py"
