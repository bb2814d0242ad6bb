"""Jobs of several workers on MXNet's parameter server: they go on, and they end."""
import functools
import os
import re
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mxnet import cpu

from data.images import Images
from tests.jobs import run_job
from tests.processes import ROOT, Job, python
from tests.test_models import shape_of, shrunk
from training.commands.wiring import build_nets
from training.experiments.registry import EXPERIMENTS
from training.run import loop
from training.runtime import launch
from training.steps import phases
from training.steps.networks import make_networks
from training.storage import checkpoints
from training.storage.unfinished import checkpoints_in

COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
A, B = 'VAEGAN_on_adult/A_2048_100_lr2', 'VAEGAN_on_MNIST/B_20_50'
CONV = 'ConvVAE_ConvDisc_LeakyReLU_on_anime/512_32_32_200_10_seeded'


def small(name: str, **changes):
    row = shrunk(EXPERIMENTS[name])
    epochs = {field: min(1, getattr(row, field)) for field in ('solo_epochs', 'combo_epochs')
              if field in row.fields()}
    return replace(row, batch_size=8, **epochs | changes)


ROWS = {
    'solo': small('DenseVAE_on_MNIST/5_3_400_bce_50', solo_epochs=3, kl_warmup=3, mirror='yes'),
    'stopped early': small('ConvVAE_on_anime/512_32_200_seeded', solo_epochs=9, stop_after=1,
                           lr=0.05),
    'published': small(COMBO, solo_epochs=1, combo_epochs=2, pbp_decay=0.5, decay_interval=2),
    'shared': small(COMBO, combo_epochs=3, step='shared', max_disc_loss=1.38),
    'conv': small(CONV, combo_epochs=3),
    'GAN': small('ConvDecoder_ResNet_on_anime/512_32_200', combo_epochs=2, disc='ConvDisc',
                 disc_base_channels=2),
    'A': small(A, combo_epochs=3, n_validation=8, schedule='lr4'),
    'B': small(B, combo_epochs=2),
    'B as published': small('VAEGAN_on_MNIST/B_20_50_as_published', combo_epochs=2),
    'the paper': small('VAEGAN_on_MNIST/paper_5_3_400_1_200_50', combo_epochs=2,
                       optimizer='rmsprop'),
}
N_IMAGES = 19  # batches of 8, 8 and 3


def trained(row, monkeypatch, ranks, folder, go_on: bool = False) -> list[tuple]:
    """Each worker's records and arrays in the end; the first one writes a checkpoint an epoch."""
    shape, rng = shape_of(row), np.random.default_rng(2)
    images = Images(rng.integers(0, 256, (N_IMAGES, *shape[1:], shape[0]), np.uint8), 'transpose')
    nets = {}

    def work(workers):
        vae, disc, features = build_nets(row, shape)
        networks = make_networks(row, vae, disc, shape, [cpu()], workers, features)
        nets[workers.rank] = networks
        progress = phases.Progress()
        if go_on and workers.rank == 0:
            progress = checkpoints.last(folder, networks, row, N_IMAGES)
        progress = checkpoints.share(workers, networks, progress, row)
        for _ in loop.train(networks, images, images, row, [cpu()], progress, workers=workers):
            if workers.rank == 0 and not go_on:
                checkpoints.save(folder, networks, progress)
        return ([{k: v for k, v in record.items() if k != 'seconds'}
                 for record in progress.records],
                {name: array.asnumpy() for name, array in networks.arrays().items()})
    return run_job(monkeypatch, work, ranks)


@pytest.mark.parametrize('row, n_workers', [
    *(pytest.param(row, 2, id=name) for name, row in ROWS.items()),
    *(pytest.param(ROWS[name], 3, id=f'{name} on three') for name in ('published', 'B'))])
def test_a_job_that_goes_on_ends_as_one_undisturbed(row, n_workers, tmp_path, monkeypatch):
    whole = trained(row, monkeypatch, range(n_workers), tmp_path)
    *_, last = checkpoints_in(tmp_path)
    last.unlink()  # of the finished run
    again = trained(row, monkeypatch, range(n_workers)[::-1], tmp_path, go_on=True)
    for (records, arrays), (ours, theirs) in zip(whole, again, strict=True):
        assert records == ours == whole[0][0]
        assert arrays.keys() == theirs.keys()
        for name, values in arrays.items():
            if 'running' not in name or arrays is whole[0][1]:
                assert values.tobytes() == theirs[name].tobytes(), name
                assert 'running' in name or (values == whole[0][1][name]).all()


# The launcher, with shell scripts in place of the processes of a job


def runs(number: str) -> bool:
    try:
        return 'Z' != Path(f'/proc/{number}/stat').read_text().rpartition(')')[2].split()[0]
    except OSError:
        return False


