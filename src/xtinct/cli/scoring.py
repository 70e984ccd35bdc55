"""The command that judges predictions made anywhere."""

import json

import click

from xtinct.cli import options


@click.command()
@click.argument("predictions", type=click.Path(dir_okay=False))
@click.option("--truth", required=True, type=click.Path(dir_okay=False), help="Line lists, Parquet.")
@click.option(
    "--split", default="test", show_default=True, help="Part of it: train, validation, test, or all."
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False),
    help="Configuration whose instrument measured the patterns; without it the default one.",
)
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of the intervals.")
@options.as_json
def score(
    predictions: str, truth: str, split: str, config: str | None, confidence: float, as_json: bool
) -> None:
    """Judge predictions made anywhere: top-1 to top-5, calibration, and the ceiling of the very test set.

    PREDICTIONS is a table, CSV, TSV or Parquet: sample_id, and either ranked answers (spacegroup_number_1,
    spacegroup_number_2, ... or extinction_class_1, ...) or a column of probabilities for each space
    group (225) or extinction class (F d - -). Samples without an answer count as wrong.
    """
    from xtinct.errors import XtinctError
    from xtinct.evaluation.answer_scores import score as judge
    from xtinct.project.configuration import instrument_in

    if not 0 < confidence < 1:
        raise XtinctError(f"--confidence {confidence}: expected more than 0 and less than 1")
    instrument = instrument_in(config) if config else None
    found = judge(predictions, truth, split=split, instrument=instrument, confidence=confidence)
    click.echo(json.dumps(found.to_dict(), indent=1) if as_json else str(found))


COMMANDS = (score,)
