"""Inputs that went wrong once under `make fuzz`, kept; and the fuzzer itself, which must see a fault."""

import json
import random
import resource
import time
import zipfile
from pathlib import Path

import mutations
import numpy as np
import pytest
import torch
from mutations import Input, examined, mutated

from xtinct.errors import XtinctError
from xtinct.learning.card import load_model, save_model
from xtinct.learning.models import build_model
from xtinct.measurements import reading
from xtinct.patterns.instrument import Instrument
from xtinct.sources.archives import texts

SEEDS = Path(__file__).parent / "seeds"
ROWS = b"".join(b"%d.00 5\n" % k for k in range(10, 70))


@pytest.mark.parametrize(
    "word", [b"9" * 4990, b"9." * 2400, b"1(" * 2400, b"1e" * 2400, b"-" * 4990, b"1," * 2400]
)
@pytest.mark.parametrize("end", [b"", b"x"])
def test_a_word_of_thousands_of_characters_takes_no_time(word, end):
    """Two ways to read a run of digits make the square of its length: 3 s for one word, 10 s for three."""
    start = time.monotonic()
    try:
        found = reading.measurements_in(ROWS + word + end + b"\n", "a.xy", wavelength=1.5406)
    except XtinctError as error:
        found = str(error)
    assert found
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("length", ["1e307", "1e400", "nan", "-1e307", "1e-307", "0"])
def test_a_poscar_whose_vectors_are_beyond_all_numbers(length):
    text = f"Po\n1.0\n{length} 0 0\n0 3 0\n0 0 3\nPo\n1\ndirect\n0 0 0\n"
    assert examined(Input("structure", "poscar", text.encode())) == "refused"


@pytest.mark.parametrize(
    "text",
    [
        "# d(A) I\n1e308 5\n",
        "# d I\n1e308 5\n2 3\n1e-308 1\n",
        "".join(f"{x} 5\n" for x in (*range(10, 30), "1e999", 31, "1e999", 40)),
        "# 2theta d I\n"
        + "".join(f"{x} {40 - x} 5\n" for x in range(10, 30))
        + "1e308 -1e308 5\n-1e308 1 5\n",
        "# 2theta d I\n" + "".join(f"{x} 1e999 5\n" for x in range(10, 30)),
        "".join(f"{x} {x} 1e200\n" for x in range(10, 80)),
        "".join(f"{x} 1e-307 {x}\n" for x in range(10, 80)),
        "".join(f"{x} 1e307 -1e307\n{x}.5 -1e308 1e308\n" for x in range(10, 80)),
    ],
)
def test_positions_beyond_all_numbers_are_read_or_refused_without_a_warning(text):
    assert examined(Input("measured", "a.xy", text.encode())) in ("read", "refused")


@pytest.mark.parametrize("seed", sorted(SEEDS.iterdir()), ids=lambda path: path.name)
def test_structures_at_which_a_reader_or_the_symmetry_finder_gave_up(seed):
    """A panic of Rust is no Exception of Python; and a count may be a mere dot."""
    assert examined(Input("structure", seed.name, seed.read_bytes())) in ("read", "refused")


def test_a_member_of_an_archive_without_a_name(tmp_path):
    """`zipfile` stops at it; a member beside it is read."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("x"), "none")
        archive.writestr("b.cif", "data_b")
    content = (tmp_path / "a.zip").read_bytes()
    # The length of the first name in the directory, and the name, are taken away.
    place = content.index(b"PK\x01\x02")
    content = content[: place + 28] + b"\0\0" + content[place + 30 : place + 46] + content[place + 47 :]
    end = content.rindex(b"PK\x05\x06")
    size = int.from_bytes(content[end + 12 : end + 16], "little") - 1
    (tmp_path / "a.zip").write_bytes(content[: end + 12] + size.to_bytes(4, "little") + content[end + 16 :])
    assert list(texts(tmp_path / "a.zip", "*.cif", "sources.s")) == [("b.cif", "data_b", "")]
    assert [name for name, _, _ in texts(tmp_path / "a.zip", "*", "sources.s")] == ["", "b.cif"]


INSTRUMENT = {
    "wavelength": 1.5406,
    "two_theta": {"min": 5, "max": 90, "points": 256},
    "lorentz": "lorentz",
    "fwhm": 0.5,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    hyperparameters = {"points": 64, "width": 8, "hidden": 8}
    network = build_model("logq", Instrument.from_config(INSTRUMENT), 2, hyperparameters)
    card = {
        "architecture": {"kind": "logq", "name": "logq", "hyperparameters": hyperparameters},
        "family": "cubic", "target": "extinction_class", "instrument": INSTRUMENT, "training_digest": "none",
        "outputs": [{"symbol": "P - - -", "members": [195]}, {"symbol": "I - - -", "members": [197]}],
    }  # fmt: skip
    save_model(folder, network, card)
    return folder


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("outputs", [1]), ("outputs", [{"symbol": "P - - -", "members": [float("inf")]}]), ("outputs", None),
        ("architecture", 7), ("architecture", {"kind": "logq"}), ("architecture", {"kind": "no such"}),
        ("architecture", {"kind": "logq", "hyperparameters": {"points": "x", "width": 8, "hidden": 8}}),
        ("architecture", {"kind": "logq", "hyperparameters": {"points": 64, "width": 8, "hidden": 10**9}}),
        ("architecture", {"kind": "logq", "hyperparameters": {"points": 64, "width": 16, "hidden": 8}}),
        ("instrument", {}), ("instrument", None), ("instrument", {**INSTRUMENT, "fwhm": "wide"}),
    ],
)  # fmt: skip
def test_a_damaged_card_is_named_and_makes_no_model(model, tmp_path, key, value):
    card = json.loads((model / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps({**card, key: value}))
    (tmp_path / "model.safetensors").symlink_to(model / "model.safetensors")
    with pytest.raises(XtinctError) as caught:
        load_model(tmp_path, torch.device("cpu"))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_named(model, tmp_path):
    (tmp_path / "card.json").symlink_to(model / "card.json")
    sound = (model / "model.safetensors").read_bytes()
    for content in (b"", sound[: len(sound) // 2], sound[:-1], sound + b"x", b"\xff" * 8 + sound[8:]):
        (tmp_path / "model.safetensors").write_bytes(content)
        with pytest.raises(XtinctError, match=r"model\.safetensors: not the weights of its card"):
            load_model(tmp_path, torch.device("cpu"))


def test_an_examined_input_leaves_the_process_its_memory():
    before = resource.getrlimit(resource.RLIMIT_AS)
    examined(Input("measured", "a.xy", ROWS))
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_the_same_seed_makes_the_same_inputs():
    data = [mutated(random.Random(7), ROWS, ROWS) for _ in range(2)]
    assert data[0] == data[1]
    assert any(mutated(random.Random(seed), ROWS, ROWS) != ROWS for seed in range(3))


def test_the_fuzzer_sees_every_kind_of_fault(monkeypatch):
    """An exception, a number that went wrong on its way, a refusal of several lines."""
    faults = {"raises": "ValueError", "warns": "RuntimeWarning", "says": "refusal of several lines"}
    for kind, sign in faults.items():
        monkeypatch.setitem(mutations.READERS, kind, globals()[f"_{kind}"])
        assert sign in examined(Input(kind, "", b""))


def _raises(name, data):
    raise ValueError("not a line of ours")


def _warns(name, data):
    np.array([1e308]) * 10


def _says(name, data):
    raise XtinctError("one\ntwo")
