"""Start the processes of a job on MXNet's parameter server, and end them all if one fails."""
import ctypes
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROLE = 'DMLC_ROLE'
PASSED_ON = ('OMP_NUM_THREADS', 'VAEGAN_DATA')  # to other machines
ROOT = Path(__file__).resolve().parents[2]  # of the project: where `-m training` is found
PR_SET_PDEATHSIG = 1
POLL_SECONDS, GRACE_SECONDS = 0.2, 5.0


class LaunchError(ValueError):
    """A job that could not start, or whose process failed; the message is for the user."""


def launch(command: list[str], n_workers: int, n_servers: int, hosts: list[str]) -> None:
    """Run `python -m training <command>` as one scheduler, servers and workers.

    hosts: machines that take the workers and servers in turn, reached by ssh, with the project
    at the same path; none: all of them here. Returns when all are done. LaunchError if one
    fails: then the others have been ended.
    """
    environment = _environment(n_workers, n_servers, hosts)
    roles = [('scheduler', 0)] + [('server', i) for i in range(n_servers)] + [
        ('worker', i) for i in range(n_workers)]
    processes = {}
    try:
        for role, number in roles:
            host = hosts[number % len(hosts)] if hosts and role != 'scheduler' else None
            processes[f'{role} {number}' + (f' on {host}' if host else '')] = _start(
                [sys.executable, '-m', 'training', *command], environment | {ROLE: role}, host)
        _wait(processes)
    finally:
        _end(processes.values())


def _environment(n_workers: int, n_servers: int, hosts: list[str]) -> dict[str, str]:
    """Return what ps-lite reads, and what else matters; on one machine workers share cores."""
    with socket.socket() as probe:
        probe.bind(('', 0))
        port = probe.getsockname()[1]
    environment = {'DMLC_NUM_WORKER': str(n_workers), 'DMLC_NUM_SERVER': str(n_servers),
                   'DMLC_PS_ROOT_PORT': str(port), 'PYTHONUNBUFFERED': '1'}
    address = _own_address(hosts[0]) if hosts else '127.0.0.1'
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


def _start(command: list[str], environment: dict[str, str], host: str | None):
    options = {'start_new_session': True, 'preexec_fn': _die_with_parent}
    if host is None:
        return subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, **options)
    settings = ' '.join(f'{name}={shlex.quote(value)}' for name, value in environment.items())
    # A terminal of its own: when ssh ends, so does what it started
    return subprocess.Popen(['ssh', '-tt', '-o', 'BatchMode=yes', host,
                             f'cd {shlex.quote(str(ROOT))} && {settings} {shlex.join(command)}'],
                            stdin=subprocess.DEVNULL, **options)


def _die_with_parent() -> None:
    """Ask Linux to send this new process SIGTERM when the launcher is gone, however it ended."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait(processes: dict[str, subprocess.Popen]) -> None:
    running = True
    while running:
        time.sleep(POLL_SECONDS)
        states = {name: process.poll() for name, process in processes.items()}
        for name, code in states.items():
            if code:
                raise LaunchError(f'{name} ended with {_status(code)}; the job was ended')
        running = None in states.values()


def _status(code: int) -> str:
    return f'signal {signal.Signals(-code).name}' if code < 0 else f'exit status {code}'


def _end(processes) -> None:
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    for process in processes:
        try:
            process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
