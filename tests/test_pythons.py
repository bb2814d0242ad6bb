"""Pythons: which one `make` takes, with what, and that all of them give the same bits."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models import mxnet_import
from tests.conftest import write_mnist
from tests.processes import ROOT, Run, project_of_links

SCRIPT = 'training/runtime/environment.sh'
TOOLS = 'sh', 'uname', 'rm', 'rmdir', 'mkdir', 'chmod', 'tail', 'cp', 'ln'
# Pythons and uv that do nothing but say so. They install a package by leaving its name behind
PYTHON = '''#!/bin/sh
case "$*" in
    *version_info*) echo "$0"; exit {unfit} ;;
    *platform*) echo "is Python 3.9.2" ;;
    *ensurepip*) exit {incomplete} ;;
    *libgomp*) [ -z "$MISSING" ] || {{ echo "$MISSING is missing"; exit 1; }} ;;
    "-m venv "*) mkdir -p "$3/bin"; ln -sf "$0" "$3/bin/python"; echo {name} > .venv/made-by ;;
    *" uv") cp "$SPARE_UV" .venv/uv/bin/uv ;;
    "-m pip "*) echo "$*" > .venv/installed; [ "$ONLINE" ] || {{ echo "none found"; exit 1; }} ;;
esac
'''
UV = '''#!/bin/sh
echo "$UV_NO_CACHE $UV_PYTHON_INSTALL_DIR" >> uv-places
[ "$UV_WORKS" ] || exit 1
case "$1" in
    venv) mkdir -p .venv/bin; echo "uv $*" > .venv/made-by; { echo "#!/bin/sh"
        echo '[ -z "$MISSING" ] || { echo "$MISSING is missing"; exit 1; }'; } > .venv/bin/python
        chmod +x .venv/bin/python ;;
    pip) echo "$*" > .venv/installed ;;
esac
'''
FITS, INCOMPLETE, UNFIT = (0, 0), (0, 1), (1, 0)


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def script(folder: Path, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(['sh', ROOT / SCRIPT, 'requirements.txt'], cwd=folder,
                          capture_output=True, text=True, env=environment)


def environment(folder: Path, pythons: dict, uv: bool = False, **variables) -> tuple[int, str]:
    """Exit status and stderr of the script, where these Pythons are all there is."""
    (folder / 'bin').mkdir()
    for tool in TOOLS:
        (folder / 'bin' / tool).symlink_to(shutil.which(tool))
    for name, (unfit, incomplete) in pythons.items():
        program(folder / 'bin' / name,
                PYTHON.format(name=name, unfit=unfit, incomplete=incomplete))
    program(folder / ('bin/uv' if uv else 'spare_uv'), UV)
    done = script(folder, **{'PATH': str(folder / 'bin'), 'SPARE_UV': 'spare_uv', 'ONLINE': 'yes',
                             'UV_WORKS': 'yes', 'HOME': str(folder)} | variables)
    return done.returncode, done.stderr


@pytest.mark.parametrize('pythons, uv, works, maker', [
    ({'python3.13': FITS, 'python3.11': FITS, 'python3': FITS}, False, 'yes', 'python3.11'),
    ({'python3.12': FITS, 'python3.10': INCOMPLETE, 'python3': UNFIT}, False, 'yes', 'python3.12'),
    ({'python3.11': UNFIT, 'python3': FITS}, False, 'yes', 'python3'),
    ({'python3.12': FITS}, True, '', 'python3.12'),
    ({}, True, 'yes', ' --python 3.11 .venv'),
    ({'python3': UNFIT}, True, 'yes', ' --python 3.11 .venv'),
    ({'python3': UNFIT}, False, 'yes', ' --python 3.11 .venv'),
    ({'python3.12': INCOMPLETE}, True, 'yes', '/bin/python3.12 .venv'),
    ({'python3.10': INCOMPLETE, 'python3.12': FITS}, True, 'yes', '/bin/python3.12 .venv'),
], ids=str)
def test_uv_makes_it_or_the_first_python_that_fits_and_is_complete(tmp_path, pythons, uv, works,
                                                                   maker):
    assert environment(tmp_path, pythons, uv=uv, UV_WORKS=works) == (0, '')
    made_by, installed = ((tmp_path / '.venv' / name).read_text().strip()
                          for name in ('made-by', 'installed'))
    assert made_by.startswith('uv venv ') and made_by.endswith(maker) or made_by == maker
    assert '--no-deps' in installed and '--requirement requirements.txt' in installed


@pytest.mark.parametrize('home', ['', '/nonexistent'])
def test_uv_keeps_nothing_in_a_home_that_is_not_there(tmp_path, home):
    assert environment(tmp_path, {}, uv=True, HOME=home) == (0, '')
    assert (tmp_path / 'uv-places').read_text() == f'1 {tmp_path}/.venv/python\n' * 2


@pytest.mark.parametrize('pythons, variables, message', [
    ({}, {}, 'no Python 3.10 to 3.13 is here'),
    ({'python3': UNFIT}, {'UV_WORKS': ''}, 'could one be downloaded: install one with its venv'),
    ({'python3': INCOMPLETE}, {'UV_WORKS': '', 'ONLINE': ''},
     'python3 cannot make environments: install its venv (Debian, Ubuntu: apt install python3'),
    ({'python3': FITS}, {'ONLINE': ''}, 'requirements.txt could not be installed: none found'),
    ({'python3': FITS, 'python3.9': UNFIT}, {'PYTHON': 'python3.9'},
     'needs Python 3.10 to 3.13; python3.9 is Python 3.9.2 (make PYTHON='),
    ({'python3': FITS}, {'PYTHON': 'python3.12'}, 'python3.12 cannot be run (make PYTHON='),
], ids=str)
def test_what_is_missing_is_one_line(tmp_path, pythons, variables, message):
    status, err = environment(tmp_path, pythons, **variables)
    line, = err.splitlines()
    assert status == 2 and line.startswith('error: ') and message in line


@pytest.mark.parametrize('pythons', [{}, {'python3': FITS}, {'python3': UNFIT}], ids=str)
def test_library_that_is_missing_is_one_line_before_anything_is_installed(tmp_path, pythons):
    status, err = environment(tmp_path, pythons, uv=True, MISSING='libgomp.so.1')
    line, = err.splitlines()
    assert status == 2 and 'libgomp.so.1 is missing' in line
    assert not (tmp_path / '.venv' / 'installed').exists()
    assert (tmp_path / '.venv').exists() == (not pythons)


def test_libraries_that_mxnet_needs_are_looked_for(tmp_path):
    """As Python's own loader finds them, or not; nothing else stands in for it."""
    (tmp_path / 'ctypes.py').write_text('def CDLL(name):\n'
                                        '    if "quadmath" in name: raise OSError')
    (tmp_path / '.venv').mkdir()
    done = script(tmp_path, **os.environ | {'PYTHONPATH': str(tmp_path), 'PYTHON': sys.executable})
    assert done.returncode == 2 and done.stderr == (
        'error: libquadmath.so.0 is missing, which MXNet needs: install it (Debian, Ubuntu: '
        'apt install libgomp1 libquadmath0)\n')
    assert not [*(tmp_path / '.venv').iterdir()]


