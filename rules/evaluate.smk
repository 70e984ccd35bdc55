rule evaluate:
    input:
        for_evaluations(
            "results/evaluation/{experiment}/{family}/seed-{seed}/{test}.json"
        ),
        for_robustness(),


# A model on every test set of its experiment, and how it fares as the measurement gets worse. One job for all
# of them: what a job needs to start, and the model's speed, are paid once. Paths name the experiment, not a
# wildcard: Snakemake then looks for a file's rule among those of its folder, and not of all experiments.
for name in config["experiments"]:

    rule:
        name:
            f"evaluate_model-{name}"
        input:
            model=f"models/{name}/{{family}}/seed-{{seed}}/model.safetensors",
            card=f"models/{name}/{{family}}/seed-{{seed}}/card.json",
            datasets=test_files(name),
            library=library_files(name),
            structures=sorted({*drawn_crystals(name).values()} - {""}),
        output:
            metrics=of_tests(name, "{test}.json"),
            predictions=of_tests(name, "{test}.parquet"),
            tables=of_tests(
                name,
                *[
                    f"{{test}}.{table}.csv"
                    for table in (
                        "reliability",
                        "labels",
                        "sets",
                        "abstention",
                        "confusion",
                    )
                ],
            ),
            features=of_tests(name, "{test}.features.csv", among=drawn_crystals(name)),
            descriptors=of_tests(
                name, "{test}.descriptors.csv", among=drawn_crystals(name)
            ),
            importances=of_trees(name),
            libraries=(
                [f"results/evaluation/{name}/{{family}}/seed-{{seed}}/libraries.csv"]
                if asks_for(name, "libraries")
                else []
            ),
            robustness=of_tests(
                name, "{test}.robustness.csv", among=config["robustness"]["tests"]
            ),
        log:
            f"logs/evaluate_model/{name}/{{family}}/seed-{{seed}}.log",
        benchmark:
            f"logs/evaluate_model/{name}/{{family}}/seed-{{seed}}.tsv"
        threads: config["train"]["threads"]
        resources:
            mem_mb=sized(8000, 4),
            runtime=sized(120, 0.5),
            gpu=GPUS,
        params:
            tests=config["experiments"][name]["tests"],
            robustness=curves_of(name),
            drawn=drawn_crystals(name),
            libraries=asks_for(name, "libraries"),
            instrument=config["instrument"],
            device=config["train"]["device"],
            precision=config["train"]["precision"],
            threads=config["train"]["threads"],
            confidence=config["report"]["confidence"],
            code=code_digest(
                "xtinct.evaluation.networks",
                "xtinct.evaluation.robustness",
                "xtinct.evaluation.model_figures",
                "xtinct.evaluation.libraries",
                "xtinct.learning.memory",
            ),
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
            for_robustness(name),
