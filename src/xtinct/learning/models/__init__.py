"""Networks by name.

A new one is a file here, a line in `MODELS`, and a model of its keys in `AnyModel` of
`xtinct.project.keys.model_keys`; then `python -m xtinct.project.keys.reference` makes the schema and the page
of the configuration again.

A model is a `torch.nn.Module` made as `Model(instrument, n_outputs, **hyperparameters)`; its
forward takes patterns float32 (n, instrument.points) with maximum 1 and returns logits
float32 or bfloat16 (n, n_outputs). Its attribute `head` is the module that ends in the classifier
(`train.optimizer: muon` needs it). A class of the same kind that stands elsewhere is named by its import
path, `my_package.nets:MyNet`. A model with a method `fit` is fitted at once (`learning.direct_fitting`), and
has no classifier and no optimiser.
"""

import inspect

import torch
from torch import nn

from xtinct.errors import XtinctError
from xtinct.learning.import_paths import imported, is_import_path
from xtinct.learning.models.extratrees import ExtraTrees
from xtinct.learning.models.fcn13 import FCN13
from xtinct.learning.models.logq import LogQ
from xtinct.learning.models.parkcnn import ParkCNN
from xtinct.learning.models.resnet import ResNet
from xtinct.learning.models.simxrd import SimXRD
from xtinct.learning.models.student_networks import ReportNetwork, SlideNetwork
from xtinct.patterns.instrument import Instrument

MODELS: dict[str, type[nn.Module]] = {
    "extratrees": ExtraTrees,
    "fcn13": FCN13,
    "logq": LogQ,
    "parkcnn": ParkCNN,
    "report": ReportNetwork,
    "resnet": ResNet,
    "simxrd": SimXRD,
    "slides": SlideNetwork,
}


def build_model(kind: str, instrument: Instrument, n_outputs: int, hyperparameters: dict) -> nn.Module:
    """The network `kind`, or XtinctError naming the kind or the hyperparameter that does not exist.

    `kind`: a key of MODELS, or the import path of a class of the user's own, `my_package.nets:MyNet`.
    XtinctError also for one that cannot be imported, is no network, cannot be made or has other outputs.
    """
    own = is_import_path(kind)
    if not own and kind not in MODELS:
        raise XtinctError(
            f"model {kind!r}: expected one of {', '.join(MODELS)}, or an import path, package.module:Class"
        )
    network = imported(kind) if own else MODELS[kind]
    if not (isinstance(network, type) and issubclass(network, nn.Module)):
        raise XtinctError(f"model {kind!r}: {network!r} is no class of torch.nn.Module")
    parameters = inspect.signature(network).parameters.values()
    known = [parameter.name for parameter in parameters][2:]
    if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters):
        for name in hyperparameters:
            if name not in known:
                raise XtinctError(
                    f"model {kind!r}: no hyperparameter {name!r}; it has {', '.join(known) or 'none'}"
                )
    if not own:
        return network(instrument, n_outputs, **hyperparameters)
    return _fitting(kind, network, instrument, n_outputs, hyperparameters)


def _fitting(
    kind: str, network: type[nn.Module], instrument: Instrument, n_outputs: int, hyperparameters: dict
) -> nn.Module:
    """A network of the user's own, which has been seen to answer two patterns."""
    try:
        model = network(instrument, n_outputs, **hyperparameters)
        with torch.no_grad():
            answer = model.eval()(torch.zeros(2, instrument.points))
        found = tuple(answer.shape)
    except Exception as error:
        if isinstance(error, XtinctError):
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise XtinctError(
            f"model {kind!r}: does not answer patterns of {instrument.points} points ({reason})"
        ) from error
    if found != (2, n_outputs):
        raise XtinctError(f"model {kind!r}: of 2 patterns it gives {found}, expected logits (2, {n_outputs})")
    if not hasattr(model, "fit") and not any(parameter.requires_grad for parameter in model.parameters()):
        raise XtinctError(f"model {kind!r}: no parameter to train, and no method `fit`")
    return model.train()


def count_parameters(model: nn.Module) -> int:
    """Number of trained values; of a model that is fitted at once, its `fitted_values`."""
    fitted = getattr(model, "fitted_values", 0)
    return fitted + sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
