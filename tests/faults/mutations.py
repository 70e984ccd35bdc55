"""Inputs made from sound ones by chance, and what our readers may make of them: nothing but two things.

Every reader either reads its input or refuses it in one line. Whatever else happens is a finding: another
exception, a crash, more than 10 s, more than 2 GB beyond what the imported libraries take.
"""

import contextlib
import functools
import gzip
import io
import random
import resource
import tarfile
import tempfile
import time
import traceback
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xtinct.errors import XtinctError

#: Seconds of a processor for one input; and of the clock, since a machine may have other work.
TIME_LIMIT, PATIENCE = 10.0, 120.0
#: Bytes that a reader may take beyond what the process has after its imports.
MEMORY = 2 * 2**30
#: Longest input, bytes: one that grows by doubling stays quick to make.
LONGEST = 300_000
#: Words that readers of numbers, tables and trees have stumbled over.
WORDS = (
    b"nan", b"inf", b"-inf", b"1e308", b"-1e308", b"1e-308", b"1e999", b"0", b"-1", b"-0.0",
    b"99999999999999", b"9" * 400, b"9" * 5000, b"0x10", b"1_000", b"1,5", b"1.5(3)", b"1.5(99999999)",
    b"(3)", b"?", b".", b"''", b"'", b'"', b";", b"\n;\n", b"#", b"loop_", b"data_", b"data_x", b"save_",
    b"_", b"_cell_length_a 0", b"_cell_angle_alpha 180", b"x,y,z", b"-x,-y,-z", b"x+1/0,y,z", b"2x,y,z",
    b"P 1", b"F d -3 m", b"Uuo9", b"D", b"Fe3+2+", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\t",
    b"\x1a", b"\xe2\x80\xa8", b"%s", b"{}", b"\\", b"<a>", b"</a>", b"&amp;", b"&a", b"*a", b"<<: *a",
    b"[", b"]", b"{", b"[" * 3000, b"!!binary x", b"!!timestamp 2001-99-99", b"2001-99-99", b"? [a]",
    b"1:60:99", b"- " * 2000, b"(" * 3000, b"'" * 3000, b"a" * 6000, b" " * 6000, b"-" * 3000,
    b"BANK 1 9 9 CONST 1 0 0 0 STD", b"##END=", b"##NPOINTS=9", b"(X++(Y..Y))", b"9*0", b"1*",
    b"9999999999*1", b"*", b"=", b"1.e", b".e1", b"+", b"1e", b"1d5", b"1.2.3", b"\xc3\xa9",
)  # fmt: skip
NUMBERS = tuple(
    value.to_bytes(size, "little", signed=value < 0)
    for size in (1, 2, 4, 8)
    for value in (0, 1, -1, 127, 2 ** (8 * size - 1) - 1)
)


class Input(NamedTuple):
    """One input of a reader: its kind (a key of READERS), a name that tells its seed, its bytes."""

    kind: str
    name: str
    data: bytes


def mutated(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """`data` after 1 to 6 changes; `other` is a second input of its kind, of which pieces may be taken."""
    if data[:2] in (b"PK", b"\x1f\x8b") and rng.random() < 0.6:
        with contextlib.suppress(Exception):  # of a seed that is damaged itself
            data = _repacked(rng, data)
    for _ in range(rng.randint(1, 6)):
        data = rng.choice(_CHANGES)(rng, data, other)[:LONGEST]
    return data


def _span(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 8, 40, 400, 4000)))


def _flip(rng: random.Random, data: bytes, other: bytes) -> bytes:
    start, _ = _span(rng, data)
    return data[:start] + bytes([rng.randrange(256)]) + data[start + 1 :]


def _cut(rng: random.Random, data: bytes, other: bytes) -> bytes:
    start, stop = _span(rng, data)
    return data[:start] + data[stop:]


