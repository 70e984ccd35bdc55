rule train:
    input:
        for_models("models/{experiment}/{family}/seed-{seed}/model.safetensors"),


rule train_model:
    input:
        datasets=lambda wildcards: sum(training_files(wildcards).values(), []),
        occupations=training_occupations,
    output:
        model="models/{experiment}/{family}/seed-{seed}/model.safetensors",
        card="models/{experiment}/{family}/seed-{seed}/card.json",
        history="models/{experiment}/{family}/seed-{seed}/history.csv",
    log:
        "logs/train_model/{experiment}/{family}/seed-{seed}.log",
    threads: config["train"]["threads"] * config["train"]["processes"]
    resources:
        gpu=gpus() * config["train"]["processes"],
    params:
        experiment=lambda wildcards: {
            key: value
            for key, value in config["experiments"][wildcards.experiment].items()
            if key not in ("families", "seeds", "tests")
        },
        model=lambda wildcards: config["models"][
            config["experiments"][wildcards.experiment]["model"]
        ],
        train=config["train"],
        instrument=config["instrument"],
        lines=training_lines,
        ulbd=training_lattices,
        datasets=training_files,
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
