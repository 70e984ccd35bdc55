"""Trained models on disk: weights as safetensors, everything else as a JSON card.

Neither file can execute anything when it is read. A network of the user's own, by import path, is imported
only where its source is that of the training and lies outside the model's folder.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from xtinct.errors import XtinctError
from xtinct.files.json_reading import read_json
from xtinct.files.writing import write_bytes, write_text
from xtinct.learning.import_paths import is_import_path, source_digest, source_files
from xtinct.learning.models import build_model
from xtinct.patterns.instrument import Instrument
from xtinct.scores.outputs import Outputs

FORMAT = "xtinct-model/1"
WEIGHTS, CARD, HISTORY = "model.safetensors", "card.json", "history.csv"
_KEYS = ("format", "architecture", "instrument", "family", "target", "outputs", "training_digest")


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write named tensors to a safetensors file, whole or not at all."""
    # Copies, because safetensors takes no two names of one memory, as weights that a network shares have.
    whole = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}
    # Through Python's own files, which have the permissions of any other; save_file's are its owner's alone.
    write_bytes(path, save(whole, dict(metadata)))


def save_model(directory: str | Path, model: nn.Module, card: dict) -> None:
    """Write the model folder; the card comes last, so a folder with a card is complete.

    XtinctError, and nothing written, for a card with a number that is not finite: JSON has none.
    """
    directory = Path(directory)
    try:
        text = json.dumps({"format": FORMAT, **card}, indent=2, sort_keys=True, allow_nan=False)
    except ValueError:
        raise XtinctError(f"{directory / CARD}: a number of the card is not finite") from None
    directory.mkdir(parents=True, exist_ok=True)
    write_tensors(directory / WEIGHTS, model.state_dict(), {"format": FORMAT})
    write_text(directory / CARD, text + "\n")


def read_card(directory: str | Path) -> dict:
    """The card of a model folder, or XtinctError naming what is wrong with it."""
    path = Path(directory) / CARD
    card = read_json(path, "expected the folder of a trained model")
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise XtinctError(f"{path}: not the card of a model of format {FORMAT}")
    for key in _KEYS:
        if key not in card:
            raise XtinctError(f"{path}: the key {key!r} is missing")
    return card


def _check_source(directory: Path, architecture: Mapping) -> None:
    """XtinctError if the network is of the user's own, and its source is not that of the training."""
    kind = str(architecture["kind"])
    if not is_import_path(kind):
        return
    if any(path.resolve().is_relative_to(directory.resolve()) for path in source_files(kind)):
        raise XtinctError(f"{directory / CARD}: the code of {kind!r} lies in the model's folder; not run")
    if source_digest(kind) != architecture.get("source"):
        raise XtinctError(
            f"{directory / CARD}: the code of {kind!r} has changed since the model was trained; "
            "train it again"
        )


def load_model(directory: str | Path, device: torch.device) -> tuple[nn.Module, Outputs, Instrument, dict]:
    """(model in evaluation mode on `device`, its outputs, its instrument, its card)."""
    directory = Path(directory)
    card = read_card(directory)
    try:
        _check_source(directory, card["architecture"])
        outputs = Outputs.from_list(card["family"], card["target"], card["outputs"])
        instrument = Instrument.from_config(card["instrument"])
        model = build_model(
            card["architecture"]["kind"], instrument, len(outputs), card["architecture"]["hyperparameters"]
        )
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise XtinctError(
            f"{directory / CARD}: no model can be made from it ({reason}); restore the file or train it again"
        ) from error
    try:
        model.load_state_dict(load_file(directory / WEIGHTS))
    except FileNotFoundError:
        raise XtinctError(f"{directory / WEIGHTS}: no such file") from None
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise XtinctError(f"{directory / WEIGHTS}: not the weights of its card ({reason})") from None
    return model.eval().to(device), outputs, instrument, card
