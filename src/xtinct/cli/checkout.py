"""Commands of a checkout of the project: they read its configuration and write into its folders."""

import json
from collections.abc import Sequence

import click

from xtinct.cli.printing import print_table


@click.command()
@click.argument("experiment")
@click.argument("family")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--config", default="config/config.yaml", show_default=True, help="Configuration file.")
def train(experiment: str, family: str, seed: int, config: str) -> None:
    """Train one model into models/EXPERIMENT/FAMILY/seed-N, as the workflow does.

    The stored datasets that the experiment names must be there. On several machines that share the
    checkout, start it on each through torchrun, which then decides how many processes there are:

    \b
    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:PORT \\
      --no-python xtinct train EXPERIMENT FAMILY
    """
    from xtinct.project.experiments import train_experiment

    train_experiment(experiment, family, seed, config)


@click.command()
@click.argument("files", nargs=-1, type=click.Path(dir_okay=False))
def check(files: Sequence[str]) -> None:
    """Check configuration files; without any, config/config.yaml."""
    from xtinct.project.configuration import CONFIG, load

    for file in files or (CONFIG,):
        if not file.endswith(".schema.yaml"):
            load(file)


@click.command()
def snapshot() -> None:
    """Record in DVC what a plain Snakemake run has made."""
    from xtinct.project import dvc_bridge

    dvc_bridge.snapshot()
    click.echo("DVC holds the outputs; commit dvc.lock, and `dvc push` to share them")


@click.command()
def adopt() -> None:
    """Tell Snakemake that files brought by `dvc pull` or `dvc checkout` are up to date."""
    from xtinct.project import dvc_bridge

    dvc_bridge.adopt()
    click.echo("Snakemake takes the files as they are: nothing to be done")


@click.command()
@click.argument("what", type=click.Choice(["generation", "training"]), default="generation")
@click.option(
    "--structures",
    default="data/prototypes/aflow_prototypes.parquet",
    show_default=True,
    type=click.Path(dir_okay=False),
    help="Parquet table with a column of CIFs, for generation.",
)
@click.option("--config", default="config/config.yaml", show_default=True, help="Settings of training.")
@click.option(
    "--limit", default=600.0, show_default=True, help="Seconds that a model may take to reach the ceiling."
)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="Turns of both sides.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write JSON to this file as well.")
def bench(what: str, structures: str, config: str, limit: float, rounds: int, out: str | None) -> None:
    """Measure speed as ratios to named baselines, taken in turn in one process.

    WHAT is generation (datasets, the default) or training (what the data cost, time to the ceiling).
    """
    from xtinct.bench.lines import run, table
    from xtinct.files.writing import write_json

    if what == "training":
        from xtinct.bench.training_speed import race, throughput
        from xtinct.project.configuration import load

        settings = load(config)
        result = {"throughput": throughput(settings, rounds=rounds), "race": race(settings, limit=limit)}
        if out:
            write_json(out, result)
        print_table(("throughput", "value"), list(result["throughput"].items()))
        rows = [
            (
                r["model"],
                r["seconds"] or f"not in {limit:g}",
                r["cpu_seconds"],
                f"{r['accuracy']:.4f}",
                r["patterns"],
            )
            for r in result["race"]
        ]
        header = ("model", "seconds to 99 % of the ceiling", "CPU seconds", "accuracy", "patterns")
        print_table(header, rows)
        return
    result = run(structures, rounds=rounds)
    if out:
        write_json(out, result)
    heading, *rows = table(result)
    print_table(heading, rows)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines.")
def verify(as_json: bool) -> None:
    """Hold every file of the build, byte by byte, against the digest that DVC has recorded.

    Prints a line for each file that is missing, changed or unrecorded; exit status 2 if there is any.
    """
    from dataclasses import asdict

    from xtinct.errors import XtinctError
    from xtinct.project import verification

    verdict = verification.verify()
    if as_json:
        found = [asdict(difference) for difference in verdict.differences]
        click.echo(json.dumps({"checked": verdict.checked, "differences": found}, indent=1))
    else:
        for difference in verdict.differences:
            where = f" ({difference.record})" if difference.record else ""
            click.echo(f"{difference.kind:<11}{difference.path}{where}")
    if verdict.differences:
        raise XtinctError(f"verify: {verdict.summary()}")
    if not as_json:
        click.echo(verdict.summary())


@click.command("dvc-stages")
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit status 1 if a stage differs.")
def dvc_stages(only_check: bool) -> None:
    """Write into dvc.yaml what code each stage depends on, as its rules and their imports say.

    Run it after a module, a rule or an import has changed. Prints the stages that differ.
    """
    from xtinct.project import dvc_stages as stages

    names = stages.stale_stages() if only_check else stages.write_stages()
    for name in names:
        click.echo(f"{name}: its dependencies on code {'differ' if only_check else 'were rewritten'}")
    if only_check and names:
        raise SystemExit(1)


COMMANDS = (train, check, snapshot, adopt, verify, dvc_stages, bench)
