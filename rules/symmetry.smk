rule symmetry:
    input:
        "data/symmetry/operations.parquet",
        "data/symmetry/extinction_classes.parquet",


# cctbx has this job's process to itself.
rule symmetry_tables:
    output:
        operations="data/symmetry/operations.parquet",
        reflection_conditions="data/symmetry/reflection_conditions.parquet",
        wyckoff="data/symmetry/wyckoff.parquet",
    log:
        "logs/symmetry_tables.log",
    params:
        code=code_digest("xtinct.symmetry.cctbx_tables"),
    script:
        "../workflow/scripts/symmetry_tables.py"


rule extinction_classes:
    output:
        "data/symmetry/extinction_classes.parquet",
    log:
        "logs/extinction_classes.log",
    params:
        code=code_digest("xtinct.ceiling.extinction"),
    script:
        "../workflow/scripts/extinction_classes.py"
