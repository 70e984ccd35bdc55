rule measured_networks:
    input:
        expand("results/measured_networks/{set}.json", set=PATTERN_SETS),


# What the models that tell all families apart say of the measured patterns that passed their audit.
rule ask_networks:
    input:
        models=for_joint_models("model.safetensors"),
        cards=for_joint_models("card.json"),
        patterns="data/measured/{set}.parquet",
        audit="data/audit/{set}.parquet",
    output:
        "results/measured_networks/{set}.json",
    log:
        "logs/ask_networks/{set}.log",
    benchmark:
        "logs/ask_networks/{set}.tsv"
    threads: config["train"]["threads"]
    resources:
        mem_mb=sized(4000, 4),
        runtime=sized(60, 0.1),
        gpu=GPUS,
    params:
        device=config["train"]["device"],
        precision=config["train"]["precision"],
        threads=config["train"]["threads"],
        confidence=config["report"]["confidence"],
        code=code_digest("xtinct.evaluation.measured_networks"),
    script:
        "../workflow/scripts/ask_networks.py"
