"""Imports torch without the shapes of its operations, for jobs: imported for its effect, before torch.

torch registers a Python function for each operation, which tells the shape of a result without computing it.
That takes a second of every process and serves its compiler and tensors without data alone. `device.compiled`
loads them for a network that is compiled.
"""

import sys
from types import ModuleType

_SHAPES = "torch._meta_registrations"

if "torch" not in sys.modules:
    sys.modules[_SHAPES] = ModuleType(_SHAPES)
    try:
        import torch  # noqa: F401
    finally:
        del sys.modules[_SHAPES]
