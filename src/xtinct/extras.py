"""Packages that only some of the library needs: what to say where one of them is not installed."""

import functools
import importlib.metadata
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from xtinct.errors import XtinctError

F = TypeVar("F", bound=Callable[..., Any])

#: Distributions that are not named as their module is.
_DISTRIBUTIONS = {"yaml": "pyyaml", "ruamel": "ruamel.yaml", "cctbx": "cctbx-base"}


@contextmanager
def naming_extra() -> Iterator[None]:
    """Turn a package that is not there into an XtinctError that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if not module or module == "xtinct":
            raise
        raise XtinctError(what_to_install(module)) from None


def names_extra(function: F) -> F:
    """Decorator: the same for every call of a function."""

    @functools.wraps(function)
    def named(*args: Any, **kwargs: Any) -> Any:
        with naming_extra():
            return function(*args, **kwargs)

    return named


def what_to_install(module: str) -> str:
    """One line for a module that is missing, with the extra of the library that brings it."""
    package = _DISTRIBUTIONS.get(module, module.replace("_", "-")).lower()
    extra = _extras().get(package)
    whole = f"xtinct[{extra}]" if extra else "xtinct" if extra == "" else package
    return f"this needs the package {package}, which is not installed: pip install '{whole}'"


@functools.cache
def _extras() -> dict[str, str]:
    """Distribution -> extra that brings it; "" for what is always needed."""
    found: dict[str, str] = {}
    try:
        required = importlib.metadata.requires("xtinct") or []
    except importlib.metadata.PackageNotFoundError:
        required = []
    for line in required:
        name = re.match(r"[A-Za-z0-9._-]+", line)[0].lower().replace("_", "-")
        extra = re.search(r"extra\s*==\s*[\"'](\w+)", line)
        found.setdefault(name, extra[1] if extra else "")
    return found
