"""Every room of the library depends on rooms above it alone, in the order of docs/architecture.md."""

import ast
import re
from collections import Counter
from pathlib import Path

import xtinct

SOURCE = Path(xtinct.__file__).parent


def rooms(root):
    """Rooms in the order of the table in docs/architecture.md."""
    text = (root / "docs/architecture.md").read_text().split("## Rooms")[1].split("\n## ")[0]
    first_cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [name.strip("/") for cell in first_cells for name in re.findall(r"`([\w/]+)`", cell)]


def modules():
    return [path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or not path.name.startswith("__")]


def room_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            # A public name of the package itself, like `__version__`, is no room.
            if parts[0] == "xtinct" and len(parts) > 1 and list(SOURCE.glob(f"{parts[1]}*")):
                yield parts[1]


def test_the_page_names_every_room_once(root):
    assert sorted(rooms(root)) == sorted({room_of(path) for path in modules()})


def test_no_import_runs_back(root):
    order = {room: place for place, room in enumerate(rooms(root))}
    back = {
        f"{path.relative_to(SOURCE)} -> {used}"
        for path in modules()
        for used in imported(path)
        if order[used] > order[room_of(path)]
    }
    assert back == set()


def test_no_two_modules_have_one_name():
    names = Counter(path.name for path in modules() if path.name != "__init__.py")
    assert [name for name, times in names.items() if times > 1] == []


def test_no_two_public_classes_have_one_name():
    names = Counter(
        node.name
        for path in modules()
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, times in names.items() if times > 1] == []


def test_no_room_has_the_name_of_a_public_function():
    assert {room_of(path) for path in modules()} & set(xtinct.__all__) == set()


def test_every_file_that_the_page_names_is_there(root):
    text = (root / "docs/architecture.md").read_text()
    table = text.split("## Rooms")[1].split("\n## ")[0]
    for line in (line for line in table.splitlines() if re.match(r"\| `\w+/`", line)):
        room, first = re.findall(r"`([\w/.]+)`", line)[0], line.split("|")[3].strip(" `")
        assert (SOURCE / room / first).is_file(), line
    for name in re.findall(r"`(\w+/[\w/]+\.py)`", text.split("## Where to change what")[1]):
        assert (SOURCE / name).is_file(), name
