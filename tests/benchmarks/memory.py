"""Peak memory of every row at full size: `python -m tests.benchmarks.memory [--match GLOB]`.

A row runs in a process of its own from the command a user types, for one batch of each of its
phases, with its checkpoints and pictures; rows that differ in weights, rates and the like only
are measured once. Writes results/memory.csv beside what was foreseen: the peak holds libraries and
the images, too, which are mapped from a file where they are faces.
"""
from training.commands.wiring import set_up_process
from training.reporting.statistics import write_csv

set_up_process()  # before anything imports MXNet

# isort: split
import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import fields, replace
from functools import cache
from math import prod
from pathlib import Path

from mxnet import nd

import models
from data import loading
from data import table as data_table
from tests.benchmarks.contenders import resident_bytes
from training.experiments import registry
from training.reporting import tables
from training.runtime import memory

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ('experiment', 'measured_as', 'peak_mb', 'library_mb', 'images_mb', 'foreseen_mb',
           'ratio')
# What takes no memory: any value will do
WEIGHTLESS = {'name': '', 'lr': 1e-3, 'disc_weight': 1.0, 'pbp_weight': 1.0, 'pbp_decay': 1.0,
              'shuffle_seed': 0, 'schedule': 'constant', 'schedule_rule': 'documented'}
LIBRARIES = resident_bytes()


def foreseen_bytes(row) -> float:
    """Return what training/runtime/memory.py says that the row needs."""
    shape = data_table.get(row.data).shape
    vae = models.build_vae(row, shape)
    disc = models.build_discriminator(row, shape) if row.combo_epochs else None
    images, noise = nd.zeros((1, *shape)), nd.zeros((1, row.n_latent))
    vae.infer_shape(*((images, noise) if row.encodes else (noise,)))
    if disc is not None:
        disc.infer_shape(images)
    return memory.foreseen(row, vae, disc, shape)


def sizes(row):
    """The row without what takes no memory: equal for rows that take the same."""
    epochs = {name: min(1, getattr(row, name)) for name in ('solo_epochs', 'combo_epochs')}
    same, own = WEIGHTLESS | epochs, {field.name for field in fields(row) if field.init}
    return replace(row, **{name: value for name, value in same.items() if name in own})


@cache
def image_bytes(name: str) -> int:
    """Of a whole data set."""
    dataset = loading.load(name)
    return (len(dataset.train) + len(dataset.test)) * prod(dataset.shape)


def peak_bytes(row) -> int:
    """Of a process that trains one batch of each of the row's phases, as published."""
    epochs = '1+1' if row.solo_epochs and row.combo_epochs else '1'
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, '-m', 'training', 'run', row.name, '--epochs', epochs, '--limit',
             str(row.batch_size), '--results-root', folder], cwd=ROOT, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f'{row.name}: ended with status {os.waitstatus_to_exitcode(status)}')
    return 1024 * usage.ru_maxrss


def table(lines: list[dict]) -> str:
    """For the README: each measurement once."""
    header = ['experiment', 'alike', 'peak MB', 'of them libraries', 'of them images',
              'foreseen MB', 'the rest / foreseen']
    cells = [[line['experiment'],
              str(sum(other['measured_as'] == line['experiment'] for other in lines)),
              *(str(line[column]) for column in COLUMNS[2:])]
             for line in lines if line['measured_as'] == line['experiment']]
    return tables.markdown_table([header, *cells])


def main() -> None:
    """Measure, print and write memory.csv."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument('--match', metavar='GLOB', default='*', help='rows to measure')
    options.add_argument('--out', metavar='DIR', type=Path, default=ROOT / 'results')
    args = options.parse_args()
    rows, measured, lines = registry.match(args.match), {}, []
    for row in rows:  # all of them first: a process begins with the peak of the one it comes from
        if sizes(row) not in measured:
            measured[sizes(row)] = row.name, peak_bytes(row)
            print(*measured[sizes(row)], flush=True)
    for row in rows:
        (name, peak), foreseen = measured[sizes(row)], foreseen_bytes(row)
        images = image_bytes(row.data)
        lines.append(dict(zip(COLUMNS, (
            row.name, name, *(n // 10 ** 6 for n in (peak, LIBRARIES, images, int(foreseen))),
            f'{(peak - LIBRARIES - images) / foreseen:.2f}'), strict=True)))
    write_csv(args.out / 'memory.csv', COLUMNS, lines)
    print(table(lines))


if __name__ == '__main__':
    main()
