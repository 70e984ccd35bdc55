import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("script", ["ask_networks", "evaluate_model", "train_model"])
def test_a_job_of_torch_loads_no_shapes_of_operations(root, script):
    """They take a second of every process, and an import of torch that came first would bring them."""
    text = (root / f"workflow/scripts/{script}.py").read_text()
    imports = "\n".join(line for line in text.splitlines() if line.startswith(("import ", "from ")))
    code = f"{imports}\nimport sys\nprint(sorted({{'torch', 'torch._refs'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "['torch']"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
def test_a_job_of_torch_compiles_its_network_all_the_same():
    code = """
import xtinct.project.lean_torch
import torch
from xtinct.learning.device import compiled
torch.manual_seed(0)
layers = [torch.nn.Conv1d(1, 4, 5), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(112, 3)]
model = torch.nn.Sequential(*layers)
x = torch.randn(8, 1, 32)
fast = compiled(model, "always", torch.device("cpu"), 1)
assert fast is not model
assert torch.allclose(fast(x), model(x), atol=1e-5)
fast(x).sum().backward()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_training_needs_no_compiler(tmp_path):
    """torch's optimisers import torch's compiler where one is made, a second for every training."""
    configuration = Path(__file__).parents[3] / "config/config.yaml"
    code = f"""
import sys
from pathlib import Path
import torch
from xtinct.learning.checkpoint import Checkpoint, Progress
from xtinct.learning.optim import RateCourse, make_optimizers
from xtinct.learning.training_settings import TrainSettings
from xtinct.project.configuration import load
settings = TrainSettings(**load(Path({str(configuration)!r}))["train"] | {{"schedule": "plateau"}})
layers = [torch.nn.Linear(3, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 2)]
model = torch.nn.ModuleDict(dict(zip(("first", "inner", "head"), layers)))
optimizers = make_optimizers(model, settings)
before = [p.detach().clone() for p in model.parameters()]
torch.nn.Sequential(*layers)(torch.ones(1, 3)).prod().backward()
for optimizer in optimizers:
    optimizer.step()
    optimizer.zero_grad()
RateCourse(settings, 2).validated(0.5)
checkpoint = Checkpoint(Path({str(tmp_path)!r}, "checkpoint"), "")
checkpoint.save(model, optimizers, Progress())
assert checkpoint.load(model, optimizers) is not None
assert not any(torch.equal(a, b) for a, b in zip(before, model.parameters()))
assert all(p.grad is None and p.requires_grad for p in model.parameters())
print(len(optimizers), sorted({{'sympy', 'torch._inductor', 'torch._dynamo'}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "2 []"
