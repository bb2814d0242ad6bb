"""Who may import whom, read from the sources: training/README.md says why."""
import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(p.relative_to(ROOT) for folder in ('models', 'data', 'training')
                 for p in (ROOT / folder).rglob('*.py'))
LOCAL = {'models', 'data', 'training'}
ROOMS = ('experiments', 'runtime', 'steps', 'storage', 'evaluation', 'reporting', 'run',
         'studies', 'commands')  # each may import those before it
FREE_OF_MXNET = ('experiments', 'reporting', 'studies', 'commands')  # but inside of functions
MOST_LINES = 270


def imported(path: Path, everywhere: bool = True) -> set[str]:
    """Modules that a file imports; `from training import x` is training.x.

    everywhere: those imported when a function is called, too.
    """
    tree = ast.parse((ROOT / path).read_text())
    names = set()
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f'{node.module}.{alias.name}' for alias in node.names} | {node.module}
    return names


def packages(path: Path) -> set[str]:
    return {module.split('.')[0] for module in imported(path)}


def in_rooms(*rooms: str) -> list[Path]:
    return [p for p in SOURCES if p.parts[0] == 'training' and len(p.parts) > 2
            and p.parts[1] in rooms]


def test_training_has_these_rooms_and_an_entry():
    there = {p.parts[1] for p in SOURCES if p.parts[0] == 'training'}
    assert there == {*ROOMS, '__init__.py', '__main__.py'}


@pytest.mark.parametrize('path', [p for p in SOURCES if p.parts[0] in ('models', 'data')], ids=str)
def test_models_and_data_import_only_themselves(path):
    assert packages(path) & LOCAL <= {path.parts[0]}


@pytest.mark.parametrize('path', in_rooms(*ROOMS), ids=str)
def test_rooms_import_downwards_only(path):
    below = ROOMS[:ROOMS.index(path.parts[1]) + 1]
    for module in imported(path):
        if module.startswith('training.'):
            assert module.split('.')[1] in below, module


@pytest.mark.parametrize('path', in_rooms(*ROOMS[:-1]), ids=str)
def test_only_commands_wire_packages_together(path):
    assert packages(path) & LOCAL <= {'training'}


@pytest.mark.parametrize('path', in_rooms(*FREE_OF_MXNET), ids=str)
def test_rooms_without_mxnet_do_not_load_it(path):
    """`list`, `report` and `--help` work, and fast, where MXNet cannot be imported."""
    seen, todo = set(), {path}
    while todo:
        seen.add(current := todo.pop())
        names = imported(current, everywhere=False)
        assert 'mxnet' not in {name.split('.')[0] for name in names}, current
        found = {Path(*name.split('.')) for name in names if name.startswith('training.')}
        todo |= {p.with_suffix('.py') for p in found if (ROOT / p.with_suffix('.py')).is_file()}
        todo -= seen


@pytest.mark.parametrize('path', in_rooms('experiments'), ids=str)
def test_experiments_need_the_standard_library_only(path):
    assert packages(path) <= sys.stdlib_module_names | {'training'}


@pytest.mark.parametrize('path', in_rooms('reporting'), ids=str)
def test_reporting_never_imports_mxnet(path):
    assert 'mxnet' not in packages(path)


@pytest.mark.parametrize('path', SOURCES, ids=str)
def test_files_are_short(path):
    assert len((ROOT / path).read_text().splitlines()) <= MOST_LINES


def test_loop_knows_no_experiment():
    assert not any('registry' in module for module in imported(Path('training/run/loop.py')))


def test_results_hold_no_python():
    assert not list((ROOT / 'results').rglob('*.py'))


def test_list_waits_for_no_slow_library():
    code = ('import sys; from training.__main__ import main; assert main(["list"]) == 0; '
            'print({"mxnet", "numpy", "scipy", "matplotlib", "numba", "skimage", "PIL", "jinja2", '
            '"email"} & set(sys.modules), '
            'file=sys.stderr)')
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, 'set()\n')