@pytest.fixture
def launched(cli, tmp_path, monkeypatch):
    """A job whose processes do what a line of shell says, by their role."""
    def run(*options: str, worker: str, other: str = 'exec sleep 60') -> tuple[int, str, str]:
        script = tmp_path / 'python'
        script.write_text(f'#!/bin/sh\necho $$ >> {tmp_path}/started\n'
                          f'if [ $DMLC_ROLE = worker ]; then {worker}; else {other}; fi\n')
        script.chmod(0o755)
        monkeypatch.setattr(launch.sys, 'executable', str(script))
        return cli(['launch', *options, 'run', COMBO])
    yield run
    started, deadline = (tmp_path / 'started').read_text().split(), time.monotonic() + 2
    while any(map(runs, started)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(runs, started))


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """In place of ssh: runs its last argument here, and keeps the host."""
    program = tmp_path / 'bin' / 'ssh'
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nfor last; do host=$command; command=$last; done\n'
                       f'echo $host >> {tmp_path}/hosts\n'
                       '[ $host = localhost ] || { echo "ssh: no $host" >&2; exit 255; }\n'
                       'cd /; sh -c "$command"\n')
    program.chmod(0o755)
    monkeypatch.setenv('PATH', f'{program.parent}:{os.environ["PATH"]}')
    return program


def test_a_job_is_done_when_its_workers_are(launched):
    assert launched('--workers', '3', '--servers', '2', worker='echo said >&2') == (
        0, '', 3 * 'said\n')


@pytest.mark.parametrize('n_workers', [1, 3])
def test_workers_that_fail_end_the_job_with_one_line(launched, n_workers):
    begun = time.monotonic()
    status, out, err = launched('--workers', str(n_workers), worker=(
        "trap '' TERM; echo 'error: no room: full' >&2; echo on >&2; exit 2"))
    assert status == 2 and not out and set(err.splitlines()[:-1]) == {'on'}
    assert re.fullmatch(r'error: worker \d: no room: full; the job was ended',
                        err.splitlines()[-1])
    assert time.monotonic() - begun < launch.GRACE_SECONDS


@pytest.mark.parametrize('role, says, how', [('worker', 'kill -9 $$', 'signal SIGKILL'),
                                             ('scheduler', 'kill -11 $$', 'signal SIGSEGV'),
                                             ('worker', 'exit 3', 'exit status 3')])
def test_a_process_that_ends_without_a_word_is_named(launched, role, says, how):
    dies = f'[ $DMLC_ROLE = {role} ] && {says}; exec sleep 60'
    status, out, err = launched(worker=dies, other=dies)
    assert (status, out) == (2, '')
    assert err in [f'error: {role} {i} ended with {how}; the job was ended\n' for i in range(2)]


def test_processes_that_do_not_listen_are_killed(launched, monkeypatch):
    monkeypatch.setattr(launch, 'GRACE_SECONDS', 0.3)
    status, _, err = launched(worker='sleep 0.2; exit 3',
                              other="trap '' TERM; sleep 60 & wait; sleep 60")
    assert status == 2 and err.startswith('error: worker ')


def test_a_process_on_another_host_says_why(launched, ssh, tmp_path):
    status, out, err = launched('--hosts', 'localhost', worker='echo said; '
                                'echo "error: no room" >&2; exit 2')
    assert status == 2 and set(out.split()) == {'said'}
    assert re.fullmatch(r'error: worker \d on localhost: no room; the job was ended\n', err)
    assert set((tmp_path / 'hosts').read_text().split()) == {'localhost'}


def test_a_host_that_cannot_be_reached_is_one_line(launched, ssh):
    assert launched(
        '--hosts', 'localhost,127.0.0.1', '--workers', '3', worker='exec sleep 60') == (
        2, '', 'error: worker 1 on 127.0.0.1: ssh: no 127.0.0.1; the job was ended\n')


@pytest.mark.parametrize('hosts', [(), ('--hosts', 'localhost')])
def test_processes_stand_where_the_user_does_and_know_the_command(launched, ssh, tmp_path,
                                                                  monkeypatch, hosts):
    (tmp_path / 'my folder').mkdir()
    monkeypatch.chdir(tmp_path / 'my folder')
    options = '--workers', '1', *hosts
    status, out, err = launched(*options, worker='pwd >&2; echo $VAEGAN_COMMAND >&2')
    assert status == 0 and (out + err).splitlines() == [
        str(tmp_path / 'my folder'), f'python -m training launch {" ".join(options)} run {COMBO}']


def test_a_users_modules_are_not_taken_for_the_projects(tmp_path):
    for name in ('training', 'data', 'models'):
        (tmp_path / f'{name}.py').write_text('1 / 0')
    done = python('-c', launch.START, 'list', '--match', COMBO, cwd=tmp_path)
    assert done.returncode == 0 and COMBO in done.stdout, done.stderr


