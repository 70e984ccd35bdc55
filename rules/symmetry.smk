rule symmetry:
    input:
        "data/symmetry/operations.parquet",
        "data/symmetry/extinction_classes.parquet",


# No rule reads these tables: the library carries them as packaged data, so that it needs no cctbx. Every build
# makes them anew and fails unless the packaged ones hold the same rows; a test holds them byte by byte.
# cctbx has this job's process to itself.
rule symmetry_tables:
    output:
        operations="data/symmetry/operations.parquet",
        reflection_conditions="data/symmetry/reflection_conditions.parquet",
        wyckoff="data/symmetry/wyckoff.parquet",
    log:
        "logs/symmetry_tables.log",
    benchmark:
        "logs/symmetry_tables.tsv"
    resources:
        mem_mb=sized(1000),
        runtime=sized(30),
    params:
        code=code_digest("xtinct.symmetry.cctbx_tables"),
    script:
        "../workflow/scripts/symmetry_tables.py"


rule extinction_classes:
    output:
        "data/symmetry/extinction_classes.parquet",
    log:
        "logs/extinction_classes.log",
    benchmark:
        "logs/extinction_classes.tsv"
    resources:
        mem_mb=sized(1000),
        runtime=sized(30),
    params:
        code=code_digest("xtinct.ceiling.extinction"),
    script:
        "../workflow/scripts/extinction_classes.py"
