"""What a machine or another process does to a run: one clear line, and nothing lost."""
import ctypes
import os
import resource
import shutil
import stat
import subprocess
import sys
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from data import fetch
from tests.processes import ROOT, Run
from training.reporting.statistics import STATISTICS
from training.run import loop
from training.steps import phases
from training.storage import files, run_folder
from training.storage.unfinished import checkpoints_in

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
SMALL = ['--set', 'n_hnodes=64', '--limit', '640']


def checkpoints_of(run: Run) -> list[Path]:
    return checkpoints_in(next(run.root.glob('*/*.unfinished')))


def wait_for_checkpoints(run: Run, n: int = 2) -> None:
    while not any(run.root.glob('*/*.unfinished')) or len(checkpoints_of(run)) < n:
        time.sleep(0.01)


def assert_one_line(process: subprocess.Popen, *words: str) -> None:
    """The process ends with status 2 and one line that has those words."""
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 2, output
    assert 'Traceback' not in output
    errors = [line for line in output.splitlines() if not line.startswith('epoch ')]
    assert len(errors) == 1 and errors[0].startswith('error: '), output
    for word in words:
        assert word in errors[0]


def assert_goes_on(run: Run, tmp_path: Path, arguments: list[str], data_root: Path) -> None:
    """What the run left can be finished, and is then as if nothing had been."""
    assert 'going on after' in run.finish()
    whole = Run(arguments, tmp_path / 'whole', data_root)
    whole.finish()
    assert run.result() == whole.result()


@pytest.mark.slow
def test_full_disk_leaves_the_last_checkpoint(tmp_path, data_root):
    arguments = [SOLO, *SMALL, '--epochs', '40']
    run = Run(arguments, tmp_path / 'full', data_root)
    process = run.start()
    wait_for_checkpoints(run)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
    assert_one_line(process, 'File too large', str(run.root), 'checkpoint stays', 'go on with')
    assert_goes_on(run, tmp_path, arguments, data_root)


def test_full_disk_when_the_run_is_finished(tmp_path, data_root, cli, monkeypatch):
    """Every file in turn cannot be written; the run is then finished without training again."""
    where = ['--results-root', str(tmp_path), '--data-root', str(data_root), '--ctx', 'cpu']
    write, failing = files.write, ['vae.params', 'disc.params', '3.png', 'strip.png',
                                   'README.md', 'SHA256SUMS']

    def full(path, pieces):
        if failing and path.name == failing[0]:
            raise OSError(28, 'No space left on device', str(path))
        write(path, pieces)
    monkeypatch.setattr(files, 'write', full)
    while failing:
        status, out, err = cli(['run', COMBO, '--epochs', '1', *SMALL, *where])
        assert status == 2 and f'{failing.pop(0)}: No space left' in err.splitlines()[-1]
        assert not list(tmp_path.glob('*/*/SHA256SUMS'))
    status, out, err = cli(['run', COMBO, '--epochs', '1', *SMALL, *where])
    assert status == 0 and 'going on after 1 of 1 epochs' in out and 'disc_loss' not in out
    assert cli(['verify', *where])[0] == 0


@pytest.mark.slow
def test_no_memory_leaves_the_last_checkpoint(tmp_path, data_root):
    arguments = [SOLO, *SMALL, '--epochs', '40']
    run = Run(arguments, tmp_path / 'full', data_root)
    process = run.start()
    wait_for_checkpoints(run)
    status = Path(f'/proc/{process.pid}/status').read_text()
    used = 1024 * int(status.split('VmSize:')[1].split()[0])
    resource.prlimit(process.pid, resource.RLIMIT_AS, (used, used))
    assert_one_line(process, 'not enough memory', 'checkpoint stays')
    assert_goes_on(run, tmp_path, arguments, data_root)


def test_nets_that_cannot_fit_are_refused_before_training(tmp_path, data_root, cli):
    status, _, err = cli(['run', SOLO, '--set', 'n_hnodes=1000000', '--results-root',
                          str(tmp_path), '--data-root', str(data_root), '--ctx', 'cpu'])
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


def test_vanished_folder_is_one_line(tmp_path, data_root):
    run = Run([SOLO, *SMALL, '--epochs', '60'], tmp_path, data_root)
    process = run.start()
    wait_for_checkpoints(run)
    shutil.move(next(run.root.glob('*/*.unfinished')), tmp_path / 'elsewhere')
    assert_one_line(process, 'No such file or directory')
    assert len(checkpoints_in(tmp_path / 'elsewhere')) == 2


