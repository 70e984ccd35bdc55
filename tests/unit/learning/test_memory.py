"""What counts as running out of memory, and how work goes on in smaller parts."""

import logging
import platform
import subprocess
import sys

import numpy as np
import pytest
import torch

from xtinct.errors import XtinctError
from xtinct.learning.memory import Portion, is_out_of_memory

CPU = torch.device("cpu")


def error_of(action):
    with pytest.raises((RuntimeError, MemoryError)) as error:
        action()
    return error.value


def test_errors_of_real_allocations_are_recognised():
    assert is_out_of_memory(error_of(lambda: torch.empty(10**15)))
    assert is_out_of_memory(error_of(lambda: np.empty(10**15)))
    assert is_out_of_memory(error_of(lambda: bytearray(10**18)))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."), True),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"), False),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("not enough memory"), False),
    ],
)
def test_messages_of_cuda_and_its_libraries_are_recognised(error, expected):
    assert is_out_of_memory(error) == expected


def test_work_goes_on_with_half_the_size_in_whole_multiples(caplog):
    portion, tried = Portion(96, CPU, multiple=8), []

    def work(size):
        tried.append(size)
        if size > 30:
            torch.empty(10**15)
        return size

    with caplog.at_level(logging.WARNING):
        assert portion.fitted(work) == 24
    assert tried == [96, 48, 24]
    assert "out of memory with 48 patterns at a time; going on with 24" in caplog.text
    # Once found, the size stays.
    portion.fitted(work)
    assert tried[3:] == [24]


def test_nothing_smaller_is_one_line_and_other_errors_stay_what_they_are():
    with pytest.raises(XtinctError, match=r"^out of memory with 8 patterns at a time on cpu, the least that"):
        Portion(16, CPU, multiple=8, limit="train.ghost_batch allows").fitted(lambda n: np.empty(10**15))
    with pytest.raises(RuntimeError, match="shapes"):
        Portion(12, CPU).fitted(lambda n: torch.ones(2, 3) @ torch.ones(2, 3))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_freed_memory_is_kept_for_the_next_step_and_given_back_at_the_end():
    """In a process of its own, whose heap is empty.

    The least of many times counts: before glibc 2.38 an aligned array finds its former place only when the
    pieces that were cut from its ends have filled a list.
    """
    code = """
import os
import resource
from pathlib import Path
import torch
from xtinct.learning.memory import memory_kept

# A machine of 4 GiB, where arrays of more than 128 MiB go back.
sysconf = os.sysconf
os.sysconf = lambda name: 2**32 // sysconf("SC_PAGE_SIZE") if name == "SC_PHYS_PAGES" else sysconf(name)

def new_pages():
    pages = [resource.getrusage(resource.RUSAGE_SELF).ru_minflt]
    for _ in range(32):
        torch.ones(2**24)
        pages.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
    return min(b - a for a, b in zip(pages, pages[1:]))

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

usual, before = new_pages(), resident()
with memory_kept():
    assert new_pages() < usual / 4
    kept = resident()
    assert kept > before + 2**25
    torch.ones(2**26)
    assert resident() < kept + 2**25
assert resident() < before + 2**25
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
