"""A build that is killed again and again and continued: `make test-faults`.

Two clones of the last commit build the small configuration; one is left in peace. In the other Snakemake, one
of its jobs, or all of them are killed with SIGKILL at random moments, and the build is continued each time.
Both must hold the same bytes at the end. Then one file of each kind is damaged: `xtinct verify` must name it,
and Snakemake make it again. Ends with status 1 if anything was not as it must be.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: What of a build tells of no clock; and what it makes.
COMPARED = (".parquet", ".safetensors")
OUTPUTS = ("data/**/*.parquet", "data/**/*.json", "models/**/*", "results/**/*")
#: The library of this checkout, so that nothing is compiled anew.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}


def clone(folder: Path) -> Path:
    """The last commit with the small configuration."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    (folder / "config/config.yaml").write_text((folder / "config/smoke.yaml").read_text())
    return folder


def command(given: argparse.Namespace) -> list[str]:
    """Snakemake on the target; what it did not finish is made anew."""
    return ["snakemake", "--quiet", "all", "--cores", str(given.cores), given.target]


def run(folder: Path, words: list[str]) -> subprocess.CompletedProcess:
    """A command in a clone."""
    return subprocess.run(words, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)


def jobs(group: int) -> list[int]:
    """Processes of a session other than its leader."""
    done = subprocess.run(
        ["ps", "-o", "pid=", "--sid", str(group)], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in done.stdout.split() if int(pid) != group]


def killed(folder: Path, given: argparse.Namespace, rng: random.Random, longest: float) -> str:
    """Start the build, kill a part of it after a random time, and say what happened."""
    started = subprocess.Popen(
        command(given), cwd=folder, env=ENVIRONMENT, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    after = rng.uniform(2, longest)
    try:
        started.wait(after)
        return f"ended by itself before {after:.1f} s, status {started.returncode}"
    except subprocess.TimeoutExpired:
        pass
    victim = rng.choice(("all", "master", "job"))
    running = jobs(started.pid)
    if victim == "job" and running:
        os.kill(rng.choice(running), signal.SIGKILL)
        started.wait()
    elif victim == "master":
        started.kill()
        started.wait()
        # Orphans are ended as docs/interruptions.md says; the lock stays.
        for pid in jobs(started.pid):
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue
    else:
        victim = "all"
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
    while jobs(started.pid):
        time.sleep(0.1)
    run(folder, ["snakemake", "--unlock"])
    return f"{victim} after {after:.1f} s, {len(running)} processes at work"


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of all outputs."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for pattern in OUTPUTS
        for path in sorted(folder.glob(pattern))
        if path.is_file() and not path.name.startswith(".") and not path.match("data/prototypes/*")
    }


def differences(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    """Files that only one has, or whose bytes differ where they tell of no clock."""
    return [
        name
        for name in sorted(one.keys() | other.keys())
        if (one.get(name) is None or other.get(name) is None)
        or (name.endswith(COMPARED) and not name.startswith("data/cache/") and one[name] != other[name])
    ]


def damaged(folder: Path, given: argparse.Namespace, rng: random.Random) -> list[str]:
    """Cut or change a file of each kind; what is not named, refused or made again is a line."""
    wrong = []
    kinds: dict[tuple[str, str], list[Path]] = {}
    for name in contents(folder):
        path = folder / name
        kinds.setdefault((name.split("/")[0], path.suffix), []).append(path)
    for _, paths in sorted(kinds.items()):
        path = rng.choice(paths)
        sound = path.read_bytes()
        for what in ("cut", "changed"):
            times = path.stat()
            path.chmod(0o644)
            broken = bytearray(sound)
            broken[len(sound) // 2] ^= 0x55
            path.write_bytes(sound[: len(sound) // 2] if what == "cut" else broken)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            name = path.relative_to(folder).as_posix()
            named = name in run(folder, ["xtinct", "verify"]).stdout
            back = "nothing"
            for tool in ([*command(given)[:-1], "--force", name], ["dvc", "checkout", "--force", name]):
                run(folder, tool)
                if path.is_file() and path.read_bytes() == sound:
                    back = tool[0]
                    break
            print(f"{what:8} {name}: {'named' if named else 'NOT NAMED'}, back by {back}", flush=True)
            if not named or back == "nothing":
                wrong.append(f"{name} {what}: named {named}, back by {back}")
                path.write_bytes(sound)
    return wrong


def main() -> int:
    """Build, kill, compare, damage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--target", default="all", help="rule or file, as Snakemake takes it")
    parser.add_argument("--damage", action="store_true", help="damage files of each kind, too (needs dvc)")
    parser.add_argument("--folder", type=Path, help="where the clones go; a temporary folder that is removed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        return campaign(folder, given)


def campaign(folder: Path, given: argparse.Namespace) -> int:
    """The status of the whole."""
    rng = random.Random(given.seed)
    peace = clone(folder / "peace")
    start = time.monotonic()
    done = run(peace, command(given))
    if done.returncode:
        print(done.stderr[-3000:], file=sys.stderr)
        return 1
    took = time.monotonic() - start
    print(f"undisturbed: {took:.0f} s, {len(contents(peace))} files", flush=True)
    wrong = []
    if given.kills:
        wrong = continued(peace, clone(folder / "war"), given, rng, took)
    if given.damage and not wrong:
        run(peace, ["xtinct", "snapshot"])
        wrong += damaged(peace, given, rng)
    print(*wrong, sep="\n")
    return 1 if wrong else 0


def continued(
    peace: Path, war: Path, given: argparse.Namespace, rng: random.Random, took: float
) -> list[str]:
    """Kill and continue the build in `war`; what is not as in `peace`, one line each."""
    for number in range(1, given.kills + 1):
        # Most of the build is still to be done at most of the kills.
        print(f"kill {number}: {killed(war, given, rng, max(6.0, 2 * took / given.kills))}", flush=True)
    done = run(war, command(given))
    wrong = differences(contents(peace), contents(war))
    if done.returncode:
        wrong.append(f"the continued build ended with status {done.returncode}: {done.stderr[-1000:]}")
    left = [path for path in war.rglob(".*.part") if ".snakemake" not in path.parts]
    wrong += [f"left behind: {path.relative_to(war)}" for path in left]
    print(
        f"continued: status {done.returncode}, {len(contents(war))} files, {len(wrong)} differences",
        flush=True,
    )
    return wrong


if __name__ == "__main__":
    sys.exit(main())
