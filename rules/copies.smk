rule copies:
    input:
        expand("data/{copies}/manifest.json", copies=COPIES),


# Real test crystals with coordinates, lattice or both drawn anew.
rule cddd_copies:
    input:
        structures="data/structures/structures.parquet",
        splits="data/splits/structures.parquet",
        statistics="data/gcdd/statistics.json",
    output:
        lines=expand("data/{{copies}}/{family}.parquet", family=FAMILIES),
        structures="data/{copies}/structures.parquet",
        quarantine="data/{copies}/quarantine.parquet",
        manifest="data/{copies}/manifest.json",
    log:
        "logs/cddd_copies/{copies}.log",
    benchmark:
        "logs/cddd_copies/{copies}.tsv"
    resources:
        mem_mb=sized(2000, 8),
        runtime=sized(30, 2),
    params:
        config=part("lines", "splits.cddd", "cleaning.symprec", *least_of()),
        seed=config["seed"],
        families=FAMILIES,
        code=code_digest("xtinct.datasets.cddd_copies", "xtinct.datasets.manifest"),
    script:
        "../workflow/scripts/cddd_copies.py"
