"""What a machine or another process does to a run: one clear line, and nothing lost."""
import ctypes
import gzip
import os
import resource
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mxnet
import numpy as np
import pytest

from data import fetch, mnist
from data.loading import load
from tests.processes import ROOT, Run
from tests.test_resume import ROW, networks, train
from training.reporting.statistics import STATISTICS
from training.run import loop
from training.runtime import device
from training.steps import phases
from training.storage import files, run_folder
from training.storage.unfinished import checkpoints_in

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
SMALL = ['--set', 'n_hnodes=64', '--limit', '640']


@pytest.fixture
def where(tmp_path, data_root) -> list[str]:
    return ['--results-root', str(tmp_path), '--data-root', str(data_root), '--ctx', 'cpu']


def begun(run: Run, **options) -> subprocess.Popen:
    """The process of a run that has two checkpoints, or has ended."""
    process = run.start(**options)
    while len([*run.root.glob('*/*.unfinished/checkpoint-*-*')]) < 2 and process.poll() is None:
        time.sleep(0.01)
    return process


def assert_one_line(process: subprocess.Popen, *words: str) -> None:
    """The process ends with status 2, and says one line besides its epochs, with those words."""
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 2, output
    line, = (line for line in output.splitlines() if not line.startswith('epoch '))
    assert line.startswith('error: ') and all(word in line for word in words), line


def limit_files(pid: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (100_000, 100_000))


def limit_memory(pid: int) -> None:
    """To what the process has."""
    status = Path(f'/proc/{pid}/status').read_text()
    used = 1024 * int(status.split('VmSize:')[1].split()[0])
    resource.prlimit(pid, resource.RLIMIT_AS, (used, used))


@pytest.mark.slow
@pytest.mark.parametrize('limit, said', [
    (limit_files, ('File too large', '{root}', 'go on with')),
    (limit_memory, ('not enough memory',))])
def test_full_disk_or_memory_leaves_the_last_checkpoint(tmp_path, data_root, limit, said):
    arguments = [SOLO, *SMALL, '--epochs', '40']
    run = Run(arguments, tmp_path / 'full', data_root)
    process = begun(run)
    limit(process.pid)
    assert_one_line(process, 'checkpoint stays', *(word.format(root=run.root) for word in said))
    assert 'going on after' in run.finish()
    assert run.result() == Run(arguments, tmp_path / 'whole', data_root).whole()


def test_full_disk_when_the_run_is_finished(tmp_path, cli, where, monkeypatch):
    """Every file in turn cannot be written; the run is then finished without training again."""
    write, failing = files.write, ['vae.params', 'disc.params', '3.png', 'strip.png',
                                   'README.md', 'SHA256SUMS']

    def full(path, pieces):
        if failing and path.name == failing[0]:
            raise OSError(28, 'No space left on device', str(path))
        write(path, pieces)
    monkeypatch.setattr(files, 'write', full)
    words = ['run', COMBO, '--epochs', '1', *SMALL, *where]
    while failing:
        status, _, err = cli(words)
        assert status == 2 and f'{failing.pop(0)}: No space left' in err.splitlines()[-1]
        assert not list(tmp_path.glob('*/*/SHA256SUMS'))
    status, out, _ = cli(words)
    assert status == 0 and 'going on after 1 of 1 epochs' in out and 'disc_loss' not in out
    assert cli(['verify', *where])[0] == 0


def test_nets_that_cannot_fit_are_refused_before_training(tmp_path, cli, where):
    status, _, err = cli(['run', SOLO, '--set', 'n_hnodes=1000000', *where])
    assert status == 2 and '5_3_400_bce_50 needs about 7' in err and 'GB are free' in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('megabytes', [
    1300, *(pytest.param(n, marks=pytest.mark.slow) for n in (1100, 1500))])
