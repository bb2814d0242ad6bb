"""Start the processes of a job on MXNet's parameter server, and end them all if one fails."""
import contextlib
import ctypes
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import IO

ROLE = 'DMLC_ROLE'
COMMAND = 'VAEGAN_COMMAND'  # that started a job, for its processes to name
SAYS_WHY = 'error: ', 'ssh: '  # begin the line in which a process, or ssh, says why it ends
PASSED_ON = ('OMP_NUM_THREADS', 'VAEGAN_DATA')  # to other machines
ROOT = Path(__file__).resolve().parents[2]  # of the project
# In the user's folder, whose own modules of such names are not meant
START = (f'import runpy, sys; sys.path[:] = [{str(ROOT)!r}, *filter(None, sys.path)]; '
         "runpy.run_module('training', run_name='__main__', alter_sys=True)")
PRCTL = ctypes.CDLL(None).prctl  # looked up now: a new process of one with threads may not
PR_SET_PDEATHSIG = 1
POLL_SECONDS, GRACE_SECONDS = 0.2, 5.0


class LaunchError(ValueError):
    """A job that could not start, or whose process failed; the message is for the user."""


def launch(command: list[str], n_workers: int, n_servers: int, hosts: list[str],
           command_line: str) -> None:
    """Run `python -m training <command>` as one scheduler, servers and workers, in this folder.

    hosts: machines that take the workers and servers in turn, reached by ssh, with the project
    and this folder at the same paths; none: all of them here. command_line: of all this, for the
    user. Returns when all workers are done. LaunchError if a process fails: then the others have
    been ended.
    """
    environment = _environment(n_workers, n_servers, hosts) | {COMMAND: command_line}
    roles = [('scheduler', 0)] + [('server', i) for i in range(n_servers)] + [
        ('worker', i) for i in range(n_workers)]
    processes = []
    try:
        for role, number in roles:
            host = hosts[number % len(hosts)] if hosts and role != 'scheduler' else None
            processes.append(_Process(
                f'{role} {number}' + (f' on {host}' if host else ''),
                [sys.executable, '-c', START, *command], environment | {ROLE: role}, host))
        _wait(processes, processes[-n_workers:])
    finally:
        _end(processes)


def _environment(n_workers: int, n_servers: int, hosts: list[str]) -> dict[str, str]:
    """Return what ps-lite reads, and what else matters; on one machine workers share cores."""
    with socket.socket() as probe:
        probe.bind(('', 0))
        port = probe.getsockname()[1]
    environment = {'DMLC_NUM_WORKER': str(n_workers), 'DMLC_NUM_SERVER': str(n_servers),
                   'DMLC_PS_ROOT_PORT': str(port), 'PYTHONUNBUFFERED': '1'}
    addresses = [_own_address(host) for host in hosts] or ['127.0.0.1']
    # This machine may be one of the hosts; the others do not reach it by its loopback address
    address = next((one for one in addresses if not one.startswith('127.')), addresses[0])
    environment['DMLC_PS_ROOT_URI'] = address
    if address.startswith('127.'):
        environment['DMLC_INTERFACE'] = 'lo'
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    if not hosts:
        share = max(1, len(os.sched_getaffinity(0)) // n_workers)
        passed_on.setdefault('OMP_NUM_THREADS', str(share))
    return environment | passed_on


def _own_address(host: str) -> str:
    """Return this machine's address as a host sees it."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host.rpartition('@')[2], 9))
            return probe.getsockname()[0]
    except OSError as error:
        raise LaunchError(f'--hosts {host}: {error.strerror}') from None


class _Process:
    """A process of a job: what it says is passed on, but for why it ends, which is kept."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str],
                 host: str | None):
        self.name, self.reason = name, None
        # A bar where there would be one
        said, ours = os.openpty() if sys.stderr.isatty() else os.pipe()
        options = {'start_new_session': True, 'preexec_fn': _die_with_parent, 'stderr': ours}
        if host is None:
            self.popen = subprocess.Popen(command, env=os.environ | environment, **options)
        else:
            self.popen = subprocess.Popen(_by_ssh(command, environment, host), stdout=ours,
                                          stdin=subprocess.DEVNULL, **options)
        os.close(ours)
        lines = open(said, errors='surrogateescape', newline='')
        self.passing_on = Thread(target=self._pass_on, daemon=True,
                                 args=(lines, sys.stdout if host else sys.stderr))
        self.passing_on.start()

    def _pass_on(self, lines: IO[str], stream: IO[str]) -> None:
        with contextlib.suppress(OSError), lines:  # a terminal's end is an error
            for line in lines:
                if line.startswith(SAYS_WHY):
                    self.reason = line.removeprefix(SAYS_WHY[0]).strip()
                else:
                    stream.write(line)
                    stream.flush()


def _by_ssh(command: list[str], environment: dict[str, str], host: str) -> list[str]:
    settings = ' '.join(f'{name}={shlex.quote(value)}' for name, value in environment.items())
    # A terminal of its own: when ssh ends, so does what it started. ssh ends, too, when the host
    # is not heard of for 15 seconds
    return ['ssh', '-tt', '-o', 'BatchMode=yes', '-o', 'ServerAliveInterval=5', host,
            f'cd {shlex.quote(os.getcwd())} && {settings} {shlex.join(command)}']


def _die_with_parent() -> None:
    """Ask Linux to send this new process SIGTERM when the launcher is gone, however it ended."""
    PRCTL(PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait(processes: list[_Process], workers: list[_Process]) -> None:
    """Return when all workers are done; LaunchError if a process fails."""
    while None in [worker.popen.poll() for worker in workers]:
        time.sleep(POLL_SECONDS)
        _check(processes)
    _check(processes)


def _check(processes: list[_Process]) -> None:
    failed = [process for process in processes if process.popen.poll()]
    for process in failed:
        process.passing_on.join(GRACE_SECONDS)
    for process in sorted(failed, key=lambda process: process.reason is None):
        raise LaunchError(f'{process.name}' + (
            f': {process.reason}' if process.reason else
            f' ended with {_status(process.popen.returncode)}') + '; the job was ended')


def _status(code: int) -> str:
    return f'signal {signal.Signals(-code).name}' if code < 0 else f'exit status {code}'


def _end(processes: list[_Process]) -> None:
    for process in processes:
        if process.popen.poll() is None:
            os.killpg(process.popen.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    for process in processes:
        try:
            process.popen.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.popen.pid, signal.SIGKILL)
            process.popen.wait()
        process.passing_on.join(max(0, deadline - time.monotonic()))
