rule evaluate:
    input:
        for_evaluations(
            "results/evaluation/{experiment}/{family}/seed-{seed}/{test}.json"
        ),


rule evaluate_model:
    input:
        model="models/{experiment}/{family}/seed-{seed}/model.safetensors",
        card="models/{experiment}/{family}/seed-{seed}/card.json",
        dataset=lambda wildcards: line_lists(wildcards.test, wildcards.family),
    output:
        metrics="results/evaluation/{experiment}/{family}/seed-{seed}/{test}.json",
        predictions="results/evaluation/{experiment}/{family}/seed-{seed}/{test}.parquet",
    log:
        "logs/evaluate_model/{experiment}/{family}/seed-{seed}/{test}.log",
    threads: config["train"]["threads"]
    resources:
        gpu=gpus(),
    params:
        instrument=config["instrument"],
        device=config["train"]["device"],
        precision=config["train"]["precision"],
        threads=config["train"]["threads"],
        confidence=config["report"]["confidence"],
        code=code_digest("xtinct.learning.evaluation"),
    script:
        "../workflow/scripts/evaluate_model.py"


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