def test_little_memory_from_the_start_is_one_line(tmp_path, data_root, megabytes):
    limit = megabytes << 20
    run = Run([SOLO, '--set', 'n_hnodes=4000', '--epochs', '1', '--limit', '640'], tmp_path,
              data_root)
    status, err = run.attempt(
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    assert status == 2 and 'Traceback' not in err
    assert 'memory' in err.splitlines()[-1] or ' GB are free' in err.splitlines()[-1]


def bound_by_permissions() -> None:
    """In a new process: no more writing where permissions forbid it, not even as root."""
    drop_from_bounding_set, override_permissions = 24, 1
    ctypes.CDLL(None).prctl(drop_from_bounding_set, override_permissions)


@pytest.mark.parametrize('disturb, said', [
    (lambda folder: folder.rename(folder.with_name('elsewhere')), ['No such file or directory']),
    (lambda folder: folder.chmod(stat.S_IRUSR | stat.S_IXUSR),
     ['Permission denied', 'checkpoint stays'])], ids=['vanished', 'read-only'])
def test_folder_that_cannot_be_written_any_more_is_one_line(tmp_path, data_root, disturb, said):
    run = Run([SOLO, *SMALL, '--epochs', '100'], tmp_path, data_root)
    process = begun(run, preexec_fn=bound_by_permissions)
    disturb(run.unfinished())
    try:
        assert_one_line(process, *said)
    finally:
        folder, = run.root.glob('*/*')
        folder.chmod(stat.S_IRWXU)
    assert len(checkpoints_in(folder)) >= 2


@pytest.mark.parametrize('words, closed, unbuffered, status', [
    *((words, 'stdout', '', 141) for words in ('list', '--help', f'run {SOLO} --dry-run')),
    ('list', 'stdout', '1', 141), ('list', 'both', '', 141), ('strips nothing', 'stdout', '', 2),
    ('strips nothing', 'both', '', 2), ('run', 'both', '', 2)])
def test_reader_that_goes_away_is_no_traceback(words, closed, unbuffered, status):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, '-m', 'training', *words.split()], cwd=ROOT,
                          stdout=writer, stderr=writer if closed == 'both' else subprocess.PIPE,
                          env=os.environ | {'PYTHONUNBUFFERED': unbuffered})
    os.close(writer)
    assert done.returncode == status
    assert closed == 'both' or len(done.stderr.splitlines()) == (status == 2), done.stderr


def test_reader_that_goes_away_leaves_a_run_that_goes_on(tmp_path, data_root):
    run = Run([SOLO, *SMALL, '--epochs', '200'], tmp_path, data_root)
    process = begun(run)
    process.stdout.close()
    assert process.wait() == 141 and checkpoints_in(run.unfinished())


# Divergence


@pytest.mark.parametrize('name, change, term', [
    (SOLO, 'lr=1e10', 'kl'), (SOLO, 'lr=1e38', 'kl'), (COMBO, 'lr=1e10', 'kl'),
    (COMBO, 'disc_weight=1e39', 'not finite'), (COMBO, 'pbp_weight=1e38', 'not finite')])
def test_divergence_names_epoch_batch_and_term(cli, tmp_path, where, name, change, term):
    status, _, err = cli(['run', name, *SMALL, '--epochs', '3', '--set', change, *where])
    last = err.splitlines()[-1]
    assert status == 2 and last.startswith('error: diverged in epoch 0 (')
    assert '1 of 3), batch ' in last and term in last
    folder = next(tmp_path.glob('*/*.unfinished'))
    line = (folder / STATISTICS).read_text().splitlines()[-1]
    assert 'diverged"' in line and ('nan' in line or 'inf' in line)


def test_divergence_keeps_the_last_good_checkpoint(cli, tmp_path, where, monkeypatch):
    words, train = ['run', SOLO, *SMALL, '--epochs', '4', *where], loop.train

    def poisoned(networks, *arguments, **options):
        for record in train(networks, *arguments, **options):
            yield record
            if record['epoch'] == 1:
                networks.arrays()['vae/encoder.0.weight'][0, 0] = np.nan
    with monkeypatch.context() as patched:
        patched.setattr(loop, 'train', poisoned)
        status, _, err = cli(words)
    assert status == 2 and 'diverged in epoch 2 (solo, 3 of 4), batch 1' in err
    folder = next(tmp_path.glob('*/*.unfinished'))
    assert [p.name for p in checkpoints_in(folder)] == [
        'checkpoint-000001-000000.safetensors', 'checkpoint-000002-000000.safetensors']
    assert [line.split(',')[1] for line in (folder / STATISTICS).read_text().splitlines()
            ] == ['phase', 'solo', 'solo', '"solo']
    status, out, _ = cli(words)
    assert status == 0 and 'going on after 2 of 4 epochs' in out


