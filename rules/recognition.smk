# What measured peaks are held against: the strongest lines of every real structure, and those of the common
# powders that the library carries, which are of X-rays.
rule recognition:
    input:
        structures="data/structures/structures.parquet",
        lines=expand("data/cddd/{family}.parquet", family=FAMILIES),
    output:
        "data/recognition/table.parquet",
    log:
        "logs/recognition.log",
    benchmark:
        "logs/recognition.tsv"
    priority: 1
    resources:
        mem_mb=sized(2000, 8),
        runtime=sized(30, 1),
    params:
        radiation=config["lines"]["radiation"],
        code=code_digest("xtinct.recognition", "xtinct.recognition.known_structures"),
    script:
        "../workflow/scripts/recognition.py"


# The library carries this table, so that a measured pattern gets an answer without a build. No other rule reads
# it; a test compares it with the one in the library (src/xtinct/recognition/data).
rule packaged_structures:
    input:
        os.path.join(PROJECT, "data/prototypes/aflow_prototypes.parquet"),
        os.path.join(PROJECT, "data/prototypes/powders.cif"),
    output:
        table="data/packaged/known_structures.parquet",
        quarantine="data/packaged/quarantine.parquet",
        quarantine_lines="data/packaged/quarantine-lines.parquet",
    log:
        "logs/packaged_structures.log",
    benchmark:
        "logs/packaged_structures.tsv"
    resources:
        mem_mb=sized(2000),
        runtime=sized(30),
    params:
        project=PROJECT,
        code=code_digest("xtinct.recognition.packaged_structures"),
    script:
        "../workflow/scripts/packaged_structures.py"
