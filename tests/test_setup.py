"""Requirements, the choice of device, and what is said where something is missing."""
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import mxnet
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.processes import LAST_WORDS, ROOT, Run, project_of_links, python, talking_to_the_end
from tests.test_pythons import SCRIPT, program
from training.commands.parser import COMMANDS
from training.runtime import device, process

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'


def requirements(name: str) -> list[Requirement]:
    """What a file lists."""
    lines = (line.split('#')[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def pins(name: str, version: str = f'3.{sys.version_info.minor}') -> dict[str, str]:
    """The version of each package that a file pins for a Python."""
    here = [one for one in requirements(name)
            if not one.marker or one.marker.evaluate({'python_version': version})]
    assert len({one.name for one in here}) == len(here)
    return {one.name: str(one.specifier).removeprefix('==') for one in here}


@pytest.mark.parametrize('version', ['3.10', '3.11', '3.12', '3.13'])
def test_both_requirement_files_are_in_step(version):
    cpu, cuda = pins('requirements.txt', version), pins('requirements-cu112.txt', version)
    assert cpu.pop('mxnet') == cuda.pop('mxnet-cu112') == '1.9.1'
    assert {k: v for k, v in cuda.items() if not k.startswith('nvidia-')} == cpu
    assert all(re.fullmatch(r'[0-9.]+(post\d+)?', pinned) for pinned in cpu.values())


def test_extras_leave_what_is_pinned_as_it_is():
    browser, export = pins('tests/requirements-browser.txt'), pins(
        'training/requirements-export.txt')
    assert not (browser.keys() | export.keys()) & pins('requirements.txt').keys()
    assert all(browser[name] == export[name] for name in browser.keys() & export.keys())


def test_what_is_pinned_is_installed_and_pinned_with_all_it_needs():
    pinned = {canonicalize_name(name): of for name, of in pins('requirements.txt').items()}
    for name in pinned.keys() - {'mxnet'}:
        assert metadata.version(name) == pinned[name]
        for need in map(Requirement, metadata.requires(name) or []):
            if not need.marker or need.marker.evaluate({'extra': ''}):
                assert canonicalize_name(need.name) in pinned, need


@pytest.fixture
def gpus(monkeypatch):
    """Pretends that the machine has these gpus, and MXNet's CUDA build."""
    def pretend(*capabilities, cuda_build=True):
        monkeypatch.setattr(device, 'compute_capabilities', lambda: list(capabilities))
        monkeypatch.setattr(mxnet.runtime.Features, 'is_enabled', lambda *_: cuda_build)
    return pretend


@pytest.mark.parametrize('spec, expected', [
    ('auto', mxnet.gpu(0)), ('gpu', mxnet.gpu(0)), ('gpu:1', mxnet.gpu(1)), ('cpu', mxnet.cpu())])
def test_usable_gpu_is_used(gpus, spec, expected):
    gpus((7, 5), (8, 9))
    assert device.resolve(spec) == expected


@pytest.mark.parametrize('capabilities', [[], [(3, 7)], [(9, 0)], [(12, 0)]], ids=str)
def test_gpu_without_code_is_passed_over_aloud_and_none_in_silence(gpus, capsys, capabilities):
    gpus(*capabilities)
    assert device.resolve('auto') == mxnet.cpu()
    said = capsys.readouterr().err
    assert 'running on the CPU' in said if capabilities else said == ''
    with pytest.raises(device.DeviceError,
                       match='compute capability' if capabilities else 'no NVIDIA GPU'):
        device.resolve('gpu')


@pytest.mark.parametrize('spec, cuda_build, message', [
    ('gpu:0', False, 'CPU build'), ('gpu:2', True, 'there are 2 GPUs'),
    *((spec, True, 'expected auto') for spec in ('tpu', 'gpu:x', 'gpu:-1', ''))])
def test_device_that_is_not_there_is_refused(gpus, spec, cuda_build, message):
    gpus((8, 0), (8, 0), cuda_build=cuda_build)
    with pytest.raises(device.DeviceError, match=message):
        device.resolve(spec)


AGAIN = 'pip install --no-deps -r requirements.txt'
SYSTEM = 'Debian, Ubuntu: apt install libgomp1 libquadmath0'


@pytest.mark.parametrize('build', ['mxnet', 'mxnet_cu112'])
@pytest.mark.parametrize('failure, words, remedy', [
    ("OSError('libcuda.so.1: cannot open shared object file')", 'libcuda.so.1', AGAIN),
    ("OSError('libgomp.so.1: cannot open shared object file')", 'libgomp.so.1', SYSTEM),
    ("OSError('libquadmath.so.0: cannot open shared object file')", 'libquadmath.so.0', SYSTEM),
    ("AttributeError('PZERO')", 'NumPy', AGAIN), ("ModuleNotFoundError('mxnet')", 'mxnet', AGAIN)])
def test_mxnet_that_cannot_be_imported_is_one_clear_line(tmp_path, failure, words, remedy, build):
    (tmp_path / f'{build}-1.9.1.dist-info').mkdir()
    (tmp_path / f'{build}-1.9.1.dist-info' / 'METADATA').write_text(
        f'Metadata-Version: 2.1\nName: {build}\nVersion: 1.9.1\n')
    (tmp_path / 'mxnet.py').write_text(f'raise {failure}\n')
    done = python('-m', 'training', 'run', SOLO, '--results-root', str(tmp_path), cwd=tmp_path,
                  PYTHONPATH=f'{tmp_path}:{ROOT}')
    line, = done.stderr.splitlines()
    assert done.returncode == 2 and words in line and remedy in line
    assert (remedy == AGAIN) == ('pip' in line)
    assert ('NVIDIA driver' in line) == ('libcuda' in failure and 'cu' in build)


@pytest.mark.parametrize('arguments, status, n_lines', [
    (['list'], 0, 0), (['run', 'no/such'], 2, 1)])
def test_our_line_is_the_last(tmp_path, arguments, status, n_lines):
    environment = talking_to_the_end(tmp_path)
    assert python('-c', '', **environment).stderr == f'{LAST_WORDS}\n'
    done = python('-m', 'training', *arguments, **environment)
    assert done.returncode == status
    assert len(done.stderr.splitlines()) == n_lines and LAST_WORDS not in done.stderr


@pytest.mark.skipif(not shutil.which('gcc'), reason='no C compiler')
def test_libraries_are_loaded_in_the_order_they_need(tmp_path):
    from models import mxnet_import as cuda
    (tmp_path / 'b.c').write_text('int vaegan_b(void) { return 3; }')
    (tmp_path / 'a.c').write_text('int vaegan_b(void); int vaegan_a(void) { return vaegan_b(); }')
    for words in ('b.c -o libz_b.so -Wl,-soname,libz_b.so', 'a.c -o liba_a.so -L. -lz_b'):
        subprocess.run(['gcc', '-shared', '-fPIC', *words.split()], cwd=tmp_path, check=True)
    assert not cuda.load(tmp_path / 'liba_a.so')
    cuda.load_all([tmp_path])
    assert cuda.load(tmp_path / 'liba_a.so')


needs_make = pytest.mark.skipif(not shutil.which('make'), reason='no make')


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    for name in ('Makefile', 'requirements.txt', 'requirements-cu112.txt', SCRIPT):
        if not (folder / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return subprocess.run(['make', *arguments], cwd=folder, capture_output=True, text=True)


@needs_make
@pytest.mark.parametrize('driver, file', [('', 'requirements.txt'),
                                          ('yes', 'requirements-cu112.txt')])
def test_make_installs_the_build_for_the_machine(tmp_path, driver, file):
    done = make(tmp_path, '--dry-run', 'run', f'DRIVER={driver}')
    assert f'{SCRIPT} {file}\n' in done.stdout
    assert '.venv/bin/python -m training demo' in done.stdout


@needs_make
def test_make_refuses_another_python(tmp_path):
    other = tmp_path / 'python3.9'
    program(other, f'#!/bin/sh\nexec {sys.executable} -c "import platform, sys\n'
                   'platform.python_version = lambda: str(3.9)\n'
                   'sys.version_info = 3, 9\nexec(sys.argv[2])" "$@"\n')
    done = make(tmp_path, 'test', f'PYTHON={other}')
    line, = (line for line in done.stderr.splitlines() if not line.startswith('make'))
    assert f'needs Python 3.10 to 3.13; {other} is Python 3.9 ' in line
    assert done.returncode == 2 and not (tmp_path / '.venv').exists()


@needs_make
def test_command_works_from_any_folder(tmp_path):
    project, elsewhere = project_of_links(tmp_path), tmp_path / 'elsewhere'
    (elsewhere / 'data').mkdir(parents=True)
    (elsewhere / 'data' / '__init__.py').write_text('1 / 0')
    (project / '.venv' / 'bin').mkdir(parents=True)
    program(project / '.venv' / 'bin' / 'python', f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (project / '.venv' / 'ready-requirements.txt').touch()
    done = make(project, '.venv/bin/vaegan', 'DRIVER=', '--old-file=requirements.txt')
    assert done.returncode == 0, done.stderr
    done = subprocess.run([project / '.venv' / 'bin' / 'vaegan', 'list', '--match', SOLO],
                          cwd=elsewhere, capture_output=True, text=True)
    assert done.returncode == 0 and SOLO in done.stdout, done.stderr


def test_copy_of_the_project_is_refused_in_one_line():
    pytest.importorskip('setuptools')
    for hook in ('build_wheel', 'build_sdist'):
        done = python('-c', f'import from_checkout as b; b.{hook}("x")',
                      cwd=ROOT / 'training' / 'runtime')
        line, = done.stderr.splitlines()
        assert done.returncode == 1 and 'pip install -e .' in line


@pytest.mark.slow
def test_pip_makes_the_command_in_an_environment_of_the_users(tmp_path):
    project = project_of_links(tmp_path, 'pyproject.toml', 'requirements.txt')
    theirs = tmp_path / 'venv' / 'bin' / 'python'
    subprocess.run([sys.executable, '-m', 'venv', tmp_path / 'venv'], check=True)
    pip = [theirs, '-m', 'pip', 'install', '--no-deps']
    done = subprocess.run([*pip, '.'], cwd=project, capture_output=True, text=True)
    assert done.returncode != 0 and 'used from its checkout' in done.stdout + done.stderr
    subprocess.run([*pip, '--editable', '.'], cwd=project, check=True)
    needs = subprocess.run([theirs, '-c', 'from importlib.metadata import requires; '
                            'print(*requires("vaegan"), sep="\\n")'], capture_output=True,
                           text=True).stdout.splitlines()
    assert {Requirement(need).name for need in needs} == {
        one.name for one in requirements('requirements.txt')}
    ours = next(path for path in sys.path if path.endswith('site-packages'))
    (tmp_path / 'mine' / 'data').mkdir(parents=True)
    for command in ([theirs.with_name('vaegan')], [theirs, '-m', 'training']):
        done = subprocess.run([*command, 'list', '--match', '*_bce_50'], cwd=tmp_path / 'mine',
                              capture_output=True, text=True,
                              env=os.environ | {'PYTHONPATH': ours})
        assert done.returncode == 0 and 'published 108.19' in done.stdout, done.stderr


def test_another_python_is_refused_in_one_line(tmp_path):
    """By an ImportError in a notebook's process, which has a script, too."""
    unfit, cell = 'import sys; sys.version_info = (3, 9, 2)\n', tmp_path / 'cell.py'
    cell.write_text(f'{unfit}import training\n')
    command = ['-c', f'{unfit}import runpy; runpy.run_module("training")']
    for words, status, kind in ((command, 2, 'error'), ([str(cell)], 1, 'ImportError')):
        done = python(*words, PYTHONPATH=str(ROOT))
        *before, line = done.stderr.splitlines()
        assert done.returncode == status and bool(before) == (kind == 'ImportError')
        assert re.fullmatch(f'{kind}: this project needs Python 3.10 to 3.13 .*; this is Python '
                            '3.9', line)


def test_engine_of_gpus_gives_the_same_bits(tmp_path, data_root):
    """There operators run behind Python's back, and kernels have to wait for them."""
    results = []
    for engine in ('NaiveEngine', 'ThreadedEnginePerDevice'):
        run = Run(['DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50', '--epochs', '1', '--limit',
                   '1280'], tmp_path / engine, data_root)
        run.finish(env=os.environ | {'MXNET_ENGINE_TYPE': engine})
        results.append(run.result())
        assert results[-1].pop('config.json')  # it names the folder
    assert len(results[0]) >= 14 and results[0] == results[1]


@pytest.mark.parametrize('files, expected', [
    ({}, 8), ({'cpu.max': 'max 100000\n'}, 8), ({'cpu.max': '150000 100000\n'}, 2),
    ({'cpu.max': '4000000 100000\n'}, 8),
    ({'cpu/cpu.cfs_quota_us': '300000\n', 'cpu/cpu.cfs_period_us': '100000\n'}, 3),
    ({'cpu/cpu.cfs_quota_us': '-1\n', 'cpu/cpu.cfs_period_us': '100000\n'}, 8)], ids=str)
def test_threads_follow_the_limit_of_a_container(tmp_path, monkeypatch, files, expected):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(process, 'CGROUP', tmp_path)
    monkeypatch.setattr(process, 'physical_cores', lambda: 8)
    assert process.cores() == expected


@pytest.mark.parametrize('text', ['0', '-2', '', '1.5'])
def test_number_of_threads_that_is_none_is_one_line(tmp_path, data_root, text):
    run = Run([SOLO, '--epochs', '1', '--limit', '64'], tmp_path, data_root)
    status, err = run.attempt(env=os.environ | {'OMP_NUM_THREADS': text})
    assert (status, err) == (2, f'error: OMP_NUM_THREADS={text}: expected a number of threads, '
                                '1 or more\n')
    assert not [*tmp_path.iterdir()]


WITHOUT_MXNET = ('collect', 'compare', 'list', 'report', 'contenders', 'explorer.py', 'pytorch',
                 'pytorch_vaegan', '__init__')
ENTRIES = {name: ['-m', 'training', *shlex.split(example)]
           for name, (*_, example) in COMMANDS.items() if name not in WITHOUT_MXNET} | {
    f'benchmarks.{path.stem}': ['-c', f'import tests.benchmarks.{path.stem}']
    for path in sorted((ROOT / 'tests' / 'benchmarks').glob('*.py'))
    if not {path.stem, path.name} & {*WITHOUT_MXNET}}


@pytest.mark.parametrize('entry', ENTRIES)
def test_process_is_set_up_before_mxnet_is_imported(tmp_path, entry):
    """With the first number of a list of threads."""
    (tmp_path / 'mxnet.py').write_text('import os; from models import mxnet_import\n'
                                       'raise SystemExit(os.environ["OMP_NUM_THREADS"])')
    done = python(*ENTRIES[entry], OMP_NUM_THREADS=' 4 , 2', PYTHONPATH=f'{tmp_path}:{ROOT}')
    assert (done.returncode, done.stderr) == (1, '4\n')


def test_process_is_set_up_with_stderr_closed():
    done = python('-c', 'import os; os.close(2)\n'
                        'from training.commands.wiring import set_up_process\n'
                        'set_up_process()\n'
                        'from mxnet import nd\n'
                        'print(nd.ones(2).asnumpy().sum(), os.environ["OMP_NUM_THREADS"])',
                  OMP_NUM_THREADS='2,1')
    assert done.stdout == '2.0 2\n'


STEPS = '''
import resource
from training.runtime import process
process.before_mxnet()
import mxnet
process.run_in_calling_thread()
faults = []
for _ in range(8):
    arrays = [mxnet.nd.ones(50 << 18) for _ in range(2)]  # 50 MB each
    mxnet.nd.waitall()
    del arrays
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[-3], process.keep_memory())
'''


@pytest.mark.parametrize('environment', [{}, {'MALLOC_TRIM_THRESHOLD_': str(128 << 10)}], ids=str)
def test_memory_of_large_arrays_is_kept_unless_the_environment_says_otherwise(monkeypatch,
                                                                              environment):
    for name in process.MALLOC_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    done = python('-c', STEPS, **environment)
    assert done.returncode == 0, done.stderr
    faults, largest = map(int, done.stdout.split())
    if environment:
        assert faults > 10_000 and largest == 0
    elif largest < 50 << 20:
        pytest.skip("this machine's C library keeps no array of 50 MB")
    else:
        assert faults < 100
