"""Who may import whom, read from the sources."""
import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(p.relative_to(ROOT) for folder in ('models', 'data', 'training')
                 for p in (ROOT / folder).glob('*.py'))
LOCAL = {'models', 'data', 'training'}
FREE_OF_MXNET = ('report', 'tables', 'experiments', 'naming', 'cli', 'metrics', 'draws', 'launch',
                 'progress', 'files', 'stop', 'verify', 'gallery', 'peers', 'timing', 'charts',
                 'row', 'schedules', 'folders', 'errors', 'page', 'claim', 'repairs', 'board')


def imported(path: Path) -> set[str]:
    """Modules imported anywhere in the file; `from training import x` is training.x."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f'{node.module}.{alias.name}' for alias in node.names} | {node.module}
    return found


def packages(path: Path) -> set[str]:
    return {module.split('.')[0] for module in imported(path)}


@pytest.mark.parametrize('path', [p for p in SOURCES if p.parts[0] in ('models', 'data')], ids=str)
def test_models_and_data_import_only_themselves(path):
    assert packages(path) & LOCAL <= {path.parts[0]}


@pytest.mark.parametrize('path', [p for p in SOURCES if p.parts[0] == 'training'
                                  and p.name != '__main__.py'], ids=str)
def test_only_main_wires_packages_together(path):
    assert packages(path) & LOCAL <= {'training'}


@pytest.mark.parametrize('name', FREE_OF_MXNET)
def test_plain_modules_never_import_mxnet(name):
    seen, todo = set(), {f'training.{name}'}
    while todo:
        module = todo.pop()
        seen.add(module)
        path = Path(*module.split('.')).with_suffix('.py')
        if (ROOT / path).is_file():
            todo |= imported(path) - seen
    assert not [module for module in seen if module and module.split('.')[0] == 'mxnet']


@pytest.mark.parametrize('name', ['experiments', 'row', 'schedules'])
def test_rows_need_the_standard_library_only(name):
    path = Path(f'training/{name}.py')
    assert packages(path) <= sys.stdlib_module_names | {'training'}
    assert {m for m in imported(path) if m.startswith('training.')} <= {
        'training.row'} | {f'training.row.{what}' for what in ('Experiment', 'ExperimentError',
                                                               'VaeGan')}


def test_loop_knows_no_experiment():
    assert not any('experiments' in module for module in imported(Path('training/loop.py')))


def test_results_hold_no_python():
    assert not list((ROOT / 'results').rglob('*.py'))
