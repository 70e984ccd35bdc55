"""The dependencies on code in dvc.yaml, as the rules and the imports of their scripts say."""

import shutil

import pytest

from xtinct.errors import XtinctError
from xtinct.project.digests import SOURCE, source_files
from xtinct.project.dvc_stages import DVC_FILE, stale_stages, write_stages


@pytest.fixture
def project(root, tmp_path):
    """A copy of what the stages are worked out from."""
    for name in ("rules", "workflow"):
        shutil.copytree(root / name, tmp_path / name)
    shutil.copy(root / DVC_FILE, tmp_path)
    write_stages(tmp_path)
    return tmp_path


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def lines(path):
    return path.read_text().splitlines()


@pytest.mark.parametrize(
    "dependency", ["rules/links.smk", "workflow/scripts/link_source.py", "src/xtinct/sources/links.py"]
)
def test_a_dependency_that_is_missing_comes_back_and_nothing_else_changes(project, dependency):
    before = (project / DVC_FILE).read_bytes()
    edit(project / DVC_FILE, f"        - {dependency}\n", "")
    assert stale_stages(project) == ["links"]
    assert (project / DVC_FILE).read_bytes() != before
    assert write_stages(project) == ["links"]
    assert (project / DVC_FILE).read_bytes() == before
    assert write_stages(project) == []


def test_a_dependency_that_is_not_needed_goes(project):
    before = (project / DVC_FILE).read_bytes()
    edit(
        project / DVC_FILE,
        "      - rules/splits.smk\n",
        "      - rules/splits.smk\n      - src/xtinct/gone.py\n",
    )
    assert write_stages(project) == ["splits"]
    assert (project / DVC_FILE).read_bytes() == before


def test_what_is_written_by_hand_stays_with_its_comments(project):
    path = project / DVC_FILE
    edit(
        path,
        "      - data/structures\n",
        "      - data/structures  # made before\n      # Kept.\n      - data/mine\n",
    )
    edit(path, "      - src/xtinct/randomness.py\n", "")
    assert write_stages(project) == ["splits"]
    where = lines(path).index("      - data/structures  # made before")
    assert lines(path)[where + 1 : where + 3] == ["      # Kept.", "      - data/mine"]
    assert any(line.strip() == "- src/xtinct/randomness.py" for line in lines(path)[where:])


def test_an_import_that_a_script_gains_becomes_a_dependency(project):
    edit(
        project / "workflow/scripts/splits.py",
        "import logging\n",
        "import logging\nfrom xtinct import bench\n",
    )
    assert stale_stages(project) == ["splits"]
    write_stages(project)
    wanted = set(source_files("xtinct.bench"))
    text = (project / DVC_FILE).read_text()
    stage = text[text.index("  splits:\n") : text.index("  symmetry:\n")]
    named = [SOURCE / line.split("src/xtinct/")[1] for line in stage.splitlines() if "- src/xtinct/" in line]
    assert {path for path in wanted if not any(path == n or n in path.parents for n in named)} == set()


def test_a_room_stands_as_a_whole_only_where_all_of_it_is_needed(project):
    from ruamel.yaml import YAML

    stages = YAML().load(project / DVC_FILE)["stages"]
    for name, stage in stages.items():
        deps = [dep for dep in stage.get("do", stage)["deps"] if dep.startswith("src/xtinct/")]
        paths = [SOURCE / dep.removeprefix("src/xtinct/") for dep in deps]
        assert all(path.exists() for path in paths), name
        assert not any(path in other.parents for path in paths for other in paths), f"{name}: named twice"
    assert "src/xtinct/learning/models" in stages["evaluate"]["do"]["deps"]
    assert "src/xtinct/symmetry" in stages["symmetry"]["deps"]  # with the module that only cctbx needs
    assert "src/xtinct/symmetry" not in stages["cddd"]["deps"]


def test_a_stage_that_allows_a_rule_that_is_not_there_is_named(project):
    edit(project / DVC_FILE, "--allowed-rules splits", "--allowed-rules divide")
    with pytest.raises(XtinctError, match=r"dvc\.yaml: stage splits: no rule divide in rules/"):
        stale_stages(project)


def test_elsewhere_than_in_the_project_it_says_so(tmp_path):
    with pytest.raises(XtinctError, match=r"dvc\.yaml: no such file; run this in the project's folder"):
        stale_stages(tmp_path)
