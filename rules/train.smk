rule train:
    input:
        for_models("models/{experiment}/{family}/seed-{seed}/model.safetensors"),


rule train_model:
    input:
        lambda wildcards: xtinct.project.experiments.training_inputs(
            training(wildcards)
        ),
    output:
        model="models/{experiment}/{family}/seed-{seed}/model.safetensors",
        card="models/{experiment}/{family}/seed-{seed}/card.json",
        history="models/{experiment}/{family}/seed-{seed}/history.csv",
    log:
        "logs/train_model/{experiment}/{family}/seed-{seed}.log",
    benchmark:
        "logs/train_model/{experiment}/{family}/seed-{seed}.tsv"
    threads: config["train"]["threads"] * config["train"]["processes"]
    resources:
        mem_mb=sized(8000, 4),
        runtime=sized(240),
        gpu=GPUS * config["train"]["processes"],
    params:
        settings=training,
        code=code_digest("xtinct.learning.training"),
        # Of a network of the user's own; "" for those of the library.
        network=lambda wildcards: network_digest(wildcards.experiment),
    script:
        "../workflow/scripts/train_model.py"


# All models of one experiment: the unit that DVC follows.
for name in config["experiments"]:

    rule:
        name:
            f"train-{name}"
        input:
            for_models(
                "models/{experiment}/{family}/seed-{seed}/model.safetensors", name
            ),
