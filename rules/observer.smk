rule observer:
    input:
        for_observer("results/observer/{family}/{test}.json"),
        for_hybrid("results/observer/{family}/{test}.hybrid.json"),


# The exact law alone: lattice, lines, posterior. Learns nothing.
rule observe:
    input:
        dataset=lambda wildcards: line_list_file(wildcards.test, wildcards.family),
    output:
        metrics="results/observer/{family}/{test}.json",
        predictions="results/observer/{family}/{test}.parquet",
    log:
        "logs/observe/{family}/{test}.log",
    benchmark:
        "logs/observe/{family}/{test}.tsv"
    resources:
        mem_mb=sized(4000, 4),
        runtime=sized(240),
    params:
        law=lambda wildcards: config["observer"]["laws"][wildcards.test],
        samples=config["observer"]["samples"],
        lengths=observed_lengths,
        instrument=config["instrument"],
        confidence=config["report"]["confidence"],
        code=code_digest("xtinct.evaluation.observers"),
    script:
        "../workflow/scripts/observe.py"


# The same together with a trained model of the family.
rule hybrid:
    input:
        dataset=lambda wildcards: line_list_file(wildcards.test, wildcards.family),
        model=hybrid_model("model.safetensors"),
        card=hybrid_model("card.json"),
    output:
        metrics="results/observer/{family}/{test}.hybrid.json",
        predictions="results/observer/{family}/{test}.hybrid.parquet",
    log:
        "logs/hybrid/{family}/{test}.log",
    benchmark:
        "logs/hybrid/{family}/{test}.tsv"
    resources:
        mem_mb=sized(4000, 4),
        runtime=sized(240),
        gpu=GPUS,
    params:
        law=lambda wildcards: config["observer"]["laws"][wildcards.test],
        samples=config["observer"]["samples"],
        lengths=observed_lengths,
        instrument=config["instrument"],
        device=config["train"]["device"],
        precision=config["train"]["precision"],
        confidence=config["report"]["confidence"],
        code=code_digest("xtinct.evaluation.observers"),
    script:
        "../workflow/scripts/hybrid.py"
