"""A temporary SLURM cluster of one node on this machine, for tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

CONFIGURATION_FOLDER = Path("/etc/slurm")
"""SLURM's default folder: the environment of a job's step has no SLURM_CONF."""

PROGRAMS = (
    *("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue", "sinfo"),
    *("slurmdbd", "sacct", "sacctmgr", "mariadbd", "mariadb", "mariadb-install-db"),
)
PACKAGES = "slurm-wlm munge slurmdbd mariadb-server"
_BACKUP_SUFFIX = ".before-the-test"
_PREFIX = "emoscale-slurm-"
_NODE_TIMEOUT_SECONDS = 10
_SHARDS_PER_GPU = 4


class ClusterError(RuntimeError):
    """The cluster cannot be started or does not respond; the message gives the reason."""


def unavailable_reason() -> str:
    """Return why no cluster can be started on this machine; an empty string if one can."""
    if os.geteuid() != 0:
        return "SLURM can be started by root only: run the tests as root in a container"
    absent = [name for name in PROGRAMS if not shutil.which(name)]
    if absent:
        return f"{', '.join(absent)} not found: apt-get install --no-install-recommends {PACKAGES}"
    running = _processes_named({"slurmctld", "slurmd"})
    if running:
        return f"SLURM is already running (process {min(running)}): stop it first"
    return ""


class Cluster:
    """A cluster that `one_node_cluster` starts and stops."""

    def __init__(self, folder: Path, cpus: int, memory_mb: int, gpus: int) -> None:
        self.folder, self.cpus, self.memory_mb, self.gpus = folder, cpus, memory_mb, gpus
        self.node = socket.gethostname().split(".")[0]
        self._daemons: dict[str, subprocess.Popen] = {}
        self._ports = _free_ports(4)

    def command(self, *arguments: str, check: bool = True) -> str:
        """Run one of SLURM's programs and return its output; raise `ClusterError` if it fails."""
        ran = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
        if check and ran.returncode:
            raise ClusterError(f"{' '.join(arguments)}: {ran.stderr.strip()}")
        return ran.stdout

    def jobs(self, folder: Path | None = None, state: str = "RUNNING") -> dict[str, str]:
        """Return the comments of the jobs in a state (of one working folder) by job number."""
        listed = self.command("squeue", "--noheader", "--format=%A|%k|%Z", f"--states={state}")
        rows = [line.split("|") for line in listed.splitlines()]
        return {row[0]: row[1] for row in rows if folder is None or row[-1] == str(folder)}

    def stop_node(self) -> None:
        """Stop slurmd; the jobs that it started continue."""
        self._stop("slurmd")

    def lose_node(self) -> None:
        """Kill slurmd and its jobs, as a power failure would, and wait until the node is down."""
        self._stop("slurmd", kill=True)
        steps = _processes_named({"slurmstepd"})
        _kill(steps | _descendants(steps))
        _wait(lambda: not _processes_named({"slurmstepd"}), "the jobs did not end")
        # A node that returns before it is down does not report the jobs that it lost.
        _wait(
            lambda: self._node_state() == "down",
            "SLURM does not report the node as down",
            seconds=180,
        )

    def start_node(self) -> None:
        """Start slurmd and wait until the node accepts jobs."""
        self._start("slurmd", "slurmd", "-D", "-N", self.node, "-f", str(self._file("slurm.conf")))
        _wait(lambda: self._node_state() in {"idle", "mix", "alloc"}, "the node accepts no jobs")

    def start(self) -> None:
        """Start all daemons; raise `ClusterError` if one of them fails."""
        for name in ("state", "spool", "log"):
            self._file(name).mkdir()
        self.folder.chmod(0o755)
        self._write_configuration()
        munge = [f"--{key}={self._file(f'munge.{key}')}" for key in ("socket", "pid-file")]
        munge += [f"--key-file={self._file('munge.key')}", f"--seed-file={self._file('seed')}"]
        munge += [f"--log-file={self._file('log') / 'munge.log'}"]
        self._start("munged", "munged", "--foreground", "--force", *munge)
        _wait(self._file("munge.socket").exists, "munged does not answer")
        self._start_accounting()
        self._start("slurmctld", "slurmctld", "-D", "-c", "-f", str(self._file("slurm.conf")))
        self.start_node()

    def stop(self) -> None:
        """Cancel all jobs and stop all daemons."""
        if "slurmctld" in self._daemons:
            with contextlib.suppress(ClusterError, subprocess.TimeoutExpired):
                self.command("scancel", "--user=root", check=False)
                _wait(
                    lambda: not self.jobs(state="RUNNING,COMPLETING"),
                    "jobs are still running",
                    seconds=15,
                )
        steps = _processes_named({"slurmstepd"})
        _kill(steps | _descendants(steps))
        for name in reversed(list(self._daemons)):
            self._stop(name)

    def _file(self, name: str) -> Path:
        return self.folder / name

    def _node_state(self) -> str:
        return self.command("sinfo", "-h", "-o", "%t", "-p", "cpu", check=False).strip().rstrip("*")

    def _start(self, name: str, *arguments: str) -> None:
        """Start a daemon in a new session, so that Ctrl-C reaches the test only."""
        with open(self._file("log") / f"{name}.out", "ab") as log:
            self._daemons[name] = subprocess.Popen(
                arguments, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def _stop(self, name: str, kill: bool = False) -> None:
        daemon = self._daemons.pop(name, None)
        if daemon is None:
            return
        daemon.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def _start_accounting(self) -> None:
        """Start slurmdbd and a MariaDB server that only local processes can reach."""
        database, server_socket = self._file("database"), self._file("database.socket")
        self.command(
            "mariadb-install-db",
            "--no-defaults",
            "--user=root",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            f"--datadir={database}",
        )
        self._start(
            "mariadbd",
            *("mariadbd", "--no-defaults", "--user=root", f"--datadir={database}"),
            *("--bind-address=127.0.0.1", f"--port={self._ports[3]}", f"--socket={server_socket}"),
            *(f"--pid-file={self._file('database.pid')}", "--innodb-buffer-pool-size=64M"),
        )
        client = ("mariadb", "--no-defaults", "--user=root", f"--socket={server_socket}", "-e")
        _wait(lambda: _succeeds(*client, "select 1"), "mariadbd does not answer")
        self.command(
            *client,
            "create database slurm; create user slurm@'%' identified by 'slurm';"
            "create user slurm@localhost identified by 'slurm';"
            "grant all on slurm.* to slurm@'%'; grant all on slurm.* to slurm@localhost",
        )
        self._start("slurmdbd", "slurmdbd", "-D")
        account = ("sacctmgr", "--immediate", "--quiet", "add")
        _wait(
            lambda: _succeeds("sacctmgr", "--noheader", "show", "cluster"),
            "slurmdbd does not answer",
        )
        for arguments in (
            ["cluster", "loop"],
            ["account", "tests"],
            ["user", "root", "account=tests"],
        ):
            self.command(*account, *arguments)

    def _write_configuration(self) -> None:
        (key := self._file("munge.key")).touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        self._file("slurm.conf").write_text(self._slurm_conf())
        devices = [self._file(f"gpu{number}") for number in range(self.gpus)]
        with contextlib.suppress(PermissionError):  # containers may be unable to create devices
            for device in devices:
                os.mknod(device, 0o020666, os.makedev(1, 3))  # the same as /dev/null
        files = f"File={self.folder}/gpu[0-{self.gpus - 1}]"
        declared = files if all(device.exists() for device in devices) else f"Count={self.gpus}"
        shards = _SHARDS_PER_GPU * self.gpus
        self._file("gres.conf").write_text(
            f"NodeName={self.node} Name=gpu {declared}\n"
            f"NodeName={self.node} Name=shard Count={shards}\n"
        )
        conf = self._file("slurmdbd.conf")
        conf.touch(mode=0o600)
        conf.write_text(
            f"AuthType=auth/munge\nAuthInfo=socket={self._file('munge.socket')}\n"
            f"DbdHost=localhost\nDbdAddr=127.0.0.1\nDbdPort={self._ports[2]}\nSlurmUser=root\n"
            f"PidFile={self._file('slurmdbd.pid')}\nLogFile={self._file('log')}/slurmdbd.log\n"
            "StorageType=accounting_storage/mysql\nStorageHost=127.0.0.1\n"
            f"StoragePort={self._ports[3]}\nStorageUser=slurm\nStoragePass=slurm\nStorageLoc=slurm\n"
        )

    def _slurm_conf(self) -> str:
        return (
            f"ClusterName=loop\nSlurmctldHost={self.node}(127.0.0.1)\n"
            f"SlurmctldPort={self._ports[0]}\nSlurmdPort={self._ports[1]}\n"
            "CommunicationParameters=NoCtldInAddrAny,NoInAddrAny\n"
            f"AuthType=auth/munge\n"
            # A requeued job waits until its old credential expires: 120 s by default.
            f"AuthInfo=socket={self._file('munge.socket')},cred_expire=10\n"
            "CredType=cred/munge\nSlurmUser=root\nSlurmdUser=root\n"
            f"StateSaveLocation={self._file('state')}\nSlurmdSpoolDir={self._file('spool')}\n"
            f"SlurmctldPidFile={self._file('slurmctld.pid')}\n"
            f"SlurmdPidFile={self._file('slurmd.pid')}\n"
            f"SlurmctldLogFile={self._file('log')}/slurmctld.log\n"
            f"SlurmdLogFile={self._file('log')}/slurmd.log\n"
            "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n"
            "JobAcctGatherType=jobacct_gather/linux\nJobAcctGatherFrequency=1\n"
            "JobAcctGatherParams=OverMemoryKill\n"  # containers have no control groups
            "AccountingStorageType=accounting_storage/slurmdbd\n"
            f"AccountingStorageHost=127.0.0.1\nAccountingStoragePort={self._ports[2]}\n"
            f"AccountingStoragePass={self._file('munge.socket')}\n"
            "AccountingStorageTRES=gres/gpu\nAccountingStoreFlags=job_comment\n"
            "MpiDefault=none\nSwitchType=switch/none\nSelectType=select/cons_tres\n"
            "SelectTypeParameters=CR_CPU_Memory\nSchedulerType=sched/backfill\n"
            "SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0,bf_interval=1\n"
            "MinJobAge=3600\nInactiveLimit=0\nKillWait=5\nReturnToService=2\nJobRequeue=1\n"
            f"SlurmdTimeout={_NODE_TIMEOUT_SECONDS}\n"
            "SlurmdParameters=config_overrides\nGresTypes=gpu,shard\n"
            f"NodeName={self.node} NodeAddr=127.0.0.1 CPUs={self.cpus} "
            f"RealMemory={self.memory_mb} State=UNKNOWN "
            f"Gres=gpu:{self.gpus},shard:{_SHARDS_PER_GPU * self.gpus}\n"
            f"PartitionName=cpu Nodes={self.node} Default=YES MaxTime=INFINITE State=UP\n"
            f"PartitionName=gpu Nodes={self.node} MaxTime=INFINITE State=UP\n"
        )


@contextlib.contextmanager
def one_node_cluster(cpus: int = 4, memory_mb: int = 32_000, gpus: int = 2) -> Iterator[Cluster]:
    """Start a cluster on the loopback interface in a temporary folder, which is removed at exit.

    The declared CPUs, memory and GPUs need not exist. Raises `ClusterError` with the reason and
    the last lines of the logs if the cluster cannot be started.
    """
    if reason := unavailable_reason():
        raise ClusterError(reason)
    # Not below the test's folder: the path of a socket has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
        cluster = Cluster(Path(folder), cpus, memory_mb, gpus)
        with _linked(cluster.folder):
            try:
                cluster.start()
                yield cluster
            except ClusterError as error:
                logs = [
                    f"{path.name}: {_last_lines(path)}" for path in (Path(folder) / "log").iterdir()
                ]
                raise ClusterError("\n".join([str(error), *sorted(logs)])) from None
            finally:
                cluster.stop()


@contextlib.contextmanager
def _linked(folder: Path) -> Iterator[None]:
    """Link the configuration into SLURM's default folder; restore the former files at exit."""
    created = not CONFIGURATION_FOLDER.exists()
    CONFIGURATION_FOLDER.mkdir(exist_ok=True)
    links = [CONFIGURATION_FOLDER / name for name in ("slurm.conf", "gres.conf", "slurmdbd.conf")]
    slurm_conf = os.environ.pop("SLURM_CONF", None)
    for link in links:
        backup = link.with_name(link.name + _BACKUP_SUFFIX)
        # A killed test leaves its links behind: these are no former configuration.
        if _exists(link) and not _exists(backup) and not _is_link_of_a_test(link):
            link.rename(backup)
        link.unlink(missing_ok=True)
        link.symlink_to(folder / link.name)
    try:
        yield
    finally:
        for link in links:
            link.unlink(missing_ok=True)
            backup = link.with_name(link.name + _BACKUP_SUFFIX)
            if _exists(backup):
                backup.rename(link)
        if created:
            CONFIGURATION_FOLDER.rmdir()
        if slurm_conf is not None:
            os.environ["SLURM_CONF"] = slurm_conf


def _is_link_of_a_test(link: Path) -> bool:
    return link.is_symlink() and link.readlink().parent.name.startswith(_PREFIX)


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _wait(condition: Callable[[], bool], message: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"{message} (waited {seconds:.0f} s)")
        time.sleep(0.1)


def _succeeds(*arguments: str) -> bool:
    return subprocess.run(arguments, capture_output=True, timeout=60).returncode == 0


def _last_lines(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-5:])


def _processes_named(names: set[str]) -> set[int]:
    processes = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            zombie = (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            if (process / "comm").read_text().strip() in names and not zombie:
                processes.add(int(process.name))
    return processes


def processes_with(program: str, folder: Path) -> set[int]:
    """Return the processes that run a Python program of this name in a working folder."""
    processes = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            arguments = (process / "cmdline").read_bytes().split(b"\0")
            matches = len(arguments) > 1 and Path(os.fsdecode(arguments[1])).name == program
            if matches and (process / "cwd").readlink() == folder.resolve():
                processes.add(int(process.name))
    return processes


def _descendants(ancestors: set[int]) -> set[int]:
    parents: dict[int, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            parents[int(process.name)] = int(fields[1])
    descendants: set[int] = set()
    while (
        children := {
            process for process, parent in parents.items() if parent in ancestors | descendants
        }
        - descendants
    ):
        descendants |= children
    return descendants


def _kill(processes: set[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
