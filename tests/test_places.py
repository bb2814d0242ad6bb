"""Places that a run works in: homes, closed streams, odd names, caches of several users."""
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from data import DataError, fetch
from data.loading import load
from tests.processes import ROOT, python
from tests.test_survival import bound_by_permissions
from training.runtime import process

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
SMALL = ['--epochs', '1', '--limit', '64', '--set', 'n_hnodes=8', '--ctx', 'cpu']


def done(*words, **options) -> subprocess.CompletedProcess:
    """A command in a process of its own."""
    return subprocess.run([sys.executable, '-m', 'training', *words], cwd=ROOT,
                          **{'capture_output': True, 'text': True} | options)


def test_home_in_an_option_is_expanded(cli, tmp_path, mnist_root, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'digits').symlink_to(mnist_root)
    status, _, err = cli(['run', SOLO, *SMALL, '--results-root=~/out', '--tensorboard=~/tb',
                          '--data-root=~/digits'])
    assert status == 0, err
    assert len([*tmp_path.glob('out/*/*/config.json')]) == 1 and (tmp_path / 'tb').is_dir()
    assert not (ROOT / '~').exists()


def test_machine_without_a_home_is_one_line(monkeypatch):
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setattr(Path, 'home', lambda: (_ for _ in ()).throw(RuntimeError('no home')))
    with pytest.raises(DataError, match='XDG_CACHE_HOME names another place'):
        load('MNIST')


@pytest.mark.parametrize('home', [
    None, pytest.param('/proc/none', marks=pytest.mark.slow)])
def test_commands_draw_without_a_home_and_whatever_backend_is_named(tmp_path, mnist_root,
                                                                    monkeypatch, home):
    """As from a notebook's cell, or in a container for a user without a name."""
    places = ['--results-root', str(tmp_path), '--data-root', str(mnist_root), '--ctx', 'cpu']
    lines = [['run', SOLO, *SMALL, *places]] + [
        [command, '--match', '*', *places] for command in ('explore', 'evaluate')]
    nameless = '' if home else 'import pwd; del pwd.getpwuid; pwd.getpwuid = {}.__getitem__\n'
    for name in ('HOME', 'XDG_CACHE_HOME', 'XDG_CONFIG_HOME', 'MPLCONFIGDIR'):
        monkeypatch.delenv(name, raising=False)
    run = python('-c', f'{nameless}import sys\nfrom training.__main__ import main\n'
                       f'for line in {lines!r}:\n    assert main(line) == 0\n'
                       'assert "matplotlib.pyplot" not in sys.modules',
                 MPLBACKEND='module://matplotlib_inline.backend_inline',
                 **({'HOME': home} if home else {}))
    assert run.returncode == 0, run.stderr
    assert 'atplotlib' not in run.stderr and 'Traceback' not in run.stderr
    assert len([*tmp_path.glob('*/*/explore_samples.png')]) == 1


@pytest.mark.parametrize('command', [
    ['evaluate', SOLO], ['run', SOLO, *SMALL, '--force'], ['study'],
    ['damage'], ['time', '--steps', '1']], ids=lambda command: command[0])
def test_results_that_may_not_be_written_are_refused_before_the_work(tmp_path, mnist_root,
                                                                     command):
    run = shutil.copytree(ROOT / 'results' / 'images' / SOLO, tmp_path / 'results' / SOLO)
    data = ['--data-root', str(mnist_root)] * (command[0] != 'time')
    folders = run, run.parent, run.parent.parent
    for folder in folders:
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    refused = done(*command, '--results-root', str(tmp_path / 'results'), *data,
                   preexec_fn=bound_by_permissions)
    for folder in folders[::-1]:
        folder.chmod(stat.S_IRWXU)
    *data_lines, line = refused.stderr.splitlines()
    assert refused.returncode == 2 and line.startswith(f'error: {tmp_path}/results')
    hint = '; --results-root names another folder' * (command[0] != 'evaluate')
    assert line.endswith(f': Permission denied{hint}')
    assert len(data_lines) == 2 * (command[0] == 'run')