def bound_by_permissions() -> None:
    """In a new process: no more writing where permissions forbid it, not even as root."""
    drop_from_bounding_set, override_permissions = 24, 1
    ctypes.CDLL(None).prctl(drop_from_bounding_set, override_permissions)


def test_read_only_folder_is_one_line(tmp_path, data_root):
    run = Run([SOLO, *SMALL, '--epochs', '100'], tmp_path / 'results', data_root)
    process = run.start(preexec_fn=bound_by_permissions)
    wait_for_checkpoints(run)
    folder = next(run.root.glob('*/*.unfinished'))
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert_one_line(process, 'Permission denied', 'checkpoint stays')
    finally:
        folder.chmod(stat.S_IRWXU)
    assert checkpoints_of(run)


@pytest.mark.parametrize('words, closed, unbuffered', [
    *((words, 'stdout', '') for words in (
        'list', 'list --json', '--help', 'study claim --markdown', f'run {SOLO} --dry-run',
        f'verify {SOLO} --ctx cpu', 'strips nothing')),
    ('list', 'stdout', '1'), ('list', 'both', ''), ('run', 'both', ''), ('strips no', 'both', '')])
def test_reader_that_goes_away_is_no_traceback(words, closed, unbuffered):
    is_error = words in ('run', 'strips nothing', 'strips no')
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, '-m', 'training', *words.split()], cwd=ROOT,
                          stdout=writer, stderr=writer if closed == 'both' else subprocess.PIPE,
                          env=os.environ | {'PYTHONUNBUFFERED': unbuffered})
    os.close(writer)
    assert done.returncode == (2 if is_error else 141)
    if closed == 'stdout':
        lines = [line for line in done.stderr.decode().splitlines()
                 if not line.startswith('data: ')]
        assert len(lines) == is_error, lines


def test_reader_that_goes_away_leaves_a_run_that_goes_on(tmp_path, data_root):
    run = Run([SOLO, *SMALL, '--epochs', '200'], tmp_path, data_root)
    process = run.start()
    wait_for_checkpoints(run)
    process.stdout.close()
    assert process.wait() == 141 and checkpoints_of(run)


# Divergence


@pytest.mark.parametrize('name, change, term', [
    (SOLO, 'lr=1e10', 'kl'), (SOLO, 'lr=1e38', 'kl'), (COMBO, 'lr=1e10', 'kl'),
    (COMBO, 'disc_weight=1e39', 'not finite'), (COMBO, 'pbp_weight=1e38', 'not finite')])
def test_divergence_names_epoch_batch_and_term(cli, tmp_path, data_root, name, change, term):
    status, _, err = cli(['run', name, *SMALL, '--epochs', '3', '--set', change,
                          '--results-root', str(tmp_path), '--data-root', str(data_root)])
    last = err.splitlines()[-1]
    assert status == 2 and 'diverged in epoch 0 (' in last and '1 of 3), batch ' in last
    assert term in last
    folder = next(tmp_path.glob('*/*.unfinished'))
    line = (folder / STATISTICS).read_text().splitlines()[-1]
    assert 'diverged"' in line and ('nan' in line or 'inf' in line)


def test_divergence_keeps_the_last_good_checkpoint(cli, tmp_path, data_root, monkeypatch):
    where = ['--results-root', str(tmp_path), '--data-root', str(data_root)]
    train = loop.train

    def poisoned(networks, *arguments, **options):
        for record in train(networks, *arguments, **options):
            yield record
            if record['epoch'] == 1:
                networks.arrays()['vae/encoder.0.weight'][0, 0] = np.nan
    monkeypatch.setattr(loop, 'train', poisoned)
    status, _, err = cli(['run', SOLO, *SMALL, '--epochs', '4', *where])
    assert status == 2 and 'diverged in epoch 2 (solo, 3 of 4), batch 1' in err
    folder = next(tmp_path.glob('*/*.unfinished'))
    assert [p.name for p in checkpoints_in(folder)] == [
        'checkpoint-000001-000000.safetensors', 'checkpoint-000002-000000.safetensors']
    assert [line.split(',')[1] for line in (folder / STATISTICS).read_text().splitlines()
            ] == ['phase', 'solo', 'solo', '"solo']
    monkeypatch.setattr(loop, 'train', train)
    status, out, err = cli(['run', SOLO, *SMALL, '--epochs', '4', *where])
    assert status == 0 and 'going on after 2 of 4 epochs' in out


