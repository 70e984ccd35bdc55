import subprocess
import sys

CODE = """
import importlib, pkgutil, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in FORBIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

FORBIDDEN = set(
    "gemmi click snakemake dvc matplotlib pymatgen mp_api cctbx moyopy spglib pyxtal pandas scipy sklearn "
    "yaml pydantic jinja2 tqdm tenacity".split()
)
sys.meta_path.insert(0, Absent())
import xtinct.learning
for module in pkgutil.walk_packages(xtinct.learning.__path__, "xtinct.learning."):
    importlib.import_module(module.name)
print(sorted(FORBIDDEN & {name.split(".")[0] for name in sys.modules}))
"""


def test_learning_works_without_symmetry_engines_workflow_or_plotting():
    """Training machines have torch, numpy, numba, pyarrow and safetensors, and nothing else of ours."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"


def test_reproducible_algorithms_need_no_compiler():
    """torch.use_deterministic_algorithms imports torch's compiler and sympy, a second for every job."""
    code = (
        "import sys, torch\nfrom xtinct.learning.device import reproducible\nwith reproducible(1):\n"
        "    assert torch.are_deterministic_algorithms_enabled()\n"
        "    assert torch.get_deterministic_debug_mode() == 2\n"
        "assert not torch.are_deterministic_algorithms_enabled()\n"
        "print(sorted({'sympy', 'torch._inductor', 'torch._dynamo'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"
