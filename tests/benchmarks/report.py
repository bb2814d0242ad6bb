"""What throughput.csv says: medians with their quartiles, ratios with their range, a chart."""
import math
import statistics
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from data import table as data_table
from tests.benchmarks.contenders import CONTENDERS, OF_VAE_GANS, OTHERS, VAEGAN, row_of
from tests.benchmarks.work import bytes_needed, work_of
from training.reporting import tables
from training.reporting.statistics import read_csv
from training.studies import mixes

RESULTS = Path(__file__).resolve().parents[2] / 'results'
BAR = 1.5  # how many times as fast as PyTorch we want to be
TIMED_CASES = {('ConvVAE 512-32', 'solo'): ('published', 'solo'),
               ('ConvVAE 512-32 + ResNet', 'published'): ('published', 'combo'),
               ('ConvVAE 512-32 + ResNet', 'shared'): ('shared', 'combo')}


def cases(lines: Iterable[dict]) -> dict[tuple[str, str], dict[str, list[dict]]]:
    """(nets, kind) -> contender -> its lines, a round each."""
    found = {}
    for line in lines:
        case = found.setdefault((line['nets'], line['kind']), {})
        case.setdefault(line['contender'], []).append(line)
    return found


def steps(rounds: list[dict]) -> list[float]:
    """Milliseconds of all steps of a contender's rounds."""
    return [float(ms) for line in rounds for ms in line['milliseconds'].split()]