@pytest.mark.parametrize('kind', ['folder', 'link', 'file'])
def test_environment_of_another_is_left_alone(tmp_path, kind):
    place = tmp_path / '.venv'
    if kind == 'link':
        (tmp_path / 'elsewhere').mkdir()
        place.symlink_to('elsewhere')
    elif kind == 'folder':
        place.mkdir()
    kept = place if kind == 'file' else place / 'pyvenv.cfg'
    kept.write_text('home = /usr/bin')
    status, err = environment(tmp_path, {'python3': FITS})
    line, = err.splitlines()
    assert status == 2 and "not of make's making: move it away" in line
    assert kept.read_text() == 'home = /usr/bin' and place.is_symlink() == (kind == 'link')


def test_environment_that_make_made_is_made_anew_and_that_is_said(tmp_path):
    assert environment(tmp_path, {'python3': FITS}) == (0, '')
    (tmp_path / '.venv' / 'old').touch()
    done = script(tmp_path, PATH=str(tmp_path / 'bin'), ONLINE='yes')
    assert done.returncode == 0 and not (tmp_path / '.venv' / 'old').exists()
    assert done.stdout == ('installing requirements.txt into .venv, which takes a minute or '
                           'more ..\n')


def test_names_are_numpys_only_while_mxnet_is_imported(monkeypatch):
    """And those that it has stay its own."""
    before, own = set(vars(np)), np.mean
    monkeypatch.setitem(mxnet_import.REMOVED, 'vaegan_name', 3)
    monkeypatch.setitem(mxnet_import.REMOVED, 'mean', None)
    with pytest.raises(KeyError), mxnet_import.removed_names():
        assert np.vaegan_name == 3 and np.PZERO == 0 and np.mean is own
        raise KeyError
    assert set(vars(np)) == before and np.mean is own


@pytest.mark.slow
@pytest.mark.parametrize('python', ['python3.10', 'python3.11', 'python3.12', 'python3.13'])
def test_every_python_gives_the_same_bits(tmp_path, data_root, python):
    """In an environment that `make` makes, in a folder with a space.

    VAEGAN_PYTHONS may name folders with more Pythons, as PATH does.
    """
    folders = [*os.environ.get('VAEGAN_PYTHONS', '').split(':'), *os.get_exec_path()]
    found = [path for folder in folders if (path := shutil.which(python, path=folder))
             and subprocess.run([path, '-c', ''], capture_output=True).returncode == 0]
    if not found or python == f'python3.{sys.version_info.minor}':
        pytest.skip(f'no {python}, or it is this one')
    project = project_of_links(tmp_path, 'Makefile', 'requirements.txt')
    subprocess.run(['make', '.venv/bin/vaegan', 'DRIVER=', f'PYTHON={found[0]}'], cwd=project,
                   check=True)
    write_mnist(tmp_path, n_train=1280, n_test=200)  # several batches are held out, too
    for data, arguments in [
            (tmp_path, ['DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50']),
            (data_root, ['ConvVAE_ResNet_on_anime/512_32_200_10_1', '--limit', '64', '--set',
                         'vae_base_channels=2', '--set', 'disc_base_channels=4'])]:
        results = []
        for which in ('ours', 'theirs'):
            run = Run([*arguments, '--epochs', '1'], tmp_path / data.name / which, data)
            if which == 'theirs':
                run.command[:3] = [str(project / '.venv' / 'bin' / 'vaegan')]
            run.finish()
            results.append(run.result())
        first, second = (json.loads(one.pop('config.json'))['versions'] for one in results)
        assert first['python'] != second['python']
        assert len(results[0]) >= 14 and results[0] == results[1]
