"""Rendering and training on a GPU, in one command of at most 9 minutes that writes one JSON.

    PYTHONPATH=src python benchmarks/gpu/measure.py OUT.json [--occupations data/gcdd/occupations.json]

Python with torch, numba, pyarrow and safetensors is enough. Every part is a process of its own: what one
cannot do stands in the JSON as its error, and the others go on. `--rehearse` does all of it in small,
`--device cpu` without a GPU. README.md says what the parts are.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import parts

#: Seconds of the whole, and the most that each part may take of them: the trainings have what is left.
LIMIT = 520
MOST = {
    "rendering": 60,
    "steps": 100,
    "models": 90,
    "memory": 60,
    "alone": 40,
    "together": 40,
    "compile": 100,
}
REHEARSED = 60


def main() -> int:
    """Measure every part, in order; 1 if any failed."""
    options = _options()
    if options.part:
        print("\n" + json.dumps(parts.PARTS[options.part](options), allow_nan=False))
        return 0
    if options.device == "cuda" and not parts.torch.cuda.is_available():
        sys.exit("torch finds no GPU; --device cpu --rehearse does everything in small without one")
    started = time.monotonic()
    record: dict = {"machine": parts.machine(options.device), "rehearsal": options.rehearse}
    for name in [*MOST, *parts.TRAININGS]:
        left = options.limit - (time.monotonic() - started)
        trainings = [training for training in parts.TRAININGS if training not in record]
        seconds = left / len(trainings) if name in trainings else min(MOST[name], left)
        begun = time.monotonic()
        record[name] = _part(name, options, seconds)
        record[name]["took"] = round(time.monotonic() - begun, 1)
        print(f"{name}: {json.dumps(record[name])}", file=sys.stderr, flush=True)
        record["seconds"] = round(time.monotonic() - started, 1)
        _write(options.out, record)
    return int(any("error" in part for part in record.values() if isinstance(part, dict)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", default="gpu.json", help="the JSON")
    parser.add_argument("--occupations", help="of a build: the joint training draws crystals too")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--rehearse", action="store_true", help="everything in small, within a minute")
    parser.add_argument("--limit", type=float, help="seconds of the whole")
    parser.add_argument("--part", choices=sorted(parts.PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=30.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.limit = options.limit or (REHEARSED if options.rehearse else LIMIT)
    return options


def _part(name: str, options: argparse.Namespace, seconds: float) -> dict:
    """What the processes of a part print last, or why they did not."""
    command = [sys.executable, __file__, "--device", options.device, "--seconds", f"{seconds:.0f}"]
    command += ["--rehearse"] * options.rehearse
    command += ["--occupations", options.occupations] * bool(options.occupations)
    part, count = ("alone", 2) if name == "together" else (name, 1)
    running = [_started([*command, "--part", part]) for _ in range(count)]
    end = time.monotonic() + max(1.0, seconds)
    try:
        found = [_answer(process, end) for process in running]
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {seconds:.0f} s"}
    finally:
        for process in running:
            process.kill()
            process.wait()
    if count == 1 or any("error" in one for one in found):
        return next((one for one in found if "error" in one), found[0])
    return {"patterns_per_second": [one["patterns_per_second"] for one in found]}


def _started(command: list[str]) -> subprocess.Popen:
    # Messages are shown as they come; answers are short.
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _answer(process: subprocess.Popen, end: float) -> dict:
    said, _ = process.communicate(timeout=max(0.1, end - time.monotonic()))
    if process.returncode:
        return {"error": f"ended with {process.returncode}; its messages say why"}
    return json.loads(said.strip().splitlines()[-1])


def _write(out: str, record: dict) -> None:
    temporary = Path(f"{out}.part")
    temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    temporary.replace(out)


if __name__ == "__main__":
    sys.exit(main())
