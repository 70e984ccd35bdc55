"""Commands of a checkout of the project: they read its configuration and write into its folders."""

import json
from collections.abc import Iterable, Sequence

import click

from xtinct.cli.printing import print_table

#: Crystals that `xtinct bench lines` takes of a table.
_CRYSTALS = 40


@click.command()
@click.argument("experiment")
@click.argument("family")
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Seed of the model, the N of its folder.",
)
@click.option("--config", default="config/config.yaml", show_default=True, help="Configuration file.")
def train(experiment: str, family: str, seed: int, config: str) -> None:
    """Train one model into models/EXPERIMENT/FAMILY/seed-N, as the workflow does.

    FAMILY may be all, or any family of the configuration, whether the experiment names it or not. The stored
    datasets that the experiment names must be there. On several machines that share the
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
@click.argument(
    "what", type=click.Choice(["generation", "lines", "crystals", "training"]), default="generation"
)
@click.option(
    "--structures",
    default="data/prototypes/aflow_prototypes.parquet",
    show_default=True,
    type=click.Path(),
    help="Parquet table with a column of CIFs, for generation and lines; for lines also a folder of CIFs.",
)
@click.option("--gcdd", default="data/gcdd", show_default=True, help="Folder of the GCDD, for crystals.")
@click.option(
    "--config", default="config/config.yaml", show_default=True, help="Settings of training and crystals."
)
@click.option(
    "--limit", default=600.0, show_default=True, help="Seconds that a model may take to reach the ceiling."
)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="Turns of both sides.")
@click.option("--out", type=click.Path(dir_okay=False), help="Write JSON to this file as well.")
def bench(
    what: str, structures: str, gcdd: str, config: str, limit: float, rounds: int, out: str | None
) -> None:
    """Measure how fast this package is on this machine.

    WHAT is generation (datasets against named baselines, in turn in one process; the default), lines (the
    lines of crystals against pymatgen, BraggCalculator and gemmi), crystals (rates of the crystal generators)
    or training (what the data cost, time to the ceiling).
    """
    from xtinct.files.writing import write_json

    remarks: Iterable[str] = ()
    if what == "generation":
        from xtinct.bench.generation_speed import run, table

        result = run(structures, rounds=rounds)
        tables = [table(result)]
    elif what == "lines":
        from xtinct.bench import line_speed

        result = line_speed.run(line_speed.cifs_by_name(structures, _CRYSTALS), rounds=rounds)
        result["structures"] = structures
        tables, remarks = [line_speed.table(result)], line_speed.remarks(result)
    elif what == "crystals":
        from xtinct.bench.crystal_speed import crystal_rates
        from xtinct.project.configuration import load

        result = crystal_rates(load(config), f"{gcdd}/statistics.json", f"{gcdd}/occupations.json")
        tables = [[("case", "per second"), *((name, f"{rate:,.0f}") for name, rate in result.items())]]
    else:
        from xtinct.bench.training_speed import race, race_table, throughput
        from xtinct.project.configuration import load

        settings = load(config)
        result = {"throughput": throughput(settings, rounds=rounds), "race": race(settings, limit=limit)}
        tables = [[("throughput", "value"), *result["throughput"].items()], race_table(result["race"])]
    if out:
        write_json(out, result)
    for heading, *rows in tables:
        print_table(heading, rows)
    for remark in remarks:
        click.echo(remark)


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


@click.command()
@click.argument("out", type=click.Path(file_okay=False))
@click.option(
    "--name", default="xtinct-build", show_default=True, help="Name on the card and in the metadata."
)
@click.option("--licence", help="Licence identifier for the whole; without it those of the rows.")
@click.option(
    "--date", "published", help="Day of publication, YYYY-MM-DD; without it that of the last commit."
)
def share(out: str, name: str, licence: str | None, published: str | None) -> None:
    """Write the recorded build into the folder OUT, ready to be published.

    OUT then holds every file of the build and the workflow that made it, laid out as here, with a dataset
    card, Croissant metadata, an RO-Crate of the run and SHA-256 checksums. It may hold an earlier build that
    was shared, which is replaced, and nothing else.
    """
    from xtinct.publication.shared_build import share as share_build

    done = share_build(out, name=name, licence=licence, published=published)
    for path in done.left_out:
        click.echo(f"left out, as nothing names it: {path}")
    click.echo(f"{out}: {len(done.files)} files, {done.bytes / 1e6:.1f} MB")


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


COMMANDS = (train, check, snapshot, adopt, verify, share, dvc_stages, bench)
