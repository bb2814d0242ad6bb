"""Step times of ours, the original's and PyTorch's, side by side, in rotation.

    python -m tests.benchmarks.throughput [--rounds N] [--match GLOB] [--out DIR]
    python -m tests.benchmarks.throughput --markdown    # the README's tables, of the last run

One process at a time, each with two threads. In each round every contender takes some steps, and
another one begins, so that a slow minute of the machine hits all of them. What was measured goes
into throughput.csv, round by round; `report` makes ratios, tables and a chart of it. A run of
some nets puts their rounds in place of those before.
"""
import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from tests.benchmarks import report
from tests.benchmarks.contenders import CASES, VAEGAN, contenders_of
from tests.benchmarks.work import ceilings
from training.reporting.statistics import read_csv, write_csv

ROOT = Path(__file__).resolve().parents[2]
THREADS = '2'
COMMANDS = {  # of each contender: module, its options, the environment
    'ours': ('ours', (), {}),
    'original': ('original', (), {'MXNET_ENGINE_TYPE': 'ThreadedEnginePerDevice'}),
    'PyTorch': ('pytorch', (), {}),
    'PyTorch, channels last': ('pytorch', ('channels_last',), {}),
    'PyTorch, compiled': ('pytorch', ('compile',), {}),
}
# PyTorch has an environment of its own: GluonCV refuses to be imported beside it
PYTHONS = {'pytorch': ROOT / '.venv/benchmarks/bin/python'}
ROUNDS = 5
STEPS = {'DenseVAE 5-3-400': 200, 'DenseVAE 512-5-1024': 12}  # a round, by VAE
STEPS_CONV = 4
STEPS |= {'A on digits': 10, 'A on faces, reduced': 30, 'B': 20, 'paper on digits': 100}
FIELDS = ('nets', 'kind', 'contender', 'round', 'milliseconds', 'parameters', 'peak_mb',
          'library_mb', 'processor', 'gflops', 'gb_per_second')


def processor() -> str:
    """What Linux says of the processor, with the widest vectors that it knows."""
    try:
        info = Path('/proc/cpuinfo').read_text()
    except OSError:
        return platform.processor() or platform.machine()
    said = dict(re.findall(r'^([^\t:]+)\t*: (.*)$', info.partition('\n\n')[0], re.MULTILINE))
    flags = said.get('flags', '').split()
    vectors = next((name for flag, name in (('avx512f', ', AVX-512'), ('avx2', ', AVX2'))
                    if flag in flags), '')
    return (f'{said.get("model name", platform.machine())}, family {said.get("cpu family")}, '
            f'model {said.get("model")}{vectors}')


def run(contender: str, nets: str, kind: str) -> dict:
    """One process: seconds of each step, parameters, peak memory."""
    module, options, environment = COMMANDS[contender]
    steps = STEPS.get(nets.split(' + ')[0], STEPS_CONV)
    suffix = '_vaegan' * (module == 'pytorch' and kind == VAEGAN)
    command = [PYTHONS.get(module, sys.executable), '-m', f'tests.benchmarks.{module}{suffix}',
               nets, kind, str(steps), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True,
                          env=os.environ | {'OMP_NUM_THREADS': THREADS} | environment)
    if done.returncode:
        sys.exit(f'{contender} failed: {done.stderr.strip().splitlines()[-1:]}')
    return json.loads(done.stdout.splitlines()[-1])


def measure(nets: str, kind: str, rounds: int) -> list[dict]:
    """A line of throughput.csv for each round and contender, without the machine's columns."""
    lines, contenders = [], contenders_of(kind)
    for number in range(rounds):
        first = number % len(contenders)
        for contender in contenders[first:] + contenders[:first]:
            found = run(contender, nets, kind)
            milliseconds = [1e3 * seconds for seconds in found['seconds']]
            lines.append({
                'nets': nets, 'kind': kind, 'contender': contender, 'round': number,
                'milliseconds': ' '.join(f'{ms:.4g}' for ms in milliseconds),
                'parameters': found['n_parameters'],
                'peak_mb': found['peak_bytes'] // 10 ** 6,
                'library_mb': found['library_bytes'] // 10 ** 6})
            print(f'{nets}, {kind}, round {number + 1}, {contender}: '
                  f'{statistics.median(milliseconds):.1f} ms', file=sys.stderr)
    counts = {line['contender']: line['parameters'] for line in lines}
    if len({*counts.values()}) > 1:
        sys.exit(f'{nets}: expected nets with as many parameters, found {counts}')
    return lines


def save(path: Path, lines: list[dict]) -> None:
    """Write the lines, of a case each in place of those that the file has."""
    kept = read_csv(path) if path.exists() else []
    new = {(line['nets'], line['kind']) for line in lines}
    lines = [line for line in kept if (line['nets'], line['kind']) not in new] + lines
    lines.sort(key=lambda line: CASES.index((line['nets'], line['kind'])))
    write_csv(path, FIELDS, lines)


def main() -> None:
    """Measure, print, write throughput.csv and throughput.png."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument('--rounds', type=int, default=ROUNDS)
    options.add_argument('--match', metavar='GLOB', default='*',
                         help='nets to measure: pairs, VAEs alone for their solo step, VAE/GANs')
    options.add_argument('--out', metavar='DIR', type=Path, default=ROOT / 'results')
    options.add_argument('--markdown', action='store_true', help='print the last run as tables')
    args = options.parse_args()
    path = args.out / 'throughput.csv'
    if args.markdown:
        print(report.markdown(read_csv(path)))
        return
    cases = [(nets, kind) for nets, kind in CASES if fnmatchcase(nets, args.match)]
    if not cases or args.rounds < 1:
        options.error('expected at least one round, and some of these nets: '
                      + ', '.join(dict.fromkeys(nets for nets, _ in CASES)))
    if not PYTHONS['pytorch'].exists():
        options.error(f'{PYTHONS["pytorch"]}: not there; make benchmark sets it up')
    args.out.mkdir(parents=True, exist_ok=True)
    flops, moved = ceilings(PYTHONS['pytorch'], int(THREADS))
    machine = {'processor': processor(), 'gflops': f'{flops / 1e9:.0f}',
               'gb_per_second': f'{moved / 1e9:.1f}'}
    for nets, kind in cases:
        save(path, [line | machine for line in measure(nets, kind, args.rounds)])
    lines = read_csv(path)
    print(report.markdown(lines))
    print(f'\n{path}')
    if report.draw(path.with_suffix('.png'), lines):
        print(path.with_suffix('.png'))


if __name__ == '__main__':
    main()
