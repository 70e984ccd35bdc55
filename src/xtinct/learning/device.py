"""Where and how precisely to compute, and how to compute the same twice."""

import importlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from xtinct.errors import XtinctError

log = logging.getLogger(__name__)

#: Steps on a GPU that are worth the minute that compiling takes.
COMPILE_STEPS = 2000


def resolve_device(name: str) -> torch.device:
    """`auto` (a GPU if there is one), `cpu` or `cuda`; XtinctError if it is not there."""
    if name not in ("auto", "cpu", "cuda"):
        raise XtinctError(f"train.device: {name!r}, expected auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise XtinctError("train.device: cuda, but torch finds no GPU")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """`float32`, `bfloat16`, or `auto`: bfloat16 where the processor multiplies it natively.

    On a CPU with AVX-512-BF16 or AMX a training step takes 0.4 of its float32 time; without them
    bfloat16 is emulated and slower than float32.
    """
    if name == "float32":
        return torch.float32
    if name not in ("auto", "bfloat16"):
        raise XtinctError(f"train.precision: {name!r}, expected auto, bfloat16 or float32")
    if name == "auto" and not _native_bfloat16(device):
        return torch.float32
    return torch.bfloat16


def _native_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # torch before 2.12 does not tell; then float32, which is always right.
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def describe(device: torch.device, precision: torch.dtype) -> str:
    """Device and precision in words, for cards and records."""
    precision_name = str(precision).removeprefix("torch.")
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {precision_name}"
    return f"cpu, {torch.get_num_threads()} threads, {precision_name}"


@contextmanager
def reproducible(threads: int) -> Iterator[None]:
    """Deterministic algorithms on `threads` CPU threads, float32 in full; restores what was set before."""
    # cuBLAS is deterministic only with a fixed workspace, set before its first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    filled = torch.utils.deterministic.fill_uninitialized_memory
    torch.set_num_threads(threads)
    # What use_deterministic_algorithms does without importing torch's compiler, which takes a second.
    torch.set_deterministic_debug_mode("error")
    # No operation here reads memory that it has not written; filling it takes a tenth of a CPU step.
    torch.utils.deterministic.fill_uninitialized_memory = False
    try:
        with _without_tf32():
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_deterministic_debug_mode(before[1])
        torch.utils.deterministic.fill_uninitialized_memory = filled


@contextmanager
def _without_tf32() -> Iterator[None]:
    """No TF32, which keeps 10 of float32's 23 bits and is cuDNN's default for convolutions on a GPU."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, matmul.fp32_precision
    # The older name of a setting is written first: torch refuses to read it where the two differ.
    cudnn.allow_tf32 = False
    cudnn.conv.fp32_precision = cudnn.rnn.fp32_precision = "ieee"
    if before[2] == "tf32":  # by somebody's choice; torch's own is full precision
        matmul.fp32_precision = "ieee"
    try:
        yield
    finally:
        cudnn.allow_tf32 = "tf32" in before[:2]
        cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, matmul.fp32_precision = before


def compiled(model: nn.Module, setting: str, device: torch.device, n_steps: int) -> nn.Module:
    """The model, or what `torch.compile` makes of it: for `always`, and for `auto` where it pays.

    Compiling starts with the first pattern and may fail only then: `after_failed_compiling`.
    """
    if setting not in ("auto", "always", "never"):
        raise XtinctError(f"train.compile: {setting!r}, expected auto, always or never")
    pays = device.type == "cuda" and n_steps >= COMPILE_STEPS
    if setting == "never" or (setting == "auto" and not pays):
        return model
    # What a job leaves out (lean_torch) and the compiler needs; it cannot load it itself.
    importlib.import_module("torch._meta_registrations")
    return torch.compile(model, options={"deterministic": torch.are_deterministic_algorithms_enabled()})


def after_failed_compiling(model: nn.Module, setting: str, error: RuntimeError) -> nn.Module:
    """The model as it is, with a warning, if `error` says that it could not be compiled for `auto`.

    XtinctError if `always` was asked for; any other error is raised again.
    """
    # Loaded by torch.compile alone: it takes a second.
    dynamo = sys.modules.get("torch._dynamo.exc")
    if dynamo is None or not isinstance(error, dynamo.TorchDynamoException):
        raise error
    reason = str(error).strip().splitlines()[0]
    if setting == "always":
        raise XtinctError(f"train.compile: always, but torch cannot compile the model here: {reason}")
    log.warning("torch cannot compile the model here, so it runs as it is: %s", reason)
    return model


def autocast(device: torch.device, precision: torch.dtype) -> torch.autocast:
    """Autocast of the forward pass; does nothing for float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16)
