"""`xtinct train` beside the workflow: the same settings, files and bytes."""

import json
import shutil
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from xtinct.cli import cli
from xtinct.errors import XtinctError
from xtinct.project.configuration import load
from xtinct.project.experiments import training_inputs, training_settings


@pytest.fixture
def checkout(root, tmp_path, monkeypatch):
    """A folder with the smallest configuration, in which a model trains in a second; we are in it."""
    (tmp_path / "config").mkdir()
    config = yaml.safe_load((root / "config/smoke.yaml").read_text())
    config["experiments"]["ulbd"]["patterns"] = 128
    config["train"]["validation_patterns"] = 32
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_script(root, settings, code, inputs=()):
    """The rule's script, as Snakemake runs it."""
    model = f"{settings['output_dir']}/model.safetensors"
    job = (
        f"SimpleNamespace(log=['job.log'], params=SimpleNamespace(settings={settings!r}, code={code!r}), "
        f"input={[*inputs]!r}, output=SimpleNamespace(model={model!r}))"
    )
    program = (
        "import runpy\nfrom types import SimpleNamespace\n"
        f"runpy.run_path({str(root / 'workflow/scripts/train_model.py')!r}, {{'snakemake': {job}}})"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def contents(folder):
    """Bytes of a model's files; of the card without what the clock says."""
    card = json.loads((folder / "card.json").read_text())
    del card["seconds"], card["cpu_seconds"], card["data_share"]
    return card, *((folder / name).read_bytes() for name in ("model.safetensors", "history.csv"))


def test_the_command_trains_the_model_of_the_rule(root, checkout):
    arguments = ["train", "ulbd", "cubic", "--seed", "1"]
    assert CliRunner().invoke(cli, arguments, catch_exceptions=False).exit_code == 0
    folder = checkout / "models/ulbd/cubic/seed-1"
    ours = contents(folder)
    shutil.rmtree(folder)
    run_script(root, training_settings(load(), "ulbd", "cubic", 1), "c0de")
    assert contents(folder) == ours
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "history.csv", "model.safetensors"]


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["prior.csv", {"of": "prior.csv", "power": 1}])
def test_a_table_of_a_prior_may_stand_elsewhere_than_the_settings_say(root, checkout, prior):
    """As other inputs may, where the workflow is a module of another one, or reads from a storage."""
    config = load()
    config["experiments"]["ulbd"]["prior"] = prior
    settings = training_settings(config, "ulbd", "cubic", 0)
    (checkout / "below").mkdir()
    (checkout / "below/prior.csv").write_text("spacegroup_number,weight\n225,3\n227,1\n")
    assert training_inputs(settings) == ["prior.csv"]
    run_script(root, settings, "0", ["below/prior.csv"])
    card = json.loads((checkout / settings["output_dir"] / "card.json").read_text())
    assert card["group_counts"] == {"225": 750000, "227": 250000}


def test_torchrun_starts_the_command_in_every_process(checkout):
    """`batch_size` is one ghost batch for a single process, and two for two."""
    config = load()
    config["train"]["ghost_batch"] = 32
    (checkout / "config/config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([sys.executable, *command, "-m", "xtinct", "train", "ulbd", "cubic"], check=True)
    card = json.loads((checkout / "models/ulbd/cubic/seed-0/card.json").read_text())
    assert card["device"].startswith("2 x cpu")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing", "cubic"), "^experiment 'nothing': config/config.yaml has ulbd, cddd, gcdd, imbalanced$"),
        (("ulbd", "kubic"), "^family 'kubic': config/config.yaml has cubic, tetragonal, "),
        (
            ("imbalanced", "cubic"),
            "^data/variants/ulbd-imbalanced/cubic.parquet: no such file; "
            "`snakemake --cores all data/variants/ulbd-imbalanced/cubic.parquet` makes it$",
        ),
    ],
)
def test_what_is_not_there_is_one_line(checkout, arguments, message):
    with pytest.raises(XtinctError, match=message):
        CliRunner().invoke(cli, ["train", *arguments], catch_exceptions=False)


def test_a_model_depends_on_no_more_than_it_reads(root):
    config = load(root / "config/config.yaml")
    stored = training_settings(config, "cddd", "cubic", 0)
    assert training_inputs(stored) == ["data/cddd/cubic.parquet"]
    assert (stored["ulbd"], stored["lines"]) == ({}, {"d_star_max": config["lines"]["d_star_max"]})
    drawn = training_settings(config, "ulbd", "tetragonal", 0)
    assert training_inputs(drawn) == []
    assert list(drawn["ulbd"]["lattices"]) == ["tetragonal"]
    own_lattices = training_settings(config, "mixture", "cubic", 0)
    assert training_inputs(own_lattices) == ["data/gcdd/occupations.json"]
    assert own_lattices["ulbd"]["lattices"] == {}
    assert own_lattices["lines"] == config["lines"]
    assert own_lattices["experiment"].keys().isdisjoint({"families", "seeds", "tests"})


def test_models_of_other_seeds_are_other_models(root):
    """Seeds tell how far an accuracy is chance: beside the folder, the training itself must differ."""
    config = yaml.safe_load((root / "config/config.yaml").read_text())
    first, second = (training_settings(config, "ulbd", "cubic", seed) for seed in (0, 1))
    assert {key for key in first if first[key] != second[key]} == {"seed", "output_dir"}
    assert (first["seed"], second["seed"]) == (0, 1)


def test_a_training_set_of_the_user_s_own_is_a_folder_of_line_lists(checkout, write_lines):
    path = checkout / "config/config.yaml"
    config = yaml.safe_load(path.read_text())
    config["experiments"]["ulbd"] |= {"train": {"my/lines": 1, "ulbd-online": 1}, "families": ["cubic"]}
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    missing = CliRunner().invoke(cli, ["train", "ulbd", "cubic"])
    assert "my/lines/cubic.parquet: no such file; experiments.ulbd.train names it" in str(missing.exception)
    (checkout / "my/lines").mkdir(parents=True)
    shutil.copy(write_lines(list(range(195, 231)) * 2), "my/lines/cubic.parquet")
    assert training_inputs(training_settings(load(path), "ulbd", "cubic", 0)) == ["my/lines/cubic.parquet"]
    assert CliRunner().invoke(cli, ["train", "ulbd", "cubic"]).exit_code == 0
    card = json.loads((checkout / "models/ulbd/cubic/seed-0/card.json").read_text())
    assert card["train_set"] == "my/lines + ulbd-online"
    assert set(card["training"]["data"]) == {"my/lines", "ulbd-online", "variation"}


def test_one_file_is_no_training_set_of_several_families(checkout):
    path = checkout / "config/config.yaml"
    config = yaml.safe_load(path.read_text())
    config["experiments"]["ulbd"]["train"] = "my/lines.parquet"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    with pytest.raises(
        XtinctError, match=r"experiments.ulbd.train: my/lines.parquet is one file; name a folder"
    ):
        load(path)
