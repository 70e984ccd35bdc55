rule report:
    input:
        metrics=[
            *for_evaluations(
                "results/evaluation/{experiment}/{family}/seed-{seed}/{test}.json"
            ),
            *for_observer("results/observer/{family}/{test}.json"),
            *for_hybrid("results/observer/{family}/{test}.hybrid.json"),
        ],
        predictions=[
            *for_evaluations(
                "results/evaluation/{experiment}/{family}/seed-{seed}/{test}.parquet"
            ),
            *for_observer("results/observer/{family}/{test}.parquet"),
            *for_hybrid("results/observer/{family}/{test}.hybrid.parquet"),
        ],
        curves=[
            *for_evaluations(
                "results/evaluation/{experiment}/{family}/seed-{seed}/{test}.reliability.csv"
            ),
            *for_evaluations(
                "results/evaluation/{experiment}/{family}/seed-{seed}/{test}.sets.csv"
            ),
            *for_evaluations(
                "results/evaluation/{experiment}/{family}/seed-{seed}/{test}.abstention.csv"
            ),
            *for_evaluations(
                "results/evaluation/{experiment}/{family}/seed-{seed}/{test}.confusion.csv"
            ),
            *for_figures(),
            *for_robustness(),
            *expand(
                "results/generated/{table}.csv",
                table=["comparison", "histograms", "groups"],
            ),
        ],
        histories=for_models("models/{experiment}/{family}/seed-{seed}/history.csv"),
        cards=for_models("models/{experiment}/{family}/seed-{seed}/card.json"),
        lines=expand(
            "data/{dataset}/{family}.parquet", dataset=DATASETS, family=FAMILIES
        ),
        manifests=expand(
            "data/{dataset}/manifest.json",
            dataset=["structures", *DATASETS, "variants"],
        ),
        quarantine=expand(
            "data/{stage}/quarantine.parquet", stage=["structures", "cddd", "gcdd"]
        ),
        ceilings="results/ceilings.json",
        classes="data/symmetry/extinction_classes.parquet",
        limits="results/limits/limits.json",
        wilson="results/limits/wilson.json",
        measured=for_measured("results/measured/{set}/{method}.json"),
        audits=expand("data/audit/{set}.parquet", set=PATTERN_SETS),
        networks=expand("results/measured_networks/{set}.json", set=PATTERN_SETS),
    output:
        html=report(
            "results/report.html",
            caption="../workflow/report/report.rst",
            category="Report",
        ),
        metrics=report(
            "results/metrics.json",
            caption="../workflow/report/metrics.rst",
            category="Metrics",
        ),
        summary=directory("results/summary"),
        provenance="results/provenance.json",
        tables=[
            report(
                f"results/plots/{table}.csv",
                caption=f"../workflow/report/{table}.rst",
                category="Tables",
            )
            for table in ("accuracy", "training", "confusion", "counts")
        ],
    log:
        "logs/report.log",
    benchmark:
        "logs/report.tsv"
    resources:
        mem_mb=sized(4000, 4),
        runtime=sized(60, 0.1),
    params:
        config=config,
        code=code_digest("xtinct.report.page", "xtinct.project.provenance"),
    script:
        "../workflow/scripts/report.py"