def _shorten(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _double(rng: random.Random, data: bytes, other: bytes) -> bytes:
    start, stop = _span(rng, data)
    return data[:stop] + data[start:stop] * rng.choice((1, 1, 2, 30)) + data[stop:]


def _number(rng: random.Random, data: bytes, other: bytes) -> bytes:
    number = rng.choice(NUMBERS)
    start = rng.randrange(len(data) // len(number) + 1) * len(number) if rng.random() < 0.5 else 0
    start = start or rng.randrange(len(data) + 1)
    return data[:start] + number + data[start + len(number) :]


def _insert(rng: random.Random, data: bytes, other: bytes) -> bytes:
    start, _ = _span(rng, data)
    return data[:start] + rng.choice(WORDS) + data[start:]


def _word(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Another word in the place of one."""
    start, _ = _span(rng, data)
    while start < len(data) and not data[start : start + 1].isspace():
        start += 1
    stop = start + 1
    while stop < len(data) and not data[stop : stop + 1].isspace():
        stop += 1
    return data[: start + 1] + rng.choice(WORDS) + data[stop:]


def _lines(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """A line left out, doubled, moved, or taken from the other input."""
    lines, others = data.split(b"\n"), other.split(b"\n")
    here, there = rng.randrange(len(lines)), rng.randrange(len(lines))
    what = rng.randrange(4)
    if what == 0:
        del lines[here]
    elif what == 1:
        lines[here:here] = [lines[there]] * rng.choice((1, 3, 100))
    elif what == 2:
        lines[here], lines[there] = lines[there], lines[here]
    else:
        start = rng.randrange(len(others))
        lines[here:here] = others[start : start + rng.randint(1, 20)]
    return b"\n".join(lines)


def _splice(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _encode(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data.decode("latin-1").encode(rng.choice(("utf-16", "utf-8", "utf-32-be", "utf-16-le")))


_CHANGES = (
    _flip, _flip, _cut, _shorten, _double, _number, _number, _insert, _insert, _word, _word, _word, _lines,
    _lines, _splice, _encode,
)  # fmt: skip


def _repacked(rng: random.Random, data: bytes) -> bytes:
    """A compressed input whose content has been changed, compressed anew."""
    if data[:2] == b"\x1f\x8b":
        content = gzip.decompress(data)
        return gzip.compress(rng.choice(_CHANGES)(rng, content, content)[:LONGEST], 1)
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            content = old.read(member)
            if rng.random() < 0.7:
                content = rng.choice(_CHANGES)(rng, content, content)[:LONGEST]
            new.writestr(member, content)
    return stream.getvalue()


# --- readers: they return nothing, or raise XtinctError ----------------------------------------------


@functools.cache
def _cleaning() -> dict:
    from xtinct.project.configuration import load

    return load(Path(__file__).resolve().parents[2] / "config/config.yaml")["cleaning"]


def _read_structure(name: str, data: bytes) -> None:
    from xtinct.sources.archives import decoded
    from xtinct.structures.cleaning import clean_or_reject

    try:
        text = decoded(data)
    except ValueError as error:
        raise XtinctError(str(error)) from None
    row = {
        "structure_id": "s:1", "cif": text, "error": "", "spacegroup_declared": 0, "source": "s",
        "source_version": "", "licence": "",
    }  # fmt: skip
    table, row = clean_or_reject(row, _cleaning())
    if table == "quarantine":
        assert row["reason"]
        assert "\n" not in row["detail"], "a reason of several lines"
        raise XtinctError(row["reason"])
    assert 1 <= row["spacegroup_number"] <= 230
    assert np.isfinite([row[key] for key in ("a", "b", "c", "alpha", "beta", "gamma")]).all()


def _read_measured(name: str, data: bytes) -> None:
    from xtinct.measurements import reading

    for scan in reading.measurements_in(data, name, wavelength=1.5406):
        assert scan.intensity is None or np.isfinite(scan.intensity).all(), "an intensity that is no number"
        assert np.isfinite(scan.two_theta).all(), "an angle that is no number"
        assert (np.diff(scan.two_theta) >= 0).all(), "angles that go back"


def _read_archive(name: str, data: bytes) -> None:
    from xtinct.sources.archives import texts

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        for member, _, error in texts(path, "*", "sources.s"):
            assert "\n" not in member + error, "a reason of several lines"


def _read_configuration(name: str, data: bytes) -> None:
    from xtinct.project.configuration import load

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_bytes(data)
        load(path)


def _read_card(name: str, data: bytes) -> None:
    """`name` is the folder of the model whose card this was."""
    import torch

    from xtinct.learning.card import load_model

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "card.json").write_bytes(data)
        Path(folder, "model.safetensors").symlink_to(Path(name, "model.safetensors"))
        load_model(folder, torch.device("cpu"))


READERS = {
    "structure": _read_structure,
    "measured": _read_measured,
    "archive": _read_archive,
    "configuration": _read_configuration,
    "card": _read_card,
}


def limit_memory() -> None:
    """Bound this process for good, after its first inputs have imported what there is to import.

    For a process that does nothing else: whatever it does or starts later has no more memory either.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)


def examined(given: Input) -> str:
    """ "read" or "refused", and for a finding its traceback."""
    start = time.process_time()
    result = _untimed(given)
    if (taken := time.process_time() - start) > TIME_LIMIT:
        result = f"{taken:.0f} s for one input"
    return result


def _untimed(given: Input) -> str:
    """`examined`, however long it takes."""
    try:
        with warnings.catch_warnings():
            # A number that went wrong on its way; other libraries' words of other kinds are no finding.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", RuntimeWarning)
            READERS[given.kind](given.name, given.data)
        return "read"
    except XtinctError as error:
        return "refused" if "\n" not in str(error) else f"a refusal of several lines: {error}"
    except Exception:
        return traceback.format_exc()


_POSCAR = b"Po\n1.0\n3.3 0 0\n0 3.3 0\n0 0 3.3\nPo\n1\ndirect\n0 0 0\n"
_CIF = (
    b"data_x\n_cell_length_a 3.3\n_cell_length_b 3.3\n_cell_length_c 3.3\n_cell_angle_alpha 90\n"
    b"_cell_angle_beta 90\n_cell_angle_gamma 90\nloop_\n_atom_site_type_symbol\n_atom_site_fract_x\n"
    b"_atom_site_fract_y\n_atom_site_fract_z\nPo 0 0 0\n"
)
_ROWS = b"".join(b"%d 5\n" % k for k in range(10, 70))


def _warmed():
    import xtinct.learning.card  # noqa: F401

    for given in (
        Input("structure", "cif", _CIF),
        Input("structure", "poscar", _POSCAR),
        Input("measured", "a.xy", _ROWS),
        Input("configuration", "config.yaml", b"seed: 1\n"),
    ):
        # Untimed: the first inputs after an installation compile for half a minute.
        outcome = _untimed(given)
        assert outcome in ("read", "refused"), outcome
    limit_memory()
    return examined


class Warmed:
    """`examined` for a worker process, where all it needs is imported and compiled before time counts."""

    def __reduce__(self):
        return _warmed, ()


# --- seeds that are made here; others are files --------------------------------------------------------


def archives_of(texts: list[bytes]) -> list[Input]:
    """Zip and tar archives, plain and compressed, of some texts."""
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, text in enumerate(texts):
            archive.writestr(f"d/{number}.cif", text)
    found = [Input("archive", "a.zip", zipped.getvalue())]
    for end in ("", ".gz", ".bz2", ".xz"):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode=f"w:{end[1:]}", format=tarfile.PAX_FORMAT) as archive:
            for number, text in enumerate(texts):
                member = tarfile.TarInfo(f"d/{'ü' * 120 if number == 1 else ''}{number}.cif")
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text))
        found.append(Input("archive", f"a.tar{end}", packed.getvalue()))
    return found
