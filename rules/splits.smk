rule splits:
    input:
        "data/structures/structures.parquet",
    output:
        "data/splits/structures.parquet",
    log:
        "logs/splits.log",
    params:
        fractions=config["splits"]["fractions"],
        seed=config["seed"],
        code=code_digest("xtinct.datasets.structure_splits"),
    script:
        "../workflow/scripts/splits.py"