def quartiles(rounds: list[dict]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of a contender's steps, in milliseconds."""
    return tuple(np.percentile(steps(rounds), (25, 50, 75)))


def ratios(theirs: list[dict], ours: list[dict]) -> list[float]:
    """Their time / ours, of the medians of each round."""
    return [statistics.median(steps([a])) / statistics.median(steps([b]))
            for a, b in zip(theirs, ours, strict=True)]


def over_pytorch(case: dict[str, list[dict]]) -> list[float]:
    """The time of PyTorch, eager or compiled, whichever has the smaller median, over ours."""
    better = min((name for name in case if name.startswith('PyTorch')),
                 key=lambda name: quartiles(case[name])[1])
    return ratios(case[better], case['ours'])


def in_words(rounds: list[dict]) -> str:
    """'median (lower quartile - upper quartile)', with no more digits than half their distance."""
    low, middle, high = quartiles(rounds)
    digits = -math.floor(math.log10(max((high - low) / 2, 1e-3 * middle)))
    return '{} ({} - {})'.format(*(f'{round(value, digits):.{max(digits, 0)}f}'
                                   for value in (middle, low, high)))


def with_range(of_rounds: list[float]) -> str:
    """'median (least - most)' of the rounds' ratios."""
    return (f'{statistics.median(of_rounds):.2f} '
            f'({min(of_rounds):.2f} - {max(of_rounds):.2f})')


def markdown(lines: list[dict]) -> str:
    """The README's part about speed: what was measured on what, three tables, where we miss."""
    found = cases(lines)
    pairs = {case: of for case, of in found.items() if case[1] != VAEGAN}
    vae_gans = {case: of for case, of in found.items() if case[1] == VAEGAN}
    parts = [head([line for line in lines if line['kind'] != VAEGAN]), times_table(pairs),
             misses(pairs), totals_table(pairs), timing_table(pairs)]
    if vae_gans:
        parts += [head([line for line in lines if line['kind'] == VAEGAN]),
                  vae_gan_table(vae_gans), misses(vae_gans)]
    return '\n\n'.join(part.strip() for part in parts)


def head(lines: list[dict]) -> str:
    """Processors, rounds and steps."""
    parts = []
    for processor in dict.fromkeys(line['processor'] for line in lines):
        of_it = [line for line in lines if line['processor'] == processor]
        nets = dict.fromkeys(line['nets'].split(' + ')[0] for line in of_it)
        counts = [f'{len(steps(next(iter(case.values()))))} of {vae}' for vae in nets
                  for case in [cases([line for line in of_it
                                      if line['nets'].split(' + ')[0] == vae]).popitem()[1]]]
        flops, moved = (statistics.median(float(line[field]) for line in of_it)
                        for field in ('gflops', 'gb_per_second'))
        parts.append(
            f'Measured on: {processor}, 2 threads; a large matrix product reaches {flops:.0f} '
            f'GFLOP/s, a large copy {moved:.0f} GB/s. Steps in '
            f'{len({line["round"] for line in of_it})} rounds: {", ".join(counts)}.')
    return '\n\n'.join(parts)


def times_table(found: dict) -> str:
    """A line a case: times, ratios, and what share of the machine's ceilings ours reaches."""
    table = [('nets', 'step', *(f'{name}, ms' for name in CONTENDERS),
              *(f'{name} / ours' for name in OTHERS), 'of matrix ceiling', 'of memory ceiling')]
    for (nets, kind), case in found.items():
        flops, moved = work_of(row_of(nets), kind)
        ours, seconds = case['ours'][0], quartiles(case['ours'])[1] / 1e3
        table.append((nets, kind, *(in_words(case[name]) for name in CONTENDERS),
                      *(with_range(ratios(case[name], case['ours'])) for name in OTHERS),
                      f'{flops / float(ours["gflops"]) / 1e9 / seconds:.2f}',
                      f'{moved / float(ours["gb_per_second"]) / 1e9 / seconds:.2f}'))
    return tables.markdown_table(table)


def vae_gan_table(found: dict) -> str:
    """A line a VAE/GAN: times and ratios."""
    table = [('VAE/GAN', 'batch', *(f'{name}, ms' for name in OF_VAE_GANS),
              *(f'{name} / ours' for name in OF_VAE_GANS[1:]))]
    for (nets, _), case in found.items():
        table.append((nets, str(row_of(nets).batch_size),
                      *(in_words(case[name]) for name in OF_VAE_GANS),
                      *(with_range(ratios(case[name], case['ours']))
                        for name in OF_VAE_GANS[1:])))
    return tables.markdown_table(table)


def misses(found: dict) -> str:
    """Where ours is not faster than another, and where not by the factor that we want."""
    slow = [f'{name}: {nets}, {kind}' for (nets, kind), case in found.items() for name in case
            if name != 'ours' and min(ratios(case[name], case['ours'])) <= 1]
    below = [f'{nets}, {kind} ({statistics.median(of_rounds):.2f})'
             for (nets, kind), case in found.items()
             if statistics.median(of_rounds := over_pytorch(case)) < BAR]
    return (f'Not faster in every round than {"; ".join(slow)}.\n\n' if slow else
            'Faster in every round than all others.\n\n') + (
        f'{len(found) - len(below)} of {len(found)} steps are at least {BAR} times as fast as '
        f'PyTorch, eager or compiled, whichever is faster'
        + (f'; not so: {"; ".join(below)}.' if below else '.'))


def totals_table(found: dict) -> str:
    """A line a pair: the original's step against our cheapest way, and memory."""
    table = [('nets', 'original published / our shared', 'peak MB', 'of them libraries',
              'needed MB', '(peak - libraries) / needed')]
    for nets in dict.fromkeys(nets for nets, kind in found if kind == 'shared'):
        of_rounds = ratios(found[nets, 'published']['original'], found[nets, 'shared']['ours'])
        ours = [line for (others, _), case in found.items() if nets.startswith(others)
                for line in case['ours']]
        peak, libraries = (max(int(line[field]) for line in ours)
                           for field in ('peak_mb', 'library_mb'))
        needed = bytes_needed(row_of(nets)) // 10 ** 6
        table.append((nets, with_range(of_rounds), str(peak), str(libraries), str(needed),
                      f'{(peak - libraries) / needed:.2f}'))
    return tables.markdown_table(table)


def timing_table(found: dict) -> str:
    """These steps beside those that the timing of epochs found, of the same nets."""
    table = [('nets', 'step', 'here, ms', 'in timing.csv, ms')]
    estimates = {line['step']: line for line in read_csv(RESULTS / 'timing.csv')
                 if line['kind'] == mixes.ESTIMATE and line['experiment'] == mixes.BASELINE}
    row = row_of('ConvVAE 512-32')
    n_batches = math.ceil(data_table.get(row.data).n_train / row.batch_size)
    for case, (step, epoch) in TIMED_CASES.items():
        if case in found and step in estimates:
            seconds = float(estimates[step][f'{epoch}_epoch_seconds'])
            table.append((*case, in_words(found[case]['ours']),
                          f'{1e3 * seconds / n_batches:.0f}'))
    return tables.markdown_table(table)


def draw(path: Path, lines: list[dict]) -> bool:
    """Draw their time in units of ours, a panel for each kind of step, with the rounds' range.

    False, and no figure, if there are only VAE/GANs.
    """
    from matplotlib.figure import Figure
    found = cases(line for line in lines if line['kind'] != VAEGAN)
    kinds = list(dict.fromkeys(kind for _, kind in found))
    if not kinds:
        return False
    figure = Figure((5 * len(kinds), 4.2))
    axes = figure.subplots(1, len(kinds), squeeze=False)
    for axis, kind in zip(axes[0], kinds, strict=True):
        nets = [nets for nets, of_kind in found if of_kind == kind]
        for i, name in enumerate(OTHERS):
            of_nets = [ratios(found[one, kind][name], found[one, kind]['ours']) for one in nets]
            middle = [statistics.median(of_rounds) for of_rounds in of_nets]
            reach = [[m - min(r) for m, r in zip(middle, of_nets, strict=True)],
                     [max(r) - m for m, r in zip(middle, of_nets, strict=True)]]
            axis.barh(np.arange(len(nets)) + 0.26 * (i - 1), middle, 0.26, xerr=reach,
                      label=name, error_kw={'linewidth': 0.8})
        axis.axvline(1, color='black', linewidth=0.8)
        axis.set(title=f'{kind} step', xlabel='time, ours = 1 (longer is slower)')
        axis.set_yticks(range(len(nets)), [one.replace(' + ', '\n+ ') for one in nets],
                        fontsize=8)
        axis.invert_yaxis()
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='lower center', ncols=len(OTHERS), frameon=False)
    figure.suptitle(f'Time of a training step, batch 64, 2 threads ({lines[0]["processor"]})',
                    fontsize=10)
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, dpi=110)
    return True
