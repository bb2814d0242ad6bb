"""Who may import whom, read from the sources: training/README.md says why."""
import ast
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, python

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


def room_of(path: Path) -> str | None:
    """The package of a file of training; none of its entry, nor outside of it."""
    if path.parts[0] != 'training' or path.parts[1:] in (('__init__.py',), ('__main__.py',)):
        return None
    return path.parts[1]


@pytest.mark.parametrize('path', SOURCES, ids=str)
def test_file_is_short_and_imports_what_its_package_may(path):
    """Experiments need the standard library only, and only commands wire packages together."""
    assert len((ROOT / path).read_text().splitlines()) <= MOST_LINES
    modules, room = imported(path), room_of(path)
    packages = {module.split('.')[0] for module in modules}
    if room != 'commands':
        assert packages & LOCAL <= {path.parts[0]}
    if room:
        assert {module.split('.')[1] for module in modules if module.startswith('training.')} <= {
            *ROOMS[:ROOMS.index(room) + 1]}
    if room == 'experiments':
        assert packages <= sys.stdlib_module_names | {'training'}
    if room == 'reporting':
        assert 'mxnet' not in packages


@pytest.mark.parametrize('path', [p for p in SOURCES if room_of(p) in FREE_OF_MXNET], ids=str)
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


def test_loop_knows_no_experiment():
    assert not any('registry' in module for module in imported(Path('training/run/loop.py')))


def test_results_hold_no_python():
    assert not list((ROOT / 'results').rglob('*.py'))


def test_list_waits_for_no_slow_library():
    slow = {'mxnet', 'numpy', 'scipy', 'matplotlib', 'numba', 'skimage', 'PIL', 'jinja2', 'email'}
    done = python('-c', 'import sys; from training.__main__ import main; '
                        'assert main(["list"]) == 0; '
                        f'print({slow} & set(sys.modules), file=sys.stderr)')
    assert (done.returncode, done.stderr) == (0, 'set()\n')