@pytest.mark.parametrize('whose', ['vae', 'vae.mean', 'vae.variance'])
def test_value_that_no_loss_shows_is_found_by_name(whose):
    nets = networks()

    def poison(phase, progress, n_batches):
        if progress.batch == n_batches and len(progress.records) == 1:
            nets.arrays()[f'{whose}/encoder.0.weight'][0, 0] = np.inf
    with pytest.raises(phases.Diverged,
                       match=rf'epoch 1 .*2 of 4\).*{whose}/encoder.0.weight not finite'):
        train(nets, ROW, on_batch=poison)


# Others


def test_second_run_is_refused_while_the_first_lives(tmp_path, cli, where):
    folder = tmp_path / 'DenseVAE_on_MNIST/mine.unfinished'
    folder.mkdir(parents=True)
    words = ['run', SOLO, *SMALL, '--epochs', '1', '--name', 'mine', *where]
    with files.lock(folder / run_folder.LOCK):
        status, _, err = cli(words)
    assert status == 2 and err.splitlines()[-1] == (
        f'error: {folder}: in use by another run of this experiment, process {os.getpid()}')
    assert cli(words)[0] == 0


def test_lock_taken_away_is_taken_anew(tmp_path):
    with files.lock(tmp_path / 'lock'):
        (tmp_path / 'lock').unlink()
        second = files.lock(tmp_path / 'lock')
    with pytest.raises(files.LockError):
        files.lock(tmp_path / 'lock')
    second.close()
    files.lock(tmp_path / 'lock').close()


def test_runs_begun_at_once_share_a_first_download(data_root, monkeypatch):
    """An empty cache, one mirror that is slow."""
    served = []

    def download(name, mirrors, expected, folder):
        served.append(name)
        time.sleep(0.1)
        content = (data_root / name.removesuffix('.gz')).read_bytes()
        (folder / name).write_bytes(gzip.compress(content))
    monkeypatch.setattr(fetch, 'download', download)
    with ThreadPoolExecutor(2) as pool:
        loaded = [*pool.map(load, ['MNIST', 'MNIST'])]
    assert served == [f'{name}.gz' for name in mnist.FILES]  # each once: the second one waits
    assert [len(dataset.train) for dataset in loaded] == [3200, 3200]


@pytest.mark.parametrize('limit, used, report, no_limit', [
    ('memory.max', 'memory.current', 'active_file 7\ninactive_file 1500000\n', 'max'),
    ('memory/memory.limit_in_bytes', 'memory/memory.usage_in_bytes',
     'inactive_file 9\ntotal_inactive_file 1500000\n', 2 ** 63 - 4096)],
    ids=['cgroup 2', 'cgroup 1'])
def test_files_in_a_containers_memory_make_room(tmp_path, monkeypatch, limit, used, report,
                                                no_limit):
    folder = (tmp_path / limit).parent
    folder.mkdir(exist_ok=True)
    for path, content in ((tmp_path / limit, '2000000'), (tmp_path / used, '1900000'),
                          (folder / 'memory.stat', report)):
        path.write_text(content)
    monkeypatch.setattr(device, 'CGROUP', tmp_path)
    assert device.free_bytes(mxnet.cpu()) == 1_600_000
    (tmp_path / limit).write_text(f'{no_limit}\n')
    assert device.free_bytes(mxnet.cpu()) > 1_600_000


def test_memory_that_nothing_tells_of_is_no_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(device, 'CGROUP', tmp_path)
    monkeypatch.setattr(device, 'Path', lambda path: tmp_path / path.lstrip('/'))
    assert device.free_bytes(mxnet.cpu()) == float('inf')
    (tmp_path / 'proc').mkdir()
    (tmp_path / 'proc/meminfo').write_text('MemTotal: 5 kB\n')  # as of old kernels
    assert device.free_bytes(mxnet.cpu()) == float('inf')
