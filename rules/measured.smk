rule measured:
    input:
        for_measured("results/measured/{set}/{method}.json"),


# Whether each pattern is a measurement of one phase that its label describes.
rule audit_patterns:
    input:
        patterns="data/measured/{set}.parquet",
        earlier=sets_before,
    output:
        "data/audit/{set}.parquet",
    log:
        "logs/audit_patterns/{set}.log",
    benchmark:
        "logs/audit_patterns/{set}.tsv"
    priority: 1
    resources:
        mem_mb=sized(3000, 20),
        runtime=sized(60, 10),
    params:
        code=code_digest("xtinct.auditing.pattern_audit"),
    script:
        "../workflow/scripts/audit_patterns.py"


# What the observer alone, and observer and recognition together, say of the patterns that passed.
rule judge_measured:
    input:
        patterns="data/measured/{set}.parquet",
        audit="data/audit/{set}.parquet",
        database="data/recognition/table.parquet",
    output:
        metrics=[f"results/measured/{{set}}/{name}.json" for name in MEASURED_METHODS],
        predictions=[
            f"results/measured/{{set}}/{name}.parquet" for name in MEASURED_METHODS
        ],
    log:
        "logs/judge_measured/{set}.log",
    benchmark:
        "logs/judge_measured/{set}.tsv"
    # With all that comes before it: it takes longest of all after the trainings, and must not be the last.
    priority: 1
    resources:
        mem_mb=sized(3000, 20),
        runtime=sized(120, 30),
    params:
        methods=MEASURED_METHODS,
        confidence=config["report"]["confidence"],
        code=code_digest("xtinct.evaluation.measured_answers"),
    script:
        "../workflow/scripts/judge_measured.py"
