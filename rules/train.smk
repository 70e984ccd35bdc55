rule train:
    input:
        for_models("models/{experiment}/{family}/seed-{seed}/model.safetensors"),


rule train_model:
    input:
        dataset=training_set,
    output:
        model="models/{experiment}/{family}/seed-{seed}/model.safetensors",
        card="models/{experiment}/{family}/seed-{seed}/card.json",
        history="models/{experiment}/{family}/seed-{seed}/history.csv",
    log:
        "logs/train_model/{experiment}/{family}/seed-{seed}.log",
    threads: config["train"]["threads"]
    resources:
        gpu=gpus(),
    params:
        experiment=lambda wildcards: {
            key: config["experiments"][wildcards.experiment][key]
            for key in ("train", "target", "model", "patterns")
        },
        model=lambda wildcards: config["models"][
            config["experiments"][wildcards.experiment]["model"]
        ],
        train=config["train"],
        instrument=config["instrument"],
        d_star_max=config["lines"]["d_star_max"],
        ulbd=training_lattices,
        code=code_digest("xtinct.learning.training"),
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