@pytest.mark.parametrize('command', [
    ['reconstruct', SOLO, 'none.png', '--out', 'DIR/new'], ['sample', SOLO, '--out', 'DIR/new'],
    ['interpolate', SOLO, 'a.png', 'b.png', '--out', 'DIR/way.gif'],
    ['encode', SOLO, 'none.png', '--out', 'DIR/new/z.npz'],
    ['export', SOLO, '--format', 'safetensors', '--out', 'DIR/vae.safetensors']],
    ids=lambda command: command[0])
def test_place_that_may_not_be_written_is_refused_before_pictures_are_read(tmp_path, command):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    refused = done(*(word.replace('DIR', str(tmp_path)) for word in command),
                   preexec_fn=bound_by_permissions)
    tmp_path.chmod(stat.S_IRWXU)
    assert refused.returncode == 2 and not [*tmp_path.iterdir()]
    assert refused.stderr == f'error: {tmp_path}: Permission denied\n'


@pytest.mark.parametrize('mask, mode', [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_of_the_cache_are_open_to_whom_the_user_lets_in(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        with fetch.atomic_write(tmp_path / 'file') as file:
            file.write(b'x')
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / 'file').stat().st_mode) == mode


@pytest.mark.parametrize('closed', [
    '>&- 2>&- <&-',
    *(pytest.param(one, marks=pytest.mark.slow) for one in ('>&-', '2>&-', '<&-'))])
def test_run_with_closed_streams_is_whole(cli, tmp_path, mnist_root, closed):
    command = [sys.executable, '-m', 'training', 'run', SOLO, *SMALL, '--results-root',
               str(tmp_path), '--data-root', str(mnist_root)]
    run = subprocess.run(['sh', '-c', f'exec "$@" {closed}', 'sh', *command], cwd=ROOT,
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    folder, = (path.parent for path in tmp_path.rglob('config.json'))
    assert (folder / 'vae.params').exists() and 'Traceback' not in run.stderr
    status, out, _ = cli(['verify', '--results-root', str(tmp_path), '--data-root',
                          str(mnist_root), '--ctx', 'cpu'])
    assert status == 0, out


@pytest.mark.parametrize('encoding', [
    'ascii:strict', pytest.param('utf-8:strict', marks=pytest.mark.slow)])
def test_name_that_no_terminal_can_show_ends_well(tmp_path, mnist_root, encoding):
    results = os.fsencode(tmp_path) + b'/r\xff\xc3\xa9'
    run = done('run', SOLO, *SMALL, '--data-root', str(mnist_root), '--results-root', results,
               text=False, env=os.environ | {'PYTHONIOENCODING': encoding})
    assert run.returncode == 0 and b'Traceback' not in run.stderr, run.stderr
    assert run.stdout.splitlines()[-1].startswith(os.fsencode(tmp_path))


def test_kernels_are_kept_where_that_is_possible(tmp_path, monkeypatch):
    assert process.kernels_place() is None  # beside their source
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    steps = str(ROOT / 'training' / 'steps')
    monkeypatch.setattr(os, 'access', lambda path, mode: not str(path).startswith(steps))
    assert process.kernels_place() == tmp_path / 'vaegan' / 'numba'
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
    place = process.kernels_place()
    assert place.is_dir() and not place.is_relative_to(tmp_path)
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    assert process.kernels_place() != place


def test_commands_that_write_nothing_need_no_place_to_write(tmp_path):
    """Neither a home, nor a folder for temporary files, nor that in which the user stands."""
    code = ('import sys, tempfile\n'
            'def refuse(**options): raise FileNotFoundError(2, "No usable temporary directory")\n'
            'tempfile.mkdtemp = refuse\n'
            'from training.__main__ import main\nsys.exit(main(["list", "--match", "*_l2_50"]))')
    stood = tmp_path / 'stood'
    stood.mkdir()
    listed = subprocess.run(
        ['sh', '-c', 'cd "$0" && rmdir "$0" && exec "$@"', stood, sys.executable, '-c', code],
        capture_output=True, text=True, env=os.environ | {
            'HOME': '/proc/none', 'XDG_CACHE_HOME': '/proc/none', 'PYTHONPATH': str(ROOT)})
    assert listed.returncode == 0 and '28.58' in listed.stdout, listed.stderr
