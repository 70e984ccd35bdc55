# Their line lists come from the rules of the dataset that they are variants of.
rule variants:
    input:
        **{
            f"{variant}-{family}": path
            for variant, files in variant_files().items()
            for family, path in files.items()
        },
    output:
        "data/variants/manifest.json",
    log:
        "logs/variants.log",
    benchmark:
        "logs/variants.tsv"
    resources:
        mem_mb=sized(1000, 8),
        runtime=sized(30, 0.1),
    params:
        variants=VARIANTS,
        families={variant: list(files) for variant, files in variant_files().items()},
        seed=config["seed"],
        code=code_digest("xtinct.datasets.manifest"),
    script:
        "../workflow/scripts/variants.py"
