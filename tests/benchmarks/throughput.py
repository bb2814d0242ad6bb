"""Step times of ours, the original's and PyTorch's, side by side: ratios, a table, a chart.

    python -m tests.benchmarks.throughput [--rounds N] [--match GLOB] [--out DIR]
    python -m tests.benchmarks.throughput --markdown    # the README's tables, of the last run

One process at a time, each with two threads; the contenders take turns within a round, so that
a slow minute of the machine hits all of them. The median of all rounds' steps counts.
"""
import argparse
import csv
import json
import math
import os
import statistics
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from tests.benchmarks.contenders import KINDS, PAIRS
from tests.benchmarks.work import bytes_needed, ceilings, work_of

ROOT = Path(__file__).resolve().parents[2]
THREADS = '2'
COMPILED = 'PyTorch, compiled'
CONTENDERS = {  # name in the report: module, its options, the environment
    'ours': ('ours', (), {}),
    'original': ('original', (), {'MXNET_ENGINE_TYPE': 'ThreadedEnginePerDevice'}),
    'PyTorch': ('pytorch', (), {}),
    COMPILED: ('pytorch', ('compile',), {}),
}
# PyTorch has an environment of its own: GluonCV refuses to be imported beside it
PYTHONS = {'pytorch': ROOT / '.venv/benchmarks/bin/python'}
STEPS = {'DenseVAE 5-3-400 + DenseLogReg': 200, 'DenseVAE 512-5-1024 + DenseLogReg': 12}
STEPS_CONV = 2
# What is compared: title, their contender and kind, our kind, and by how much we want to win
COMPARISONS = (
    ('original published / our shared', 'original', 'published', 'shared', 3.0),
    ('original solo / ours', 'original', 'solo', 'solo', 1.5),
    ('PyTorch solo / ours', 'PyTorch', 'solo', 'solo', 1.0),
    ('PyTorch published / ours', 'PyTorch', 'published', 'published', 1.2),
    ('PyTorch shared / ours', 'PyTorch', 'shared', 'shared', 1.0),
    ('compiled solo / ours', COMPILED, 'solo', 'solo', None),
    ('compiled published / ours', COMPILED, 'published', 'published', None),
    ('compiled shared / ours', COMPILED, 'shared', 'shared', None),
)
FIELDS = ('pair', 'kind', 'contender', 'median_ms', 'fastest_ms', 'steps', 'parameters',
          'peak_mb', 'library_mb', 'needed_mb', 'matrix_share', 'memory_share')


