# Every result here is a ceiling: the best accuracy that something allows. The tables in results/limits have
# kept the folder's name from before, so that caches of DVC hold.
rule ceilings:
    input:
        "results/ceilings.json",
        "results/limits/limits.json",
        "results/limits/wilson.json",


# What the extinction laws allow.
rule extinction_ceilings:
    output:
        csv=report(
            "results/ceilings.csv",
            caption="../workflow/report/ceilings.rst",
            category="Ceilings",
        ),
        json="results/ceilings.json",
    log:
        "logs/extinction_ceilings.log",
    benchmark:
        "logs/extinction_ceilings.tsv"
    resources:
        mem_mb=sized(1000),
        runtime=sized(30),
    params:
        ks=config["ceilings"]["ks"],
        code=code_digest("xtinct.ceiling.extinction"),
    script:
        "../workflow/scripts/extinction_ceilings.py"


# What special lattices, the window, the resolution and the threshold of a measurement leave of it.
rule measurement_ceilings:
    output:
        json="results/limits/limits.json",
        tables=expand(
            "results/limits/{table}.parquet",
            table=["limitations", "merged_lattices", "lost_pairs"],
        ),
    log:
        "logs/measurement_ceilings.log",
    benchmark:
        "logs/measurement_ceilings.tsv"
    resources:
        mem_mb=sized(2000),
        runtime=sized(120),
    params:
        seed=config["seed"],
        families=FAMILIES,
        lattices=config["ulbd"]["lattices"],
        instrument=config["instrument"],
        d_star_max=config["lines"]["d_star_max"],
        ceilings=config["ceilings"],
        code=code_digest("xtinct.ceiling.ceiling_files"),
    script:
        "../workflow/scripts/measurement_ceilings.py"


# How far crystals whose intensities follow Wilson's statistics let an observer get beyond it.
rule wilson_ceilings:
    output:
        json="results/limits/wilson.json",
        tables=expand(
            "results/limits/{table}.parquet", table=["wilson", "wilson_pairs"]
        ),
    log:
        "logs/wilson_ceilings.log",
    benchmark:
        "logs/wilson_ceilings.tsv"
    resources:
        mem_mb=sized(2000),
        runtime=sized(120),
    params:
        seed=config["seed"],
        families=FAMILIES,
        lattices=config["ulbd"]["lattices"],
        instrument=config["instrument"],
        ceilings=config["ceilings"],
        code=code_digest("xtinct.ceiling.ceiling_files"),
    script:
        "../workflow/scripts/wilson_ceilings.py"
