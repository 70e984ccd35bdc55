"""Networks by name.

A new one is a file here, a line in `MODELS`, and a model of its keys in `AnyModel` of
`xtinct.project.keys.model_keys`; then `python -m xtinct.project.keys.reference` makes the schema and the page
of the configuration again.

A model is a `torch.nn.Module` made as `Model(instrument, n_outputs, **hyperparameters)`; its
forward takes patterns float32 (n, instrument.points) with maximum 1 and returns logits
float32 or bfloat16 (n, n_outputs). Its attribute `head` is the module that ends in the classifier.
"""

import inspect

from torch import nn

from xtinct.errors import XtinctError
from xtinct.learning.models.fcn13 import FCN13
from xtinct.learning.models.logq import LogQ
from xtinct.learning.models.parkcnn import ParkCNN
from xtinct.learning.models.resnet import ResNet
from xtinct.patterns.instrument import Instrument

MODELS: dict[str, type[nn.Module]] = {
    "fcn13": FCN13,
    "logq": LogQ,
    "parkcnn": ParkCNN,
    "resnet": ResNet,
}


def build_model(kind: str, instrument: Instrument, n_outputs: int, hyperparameters: dict) -> nn.Module:
    """The network `kind`, or XtinctError naming the kind or the hyperparameter that does not exist."""
    if kind not in MODELS:
        raise XtinctError(f"model {kind!r}: expected one of {', '.join(MODELS)}")
    known = list(inspect.signature(MODELS[kind].__init__).parameters)[3:]
    for name in hyperparameters:
        if name not in known:
            raise XtinctError(
                f"model {kind!r}: no hyperparameter {name!r}; it has {', '.join(known) or 'none'}"
            )
    return MODELS[kind](instrument, n_outputs, **hyperparameters)


def count_parameters(model: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