def test_hosts_may_be_this_machine_and_others(monkeypatch):
    addresses = {'localhost': '127.0.0.1', 'bob': '10.0.0.1'}
    monkeypatch.setattr(launch, '_own_address', addresses.get)
    for hosts, address in ((['localhost', 'bob'], '10.0.0.1'), (['bob', 'localhost'], '10.0.0.1'),
                           (['localhost'], '127.0.0.1'), ([], '127.0.0.1')):
        environment = launch._environment(2, 1, hosts)
        assert environment['DMLC_PS_ROOT_URI'] == address
        assert ('DMLC_INTERFACE' in environment) == (address == '127.0.0.1')


def test_a_job_that_only_shows_its_row_starts_none(cli, monkeypatch):
    monkeypatch.setattr(launch, 'launch', None)
    status, out, _ = cli(['launch', 'run', COMBO, '--dry-run'])
    assert status == 0 and out == cli(['run', COMBO, '--dry-run'])[1]


# Real jobs


REAL = [COMBO, '--epochs', '2+4', '--set', 'n_hnodes=16', '--set', 'batch_size=160']


def assert_one_line(process, *words: str) -> None:
    """The job ends within seconds with status 2 and one line that has those words."""
    begun = time.monotonic()
    output = process.communicate(timeout=60)[0]
    assert time.monotonic() - begun < 30 and process.returncode == 2, output
    errors = [line for line in output.splitlines() if line.startswith('error: ')]
    assert errors == output.splitlines()[-1:], output
    assert all(word in errors[0] for word in words), output


@pytest.fixture(scope='session')
def whole_jobs(tmp_path_factory, data_root):
    """What undisturbed jobs leave, by the number of workers."""
    return functools.cache(lambda n_workers: Job(
        REAL, tmp_path_factory.mktemp('whole'), data_root, n_workers).whole())


@pytest.mark.slow
@pytest.mark.parametrize('role, n_workers, epoch', [
    *((role, 2, epoch) for role in ('worker', 'server', 'scheduler') for epoch in (None, 3)),
    ('worker', 3, 3)])
def test_a_job_that_lost_a_process_ends_and_goes_on(role, n_workers, epoch, tmp_path, data_root,
                                                    whole_jobs):
    job = Job(REAL, tmp_path / 'job', data_root, n_workers)
    if epoch is None:  # while they look for each other
        process = subprocess.Popen(job.command, cwd=ROOT, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        while len(job.processes()) < 2 + n_workers:
            time.sleep(0.01)
    else:
        process = job.begun(epoch)
    os.kill(job.processes(role)[-1], signal.SIGKILL)
    assert_one_line(process, f'{role} ', 'SIGKILL', 'the job was ended')
    assert not job.processes()
    output = job.finish()
    assert epoch is None or 'going on after ' in output
    assert job.result() == whole_jobs(n_workers)


@pytest.mark.slow
def test_a_job_that_was_stopped_goes_on(tmp_path, data_root, whole_jobs):
    job = Job(REAL, tmp_path / 'job', data_root)
    process = job.begun(2)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0].splitlines()[-1] == 'interrupted'
    assert process.returncode == 143 and not job.processes()
    assert 'going on after ' in job.finish()
    assert job.result() == whole_jobs(2)


@pytest.mark.slow
def test_a_worker_that_raises_ends_the_job(tmp_path, data_root):
    """An error of ours in one of them, which the others wait for."""
    (first := tmp_path / 'first').touch()
    (tmp_path / 'sitecustomize.py').write_text(
        'import json, os\n'
        'loads = json.loads\n'
        'def raising(text):\n'
        '    if "DMLC_ROLE" not in os.environ or text[:2] != b"[[":\n'
        '        return loads(text)\n'
        '    try:\n'
        f'        os.remove("{first}")\n'
        '    except FileNotFoundError:\n'  # another worker was the first
        '        return loads(text)\n'
        '    raise KeyError("phase")\n'
        'json.loads = raising\n')
    job = Job(REAL, tmp_path / 'job', data_root, 3)
    process = job.start(env=os.environ | {'PYTHONPATH': str(tmp_path)})
    assert_one_line(process, 'worker ', 'ended with exit status 1')
    assert not job.processes()


@pytest.mark.slow
def test_workers_on_hosts_go_on(tmp_path, data_root, ssh, whole_jobs):
    job = Job(REAL, tmp_path / 'job', data_root, 2, '--hosts', 'localhost')
    process = job.begun(2)
    os.kill(job.processes('worker')[-1], signal.SIGKILL)
    assert_one_line(process, 'worker ', ' on localhost ended with ')
    job.finish()
    # Two workers and a server, twice
    assert (tmp_path / 'hosts').read_text().split() == ['localhost'] * 6
    ours, theirs = job.result(), whole_jobs(2)
    assert ours['vae.params'] == theirs['vae.params']
    assert ours['statistics'] == theirs['statistics']