def run(contender: str, pair: str, kind: str) -> dict | None:
    """One process: seconds of each step, parameters, peak memory; None if it fails."""
    module, options, environment = CONTENDERS[contender]
    python, steps = PYTHONS.get(module, sys.executable), STEPS.get(pair, STEPS_CONV)
    command = [python, '-m', f'tests.benchmarks.{module}', pair, kind, str(steps), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True,
                          env=os.environ | {'OMP_NUM_THREADS': THREADS} | environment)
    if done.returncode:
        print(f'{contender} failed: {done.stderr.strip().splitlines()[-1:]}', file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def measure(pairs: list[str], rounds: int) -> dict[tuple[str, str, str], dict]:
    """(pair, kind, contender) -> what its processes found, seconds of all rounds together."""
    found = {}
    for pair in pairs:
        for number in range(rounds):
            for kind in KINDS:
                for contender in CONTENDERS:
                    if contender == COMPILED and number < rounds - 1:
                        continue  # compiling takes minutes: once is enough
                    result = run(contender, pair, kind)
                    if result is None:
                        continue
                    others = {found[key]['n_parameters'] for key in found if key[0] == pair}
                    if others - {result['n_parameters']}:
                        sys.exit(f'{pair}: {contender} has {result["n_parameters"]} parameters, '
                                 f'the others {others}')
                    before = found.get((pair, kind, contender))
                    if before:
                        result['seconds'] = before['seconds'] + result['seconds']
                    found[pair, kind, contender] = result
                    print(f'{pair}, round {number + 1}, {kind}, {contender}: '
                          f'{1e3 * statistics.median(result["seconds"]):.1f} ms',
                          file=sys.stderr)
    return found


def median(found: dict, *key: str) -> float | None:
    return statistics.median(found[key]['seconds']) if key in found else None


def ratios(found: dict, pair: str) -> dict[str, float | None]:
    """Their time / ours, for each comparison."""
    result = {}
    for title, contender, their_kind, our_kind, _ in COMPARISONS:
        theirs, ours = median(found, pair, their_kind, contender), median(found, pair, our_kind,
                                                                         'ours')
        result[title] = theirs / ours if theirs and ours else None
    return result


def rows_of(found: dict, flops_ceiling: float, bytes_ceiling: float) -> list[dict]:
    """The table's rows; the shares of the machine's ceilings are those of our steps."""
    rows = []
    for (pair, kind, contender), result in found.items():
        seconds = statistics.median(result['seconds'])
        flops, moved = work_of(PAIRS[pair], kind)
        ours = contender == 'ours'
        rows.append(dict(zip(FIELDS, (
            pair, kind, contender, f'{1e3 * seconds:.2f}', f'{1e3 * min(result["seconds"]):.2f}',
            len(result['seconds']), result['n_parameters'],
            result['peak_bytes'] // 10 ** 6, result['library_bytes'] // 10 ** 6,
            bytes_needed(PAIRS[pair]) // 10 ** 6,
            f'{flops / flops_ceiling / seconds:.2f}' if ours else '',
            f'{moved / bytes_ceiling / seconds:.2f}' if ours else ''), strict=True)))
    return rows


def print_ratios(found: dict, pairs: list[str]) -> None:
    for pair in pairs:
        print(f'\n{pair}')
        wanted = {title: target for title, *_, target in COMPARISONS}
        for title, ratio in ratios(found, pair).items():
            target = wanted[title]
            note = '' if target is None or ratio is None else (
                f'  (wanted {target:.1f}{"" if ratio >= target else ", MISSED"})')
            print(f'  {title:33}', 'failed' if ratio is None else f'{ratio:5.2f}{note}')


def markdown(rows: list[dict[str, str]]) -> str:
    """The README's tables, from the rows of throughput.csv."""
    at = {(row['pair'], row['kind'], row['contender']): row for row in rows}
    pairs = list(dict.fromkeys(row['pair'] for row in rows))

    def ms(*key: str) -> float:
        return float(at[key]['median_ms']) if key in at else math.nan

    def shown(value: float, digits: int) -> str:
        return 'fails' if math.isnan(value) else f'{value:.{digits}f}'

    heads = ('nets', 'step', *(f'{contender}, ms' for contender in CONTENDERS),
             *(f'{contender} / ours' for contender in list(CONTENDERS)[1:]),
             'of matrix ceiling', 'of memory ceiling')
    lines = [heads, ['---'] * len(heads)]
    for pair in pairs:
        for kind in KINDS:
            times = [ms(pair, kind, contender) for contender in CONTENDERS]
            ours = at[pair, kind, 'ours']
            lines.append([pair, kind, *(shown(time, 1) for time in times),
                          *(shown(time / times[0], 2) for time in times[1:]),
                          ours['matrix_share'], ours['memory_share']])
    second = ('nets', 'original published / our shared', 'peak MB', 'of them libraries',
              'needed MB', '(peak - libraries) / needed')
    lines += [[], second, ['---'] * len(second)]
    for pair in pairs:
        peak, libraries, needed = (max(int(at[pair, kind, 'ours'][field]) for kind in KINDS)
                                   for field in ('peak_mb', 'library_mb', 'needed_mb'))
        ratio = ms(pair, 'published', 'original') / ms(pair, 'shared', 'ours')
        lines.append([pair, shown(ratio, 2), str(peak), str(libraries), str(needed),
                      f'{(peak - libraries) / needed:.2f}'])
    return '\n'.join(f'| {" | ".join(cells)} |' if cells else '' for cells in lines)


def draw(found: dict, pairs: list[str], path: Path) -> None:
    """Bars of their time in units of ours, a panel for each kind of step."""
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
    import numpy as np
    figure, axes = plt.subplots(1, len(KINDS), figsize=(13, 4.2), sharey=True)
    for axis, kind in zip(axes, KINDS, strict=True):
        for i, contender in enumerate(CONTENDERS):
            times = [(median(found, pair, kind, contender) or np.nan)
                     / (median(found, pair, kind, 'ours') or np.nan) for pair in pairs]
            axis.barh(np.arange(len(pairs)) + 0.2 * (i - 1.5), times, 0.2, label=contender)
        axis.axvline(1, color='black', linewidth=0.8)
        axis.set(title=f'{kind} step', xlabel='time, ours = 1 (longer is slower)')
    axes[0].set_yticks(range(len(pairs)), [pair.replace(' + ', '\n+ ') for pair in pairs])
    axes[0].invert_yaxis()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='lower center', ncols=len(CONTENDERS), frameon=False)
    figure.suptitle('Time of a training step, batch 64, 2 CPU cores')
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, print, write throughput.csv and throughput.png."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument('--rounds', type=int, default=2)
    options.add_argument('--match', metavar='GLOB', default='*', help='pairs to measure')
    options.add_argument('--out', metavar='DIR', type=Path, default=ROOT / 'results')
    options.add_argument('--markdown', action='store_true', help='print the last run as tables')
    args = options.parse_args()
    if args.markdown:
        with open(args.out / 'throughput.csv', newline='') as file:
            print(markdown(list(csv.DictReader(file))))
        return
    pairs = [pair for pair in PAIRS if fnmatchcase(pair, args.match)]
    if not pairs or args.rounds < 1:
        options.error(f'expected at least one round and one pair of: {", ".join(PAIRS)}')
    if not PYTHONS['pytorch'].exists():
        options.error(f'{PYTHONS["pytorch"]}: not there; make benchmark sets it up')
    flops_ceiling, bytes_ceiling = ceilings(PYTHONS['pytorch'], int(THREADS))
    found = measure(pairs, args.rounds)
    print(f'matrix products at most {flops_ceiling / 1e9:.0f} GFLOP/s, memory at most '
          f'{bytes_ceiling / 1e9:.0f} GB/s')
    print_ratios(found, pairs)
    rows = rows_of(found, flops_ceiling, bytes_ceiling)
    with open(args.out / 'throughput.csv', 'w', newline='') as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    draw(found, pairs, args.out / 'throughput.png')
    print(f'\n{args.out / "throughput.csv"}\n{args.out / "throughput.png"}')


if __name__ == '__main__':
    main()
