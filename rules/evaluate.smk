rule evaluate:
    input:
        for_evaluations(
            "results/evaluation/{experiment}/{family}/seed-{seed}/{test}.json"
        ),
        for_robustness(),


rule evaluate_model:
    input:
        model="models/{experiment}/{family}/seed-{seed}/model.safetensors",
        card="models/{experiment}/{family}/seed-{seed}/card.json",
        datasets=test_files,
    output:
        metrics="results/evaluation/{experiment}/{family}/seed-{seed}/{test}.json",
        predictions="results/evaluation/{experiment}/{family}/seed-{seed}/{test}.parquet",
        tables=expand(
            "results/evaluation/{{experiment}}/{{family}}/seed-{{seed}}/{{test}}.{table}.csv",
            table=["reliability", "labels", "sets", "abstention"],
        ),
    log:
        "logs/evaluate_model/{experiment}/{family}/seed-{seed}/{test}.log",
    benchmark:
        "logs/evaluate_model/{experiment}/{family}/seed-{seed}/{test}.tsv"
    threads: config["train"]["threads"]
    resources:
        mem_mb=sized(8000, 4),
        runtime=sized(60, 0.1),
        gpu=gpus,
    params:
        instrument=config["instrument"],
        device=config["train"]["device"],
        precision=config["train"]["precision"],
        threads=config["train"]["threads"],
        confidence=config["report"]["confidence"],
        code=code_digest("xtinct.evaluation.networks"),
    script:
        "../workflow/scripts/evaluate_model.py"


rule robustness:
    input:
        model="models/{experiment}/{family}/seed-{seed}/model.safetensors",
        card="models/{experiment}/{family}/seed-{seed}/card.json",
        datasets=test_files,
    output:
        "results/evaluation/{experiment}/{family}/seed-{seed}/{test}.robustness.csv",
    log:
        "logs/robustness/{experiment}/{family}/seed-{seed}/{test}.log",
    benchmark:
        "logs/robustness/{experiment}/{family}/seed-{seed}/{test}.tsv"
    threads: config["train"]["threads"]
    resources:
        mem_mb=sized(8000, 4),
        runtime=sized(120, 0.5),
        gpu=gpus,
    params:
        robustness={
            key: value for key, value in config["robustness"].items() if key != "tests"
        },
        instrument=config["instrument"],
        device=config["train"]["device"],
        precision=config["train"]["precision"],
        threads=config["train"]["threads"],
        confidence=config["report"]["confidence"],
        code=code_digest("xtinct.evaluation.robustness"),
    script:
        "../workflow/scripts/robustness.py"


# All evaluations of one experiment: the unit that DVC follows.
for name in config["experiments"]:

    rule:
        name:
            f"evaluate-{name}"
        input:
            for_evaluations(
                "results/evaluation/{experiment}/{family}/seed-{seed}/{test}.json",
                name,
            ),
            for_robustness(name),
