rule splits:
    input:
        "data/structures/structures.parquet",
    output:
        "data/splits/structures.parquet",
    log:
        "logs/splits.log",
    benchmark:
        "logs/splits.tsv"
    resources:
        mem_mb=sized(1000, 8),
        runtime=sized(30, 0.1),
    params:
        fractions=config["splits"]["fractions"],
        seed=config["seed"],
        code=code_digest("xtinct.datasets.structure_splits"),
    script:
        "../workflow/scripts/splits.py"
