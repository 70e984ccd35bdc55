rule limits:
    input:
        "results/limits/limits.json",
        "results/limits/wilson.json",


rule limitations:
    output:
        json="results/limits/limits.json",
        tables=expand(
            "results/limits/{table}.parquet",
            table=["limitations", "merged_lattices", "lost_pairs"],
        ),
    log:
        "logs/limitations.log",
    params:
        seed=config["seed"],
        families=FAMILIES,
        lattices=config["ulbd"]["lattices"],
        instrument=config["instrument"],
        d_star_max=config["lines"]["d_star_max"],
        ceilings=config["ceilings"],
        code=code_digest("xtinct.ceiling.limitations"),
    script:
        "../workflow/scripts/limitations.py"


rule wilson:
    output:
        json="results/limits/wilson.json",
        tables=expand(
            "results/limits/{table}.parquet", table=["wilson", "wilson_pairs"]
        ),
    log:
        "logs/wilson.log",
    params:
        seed=config["seed"],
        families=FAMILIES,
        lattices=config["ulbd"]["lattices"],
        instrument=config["instrument"],
        ceilings=config["ceilings"],
        code=code_digest("xtinct.ceiling.limitations"),
    script:
        "../workflow/scripts/wilson.py"
