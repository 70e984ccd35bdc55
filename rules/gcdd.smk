rule gcdd_statistics:
    input:
        structures="data/structures/structures.parquet",
        splits="data/splits/structures.parquet",
    output:
        "data/gcdd/statistics.json",
    log:
        "logs/gcdd_statistics.log",
    benchmark:
        "logs/gcdd_statistics.tsv"
    resources:
        mem_mb=sized(2000, 8),
        runtime=sized(30, 2),
    params:
        learn_from=config["gcdd"]["learn_from"],
        split=config["splits"]["cddd"],
        code=code_digest("xtinct.datasets.gcdd_statistics"),
    script:
        "../workflow/scripts/gcdd_statistics.py"


# What a training that draws its crystals itself starts from.
rule gcdd_occupations:
    input:
        "data/gcdd/statistics.json",
    output:
        "data/gcdd/occupations.json",
    log:
        "logs/gcdd_occupations.log",
    benchmark:
        "logs/gcdd_occupations.tsv"
    resources:
        mem_mb=sized(2000),
        runtime=sized(120),
    params:
        config=part(*GCDD_DRAWS, "gcdd.occupations"),
        seed=config["seed"],
        families=FAMILIES,
        code=code_digest("xtinct.generators.statistical"),
    script:
        "../workflow/scripts/gcdd_occupations.py"


rule gcdd_shard:
    input:
        "data/gcdd/statistics.json",
    output:
        structures=temp("shards/gcdd/{shard}/structures.parquet"),
        lines=temp(expand("shards/gcdd/{{shard}}/{family}.parquet", family=FAMILIES)),
        quarantine=temp("shards/gcdd/{shard}/quarantine.parquet"),
        attempts=temp("shards/gcdd/{shard}/attempts.json"),
    log:
        "logs/gcdd_shard/{shard}.log",
    benchmark:
        "logs/gcdd_shard/{shard}.tsv"
    resources:
        mem_mb=sized(2000),
        runtime=sized(240),
    params:
        config=gcdd_part(),
        second_finder=config["cleaning"]["second_finder"],
        seed=config["seed"],
        families=FAMILIES,
        shards=config["shards"],
        # The recipe is imported by name, where the configuration asks for it.
        code=code_digest("xtinct.datasets.gcdd", "xtinct.generators.pyxtal_recipe"),
    script:
        "../workflow/scripts/gcdd_shard.py"


rule gcdd_family:
    input:
        expand("shards/gcdd/{shard}/{{family}}.parquet", shard=SHARDS),
    output:
        "data/gcdd/{family}.parquet",
    log:
        "logs/gcdd_family/{family}.log",
    benchmark:
        "logs/gcdd_family/{family}.tsv"
    resources:
        mem_mb=sized(1000, 8),
        runtime=sized(30, 0.1),
    params:
        config=gcdd_part(),
        seed=config["seed"],
        code=code_digest("xtinct.datasets.settings", "xtinct.datasets.merging"),
    script:
        "../workflow/scripts/gcdd_family.py"


rule gcdd:
    input:
        families=expand("data/gcdd/{family}.parquet", family=FAMILIES),
        occupations="data/gcdd/occupations.json",
        structures=expand("shards/gcdd/{shard}/structures.parquet", shard=SHARDS),
        quarantine=expand("shards/gcdd/{shard}/quarantine.parquet", shard=SHARDS),
        attempts=expand("shards/gcdd/{shard}/attempts.json", shard=SHARDS),
    output:
        structures="data/gcdd/structures.parquet",
        quarantine="data/gcdd/quarantine.parquet",
        attempts="data/gcdd/attempts.json",
        manifest="data/gcdd/manifest.json",
    log:
        "logs/gcdd.log",
    benchmark:
        "logs/gcdd.tsv"
    resources:
        mem_mb=sized(1000, 8),
        runtime=sized(30, 0.1),
    params:
        config=gcdd_part(),
        seed=config["seed"],
        families=FAMILIES,
        code=code_digest("xtinct.datasets.gcdd", "xtinct.datasets.manifest"),
    script:
        "../workflow/scripts/gcdd.py"


# How like real crystals the generated ones are, and what became of every draw.
rule gcdd_evidence:
    input:
        real="data/structures/structures.parquet",
        generated="data/gcdd/structures.parquet",
        attempts="data/gcdd/attempts.json",
    output:
        comparison=report(
            "results/generated/comparison.csv",
            caption="../workflow/report/generated.rst",
            category="Generated crystals",
        ),
        histograms="results/generated/histograms.csv",
        groups="results/generated/groups.csv",
    log:
        "logs/gcdd_evidence.log",
    benchmark:
        "logs/gcdd_evidence.tsv"
    resources:
        mem_mb=sized(2000, 8),
        runtime=sized(30, 1),
    params:
        code=code_digest("xtinct.generators.evidence"),
    script:
        "../workflow/scripts/gcdd_evidence.py"
