"""A Slurm of this machine alone: munge, controller and node, in one folder, ended with the test.

Debian and Ubuntu: apt-get install slurm-wlm munge. Nothing of an installed Slurm's own configuration is read.
"""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

CLIENTS = ("sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun")
PROGRAMS = ("munged", "slurmctld", "slurmd", *CLIENTS)
#: Where Debian keeps daemons, which is not on every user's path.
SEARCHED = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
GPUS = 2

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
# Memory is looked at once a second, time twice a minute: a job that takes more than it asked for is killed.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
# A cluster without a database is asked by squeue, which must remember what ended.
MinJobAge=3600
KillWait=2
ReturnToService=2
SlurmdParameters=config_overrides
# Slots that count as GPUs, behind which no device stands.
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={processors} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs() -> list[str]:
    """Programs of Slurm and munge that this machine lacks."""
    return [program for program in PROGRAMS if shutil.which(program, path=SEARCHED) is None]


@contextmanager
def slurm(processors: int, memory: int) -> Iterator[dict[str, str]]:
    """Run a Slurm whose one node says that it has so many processors and so much memory (MB).

    Gives the variables that its commands need. Every daemon is ended, whatever happens.
    """
    with ExitStack() as stack:
        # Not below a folder of the user's alone: munge refuses a socket that others cannot reach.
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="slurm-")))
        folder.chmod(0o755)
        yield stack.enter_context(_running(folder, processors, memory))


@contextmanager
def _running(folder, processors, memory):
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    configuration = folder / "slurm.conf"
    host = socket.gethostname().split(".")[0]
    first, second = _free_ports(2)
    configuration.write_text(
        CONFIGURATION.format(
            host=host,
            user=pwd.getpwuid(os.getuid()).pw_name,
            folder=folder,
            controller_port=first,
            node_port=second,
            processors=processors,
            memory=memory,
            gpus=GPUS,
        )
    )
    for slot in range(GPUS):
        (folder / f"gpu{slot}").touch()
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-{GPUS - 1}]\n")
    path = os.pathsep.join([_commands(folder, configuration), SEARCHED])
    variables = {**os.environ, "SLURM_CONF": str(configuration), "PATH": path}
    with ExitStack() as daemons:
        munged = daemons.enter_context(_daemon(folder, variables, _munged(folder)))
        _wait_for(lambda: (folder / "munge.socket").exists(), folder, "munged", munged)
        daemons.enter_context(_daemon(folder, variables, ["slurmctld", "-D", "-i"]))
        daemons.enter_context(_daemon(folder, variables, ["slurmd", "-D", "-N", host]))
        _wait_for(lambda: _states(variables) == {"idle"}, folder, "slurmctld")
        try:
            yield variables
        finally:
            # What a failed test left to run ends before the daemon that looks after it.
            subprocess.run(
                ["scancel", "--me", "--signal=KILL"], env=variables, check=False, capture_output=True
            )
            subprocess.run(["scancel", "--me"], env=variables, check=False, capture_output=True)
            _wait_for(lambda: _states(variables) == {"idle"}, folder, "slurmd")


def _commands(folder, configuration):
    """Folder of Slurm's commands, which ask this Slurm: Snakemake's jobs lose the variable that says so."""
    (folder / "bin").mkdir()
    for name in CLIENTS:
        command = folder / "bin" / name
        program = shutil.which(name, path=SEARCHED)
        command.write_text(f'#!/bin/sh\nSLURM_CONF={configuration} exec {program} "$@"\n')
        command.chmod(0o755)
    return str(folder / "bin")


def _munged(folder):
    return [
        "munged",
        "--foreground",
        f"--socket={folder}/munge.socket",
        f"--key-file={folder}/munge.key",
        f"--pid-file={folder}/munge.pid",
        f"--log-file={folder}/munge.log",
        f"--seed-file={folder}/munge.seed",
    ]


@contextmanager
def _daemon(folder, variables, command):
    program = shutil.which(command[0], path=SEARCHED)
    with (folder / f"{command[0]}.out").open("wb") as out:
        process = subprocess.Popen([program, *command[1:]], env=variables, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _states(variables):
    """States of the nodes, as far as the controller answers."""
    asked = subprocess.run(
        ["sinfo", "--noheader", "--format=%T"], env=variables, capture_output=True, text=True, check=False
    )
    return set(asked.stdout.split())


def _wait_for(is_so, folder, name, process=None):
    end = time.monotonic() + 60
    while not is_so():
        if time.monotonic() > end or (process is not None and process.poll() is not None):
            said = (folder / f"{name}.out").read_text(errors="replace")
            raise RuntimeError(f"{name} did not come up within a minute: {said[-2000:]}")
        time.sleep(0.2)


def _free_ports(count):
    with ExitStack() as taken:
        sockets = [taken.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
