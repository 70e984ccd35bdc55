# What measured peaks are held against: the strongest lines of every real structure.
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
    resources:
        mem_mb=sized(2000, 8),
        runtime=sized(30, 1),
    params:
        code=code_digest("xtinct.recognition.known_structures"),
    script:
        "../workflow/scripts/recognition.py"
