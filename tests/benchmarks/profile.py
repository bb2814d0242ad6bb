"""What a step of ours is spent on: `python -m tests.benchmarks.profile NETS KIND [STEPS]`.

oneDNN, MXNet's library of CPU kernels, says how long each of its primitives took; our own kernels
are timed as they are called. What is left of a step that runs without either goes to MXNet's
other operators and to calls from Python. Operations a second stand beside what the machine
reaches in a large matrix product.
"""
from training.commands.wiring import set_up_process

set_up_process()  # before anything imports MXNet

# isort: split
import functools
import json
import os
import re
import statistics
import subprocess
import sys
import time

from tests.benchmarks import contenders, ours
from tests.benchmarks.throughput import PYTHONS, ROOT, STEPS, STEPS_CONV, THREADS
from tests.benchmarks.work import ceilings
from training.reporting import tables
from training.steps import kernels

OURS = {'Adam': ('adam',), 'losses and their gradients':
        ('_kl_divergence', '_bce', '_l2', '_adversarial')}  # kernels
NAMES = {'inner_product': 'Dense', 'convolution': 'convolution',
         'deconvolution': 'transposed convolution', 'batch_normalization': 'BatchNorm',
         'eltwise': 'activations', 'reorder': 'copies into other layouts', 'sum': 'sums',
         'concat': 'concatenations', 'pooling_v2': 'pooling', 'binary': 'sums'}
DIRECTIONS = {'forward_training': 'forward', 'backward_data': 'gradient of its input',
              'backward_weights': 'gradient of its weight'}
PRODUCTS = 'inner_product', 'convolution', 'deconvolution'


def operations(problem: str) -> float:
    """How many a product takes, from what oneDNN says of it: mb64ic784oc400, for instance."""
    sizes = {name: int(size) for name, size in re.findall(r'([a-z]+)(\d+)', problem)}
    places = min(sizes.get('ih', 1) * sizes.get('iw', 1), sizes.get('oh', 1) * sizes.get('ow', 1))
    return (2.0 * sizes['mb'] * sizes['ic'] * sizes['oc'] * sizes.get('kh', 1)
            * sizes.get('kw', 1) * places)


def primitives(output: str, n_steps: int) -> dict[str, tuple[float, float]]:
    """Milliseconds and operations of a step's primitives, by what they do, from verbose output."""
    calls = {}
    for line in output.splitlines():
        if line.startswith('dnnl_verbose,exec,cpu,'):
            fields = line.split(',')
            calls.setdefault((fields[3], fields[5], fields[-2]), []).append(float(fields[-1]))
    found = {}
    for (primitive, direction, problem), milliseconds in calls.items():
        name = NAMES.get(primitive, primitive)
        n = round(len(milliseconds) / n_steps)
        if primitive in PRODUCTS:
            name = f'{name}, {DIRECTIONS.get(direction, direction)}'
        before = found.get(name, (0.0, 0.0))
        found[name] = (before[0] + n * statistics.median(milliseconds),
                       before[1] + n * (operations(problem) if primitive in PRODUCTS else 0))
    return found


def inside(nets: str, kind: str, n_steps: int) -> None:
    """Run steps whose own kernels are timed; prints a line of JSON."""
    row, spent = contenders.row_of(nets), {name: 0.0 for name in OURS}

    def timed(kernel, name):
        @functools.wraps(kernel)
        def call(*arguments):
            started = time.perf_counter()
            result = kernel(*arguments)
            spent[name] += time.perf_counter() - started
            return result
        return call
    step, _ = ours.make(row, kind, contenders.images_of(row))
    for _ in range(contenders.WARM_UP):
        step()
    for name, own in OURS.items():
        for kernel in own:
            setattr(kernels, kernel, timed(getattr(kernels, kernel), name))
    for _ in range(n_steps):
        step()
    print('\n' + json.dumps({name: 1e3 * seconds / n_steps for name, seconds in spent.items()}))


def outside(nets: str, kind: str, n_steps: int) -> str:
    """The table, of one process that says what it does and another that does not."""
    def run(module, *arguments, **environment) -> str:
        return subprocess.run(
            [sys.executable, '-m', f'tests.benchmarks.{module}', nets, kind, str(n_steps),
             *arguments], cwd=ROOT, capture_output=True, text=True, check=True,
            env=os.environ | {'OMP_NUM_THREADS': THREADS} | environment).stdout
    output = run('profile', 'inside', DNNL_VERBOSE='1')
    own = json.loads(next(line for line in output.splitlines() if line.startswith('{')))
    parts = primitives(output, n_steps + contenders.WARM_UP)
    parts |= {name: (milliseconds, 0.0) for name, milliseconds in own.items()}
    whole = 1e3 * statistics.median(json.loads(run('ours').splitlines()[-1])['seconds'])
    parts["MXNet's other operators, calls from Python"] = (
        whole - sum(milliseconds for milliseconds, _ in parts.values()), 0.0)
    flops, _ = ceilings(PYTHONS['pytorch'], int(THREADS))
    table = [('part of the step', 'ms', 'share', f'GFLOP/s, of {flops / 1e9:.0f}')]
    for name, (milliseconds, count) in sorted(parts.items(), key=lambda part: -part[1][0]):
        table.append((name, f'{milliseconds:.2f}', f'{milliseconds / whole:.0%}',
                      f'{count / milliseconds / 1e6:.0f}' if count else ''))
    return tables.markdown_table([*table, ('the step', f'{whole:.2f}', '100%', '')])


if __name__ == '__main__':
    nets, kind, *rest = sys.argv[1:]
    if (nets, kind) not in contenders.CASES:
        sys.exit('error: expected nets and a kind of step: '
                 + ', '.join(f'"{nets}" {kind}' for nets, kind in contenders.CASES))
    n_steps = int(rest[0]) if rest else STEPS.get(nets.split(' + ')[0], STEPS_CONV)
    if 'inside' in rest:
        inside(nets, kind, n_steps)
    else:
        print(outside(nets, kind, n_steps))