@pytest.mark.parametrize('whose', ['vae', 'vae.mean', 'vae.variance'])
def test_value_that_no_loss_shows_is_found_by_name(whose):
    from tests.test_resume import ROW, networks, train
    nets = networks()

    def poison(phase, progress, n_batches):
        if progress.batch == n_batches and len(progress.records) == 1:
            nets.arrays()[f'{whose}/encoder.0.weight'][0, 0] = np.inf
    with pytest.raises(phases.Diverged,
                       match=rf'epoch 1 .*2 of 4\).*{whose}/encoder.0.weight not finite'):
        train(nets, ROW, on_batch=poison)


# Others


@pytest.mark.slow
def test_second_run_is_refused_while_the_first_lives(tmp_path, data_root):
    run = Run([SOLO, *SMALL, '--epochs', '200'], tmp_path, data_root)
    process = run.start()
    status, err = run.attempt()
    last = err.splitlines()[-1]
    assert status == 2 and last.startswith('error: ')
    assert f'in use by another run of this experiment, process {process.pid}' in last
    assert process.poll() is None
    process.kill()  # a dead process holds nothing
    process.wait()
    again = run.start()
    assert again.poll() is None
    again.kill()
    again.communicate()


def test_lock_taken_away_is_taken_anew(tmp_path):
    first = files.lock(tmp_path / 'lock')
    with pytest.raises(files.LockError, match=f'process {os.getpid()}'):
        files.lock(tmp_path / 'lock')
    (tmp_path / 'lock').unlink()
    second = files.lock(tmp_path / 'lock')
    first.close()
    with pytest.raises(files.LockError):
        files.lock(tmp_path / 'lock')
    second.close()
    files.lock(tmp_path / 'lock').close()


@pytest.mark.slow
def test_runs_begun_at_once_share_a_first_download(tmp_path, data_root, monkeypatch):
    """Two experiments, an empty cache, one mirror that is slow."""
    served = []

    class Slow(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=data_root / 'mirror')

        def do_GET(self):
            served.append(self.path)
            time.sleep(0.3)
            super().do_GET()

        def log_message(self, *_):
            pass

    import gzip

    from data import mnist
    (data_root / 'mirror').mkdir(exist_ok=True)
    for name in mnist.FILES:
        content = gzip.compress((data_root / name).read_bytes(), mtime=0)
        (data_root / 'mirror' / f'{name}.gz').write_bytes(content)
    digests = {name: fetch.sha256(data_root / 'mirror' / f'{name}.gz') for name in mnist.FILES}
    server = ThreadingHTTPServer(('127.0.0.1', 0), Slow)
    Thread(target=server.serve_forever, daemon=True).start()
    program = (f'import sys, data.mnist as m; m.FILES.update({digests}); '
               f'm.MIRRORS = ("http://127.0.0.1:{server.server_port}/",); '
               'from training.__main__ import main; sys.exit(main(sys.argv[1:]))')
    environment = {k: v for k, v in os.environ.items() if k != 'VAEGAN_DATA'}
    environment['XDG_CACHE_HOME'] = str(tmp_path / 'cache')
    environment['NUMBA_CACHE_DIR'] = str(tmp_path / 'numba')
    processes = [subprocess.Popen(
        [sys.executable, '-c', program, 'run', name, *SMALL, '--epochs', '1', '--results-root',
         str(tmp_path / 'results')], cwd=ROOT, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True) for name in (SOLO, COMBO)]
    outputs = [process.communicate()[0] for process in processes]
    server.shutdown()
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert len(served) == len(mnist.FILES)  # each once: the second run waits for the first
    assert sorted(p.name for p in (tmp_path / 'cache/vaegan/mnist').iterdir()
                  if not p.name.startswith('.')) == sorted(f'{n}.gz' for n in mnist.FILES)
    assert len(run_folder.finished_runs(tmp_path / 'results')) == 2


def test_files_in_a_containers_memory_make_room(tmp_path, monkeypatch):
    import mxnet

    from training.runtime import device
    for name, content in (('memory.max', '2000000'), ('memory.current', '1900000'),
                          ('memory.stat', 'active_file 7\ninactive_file 1500000\n')):
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(device, 'CGROUP', tmp_path)
    assert device.free_bytes(mxnet.cpu()) == 1_600_000
    (tmp_path / 'memory.max').write_text('max\n')
    assert device.free_bytes(mxnet.cpu()) > 1_600_000
