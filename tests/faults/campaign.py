"""A build of the small configuration through faults of the machine: `make test-faults`.

Clones of the last commit build the small configuration. One is left in peace, where --memory holds each job
to the memory that its rule asks for. In another Snakemake, one of its jobs, or all of them are killed with
SIGKILL (--kills), and the disk is filled (--full), at random moments, and the build is continued each time.
In a third the clock is wrong at times (--clocks). All must hold the same bytes at the end. Then files of each
kind are damaged (--damage). Ends with status 1 if anything was not as it must be.

A disk that can be filled is a file system in memory, mounted in a name space of its own: Linux, and root or
user name spaces (`unshare`).
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from builds import ENVIRONMENT, ROOT, Build, differences, last_line
from clocks import clock_faults
from damage import damage_faults

#: Bytes of the file system that is filled.
SMALL = 700 * 2**20
#: Seconds after which a build that has no room must have ended.
PATIENCE = 600


def jobs(group: int) -> list[int]:
    """Processes of a session other than its leader."""
    done = subprocess.run(
        ["ps", "-o", "pid=", "--sid", str(group)], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in done.stdout.split() if int(pid) != group]


class Campaign:
    """The options, the random numbers, and what was found."""

    def __init__(self, given: argparse.Namespace, folder: Path) -> None:
        self.given = given
        self.folder = folder
        self.rng = random.Random(given.seed)
        self.wrong: list[str] = []
        limits = f"{ROOT}/tests/faults/limits{os.pathsep}{ENVIRONMENT['PYTHONPATH']}"
        self.asked = folder / "memory_asked"
        limited = {**ENVIRONMENT, "PYTHONPATH": limits, "XTINCT_MEMORY_ASKED": str(self.asked)}
        self.peace = self._build("peace", limited if given.memory else ENVIRONMENT)

    def _build(self, name: str, environment: dict[str, str] = ENVIRONMENT) -> Build:
        return Build(self.folder / name, self.given.cores, self.given.target, environment)

    def run(self) -> None:
        """All that is asked for."""
        took = self._in_peace()
        if not self.wrong and self.given.kills + self.given.full:
            self._in_war(took)
        if not self.wrong and self.given.clocks:
            self.wrong += clock_faults(self.peace, self._build("clocks"), self.given.clocks, self.rng)
        if not self.wrong and self.given.damage:
            self.wrong += damage_faults(self._build("peace"), self.rng)

    def _in_peace(self) -> float:
        """Seconds that the undisturbed build took."""
        start = time.monotonic()
        if not self.peace.folder.exists():  # from an earlier campaign in the same folder
            done = self.peace.clone().run(*self.peace.command())
            if done.returncode:
                self.wrong.append(
                    f"the undisturbed build ended with {done.returncode}: {done.stderr[-3000:]}"
                )
            print(f"undisturbed: {time.monotonic() - start:.0f} s", flush=True)
        took = time.monotonic() - start
        print(f"{len(self.peace.files())} files", flush=True)
        if self.given.memory:
            self._memory()
        return self.given.took or took

    def _memory(self) -> None:
        """Memory of every rule's largest job (benchmark files), and what it asked for."""
        taken: dict[str, float] = {}
        for path in sorted((self.peace.folder / "logs").rglob("*.tsv")):
            rule = path.relative_to(self.peace.folder / "logs").parts[0].removesuffix(".tsv")
            names, values = (line.split("\t") for line in path.read_text().splitlines()[:2])
            value = values[names.index("max_rss")]
            taken[rule] = max(taken.get(rule, 0.0), 0.0 if value in ("NA", "-") else float(value))
        asked: dict[str, int] = {}
        for line in self.asked.read_text().splitlines():
            rule, amount = line.split()
            rule = rule.split("-")[0]
            asked[rule] = min(asked.get(rule, 10**9), int(amount))
        for rule in sorted(asked):
            print(f"memory {rule:22} {taken.get(rule, 0):6.0f} MB of {asked[rule]:6} MB", flush=True)
            if taken.get(rule, 0) > asked[rule]:
                self.wrong.append(f"{rule} took {taken[rule]:.0f} MB and asks for {asked[rule]} MB")

    def _in_war(self, took: float) -> None:
        """Kill the build, fill its disk, and continue it; what is not as in peace."""
        faults = ["kill"] * self.given.kills + ["full"] * self.given.full
        self.rng.shuffle(faults)
        folder = self.folder / "small"
        folder.mkdir(exist_ok=True)
        if self.given.full:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "xtinct", folder], check=True)
        war = self._build("small/war").clone()
        least = longest = 2 * took / len(faults)
        before = 0
        for number, fault in enumerate(faults, 1):
            while (said := self._disturbed(war, fault, longest)) is None:
                # Complete before the fault came: compared, and begun anew.
                self._compared(war)
                war.empty()
                longest = least
            # No job would ever end that takes longer.
            longest = least if (now := len(war.records())) != before else 1.5 * longest
            before = now
            print(f"{fault} {number}: {said}; {len(war.files())} files", flush=True)
            war.unlock()
        self._compared(war)

    def _compared(self, war: Build) -> None:
        """Continue the build to its end; what is not as in peace."""
        done = war.run(*war.command())
        wrong = differences(self.peace.contents(), war.contents())
        if done.returncode:
            wrong.append(f"the continued build ended with {done.returncode}: {done.stderr[-1000:]}")
        left = [path for path in war.folder.rglob(".*.part") if ".snakemake" not in path.parts]
        wrong += [f"left behind: {path.relative_to(war.folder)}" for path in left]
        print(f"continued to the end: {len(war.files())} files, {len(wrong)} differences", flush=True)
        self.wrong += wrong

    def _started(self, war: Build) -> subprocess.Popen:
        with (self.folder / "said").open("wb") as file:
            return subprocess.Popen(
                war.command(), cwd=war.folder, env=war.environment, start_new_session=True,
                stdout=subprocess.DEVNULL, stderr=file,
            )  # fmt: skip

    def _disturbed(self, war: Build, fault: str, longest: float) -> str | None:
        """Start the build, disturb it at a random moment, and say what happened; None if it ended before.

        One moment of five is in Snakemake's own start; the others are up to `longest` seconds after its first
        job began.
        """
        started = self._started(war)
        early = self.rng.random() < 0.2
        after = self.rng.uniform(1, 8) if early else self.rng.uniform(0, longest)
        while not early and started.poll() is None and not jobs(started.pid):
            time.sleep(0.2)
        try:
            started.wait(after)
            if started.returncode:
                self.wrong.append(f"ended with {started.returncode} before any fault")
            return None
        except subprocess.TimeoutExpired:
            when = f"{after:.1f} s after {'the start' if early else 'a first job began'}"
            return f"{when}: {getattr(self, f'_{fault}')(war, started)}"

    def _kill(self, war: Build, started: subprocess.Popen) -> str:
        """Kill a part of a running build."""
        victim = self.rng.choice(("all", "master", "job"))
        running = jobs(started.pid)
        if victim == "job" and running:
            with suppress(ProcessLookupError):
                os.kill(self.rng.choice(running), signal.SIGKILL)
            started.wait()
        elif victim == "master":
            started.kill()
            started.wait()
            # Orphans are ended as docs/interruptions.md says; the lock stays.
            for pid in jobs(started.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        else:
            victim = "all"
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
        while jobs(started.pid):
            time.sleep(0.1)
        return f"{victim}, {len(running)} processes at work"

    def _full(self, war: Build, started: subprocess.Popen) -> str:
        """Fill the disk of a running build, wait for its end, and make room again."""
        ballast = war.folder.parent / "ballast"
        left = self.rng.choice((0, 0, 4096, 16384))
        try:
            _fill(ballast, left)
            started.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            self.wrong.append(f"a build on a full disk did not end within {PATIENCE} s")
        finally:
            ballast.unlink(missing_ok=True)
        said = (self.folder / "said").read_text(errors="replace")
        with (self.folder / "said_full").open("a") as file:
            file.write(f"{said}\n{'-' * 80}\n")
        return f"{left} bytes left, status {started.returncode}: {last_line(said)}"


def _fill(ballast: Path, left: int) -> None:
    """Take all room of a file system but some bytes, while others write there too."""
    size = 0
    with ballast.open("wb") as file:
        for step in (2**24, 2**18, 4096):
            with suppress(OSError):
                while True:
                    os.posix_fallocate(file.fileno(), size, step)
                    size += step
        file.truncate(max(0, size - left))


def main() -> int:
    """Build, disturb, compare, damage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--full", type=int, default=0, help="how often the disk is filled")
    parser.add_argument("--clocks", type=int, default=0, help="how often the clock jumps")
    parser.add_argument("--memory", action="store_true", help="hold every job to its rule's mem_mb")
    parser.add_argument("--damage", action="store_true", help="damage files of each kind, too (needs dvc)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--target", default="all", help="rule or file, as Snakemake takes it")
    parser.add_argument("--folder", type=Path, help="where the clones go; a temporary folder that is removed")
    parser.add_argument(
        "--took", type=float, help="seconds of a build, if the one in --folder is there already"
    )
    given = parser.parse_args()
    if given.damage and given.target != "all":
        parser.error("--damage needs a whole build, which DVC can record: leave out --target")
    if given.full and "XTINCT_OWN_MOUNTS" not in os.environ:
        # A name space of mounts that ends with this process, and no one else sees.
        os.environ["XTINCT_OWN_MOUNTS"] = "1"
        who = [] if os.geteuid() == 0 else ["--map-root-user"]
        os.execvp("unshare", ["unshare", "--mount", *who, sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory() as temporary:
        campaign = Campaign(given, (given.folder or Path(temporary)).resolve())
        try:
            campaign.run()
        finally:
            if given.full:
                subprocess.run(["umount", "--lazy", campaign.folder / "small"], check=False)
    print(*campaign.wrong, sep="\n")
    return 1 if campaign.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
