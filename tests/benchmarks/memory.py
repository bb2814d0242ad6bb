"""Peak memory of every row at full size: `python -m tests.benchmarks.memory [--match GLOB]`.

Each row runs in a process of its own from the command a user types, for one batch of each of its
phases, with its checkpoints and pictures. Writes results/memory.csv beside what was foreseen.
"""
import models  # isort: skip  before anything that uses MXNet
import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from mxnet import nd

from tests.benchmarks.contenders import resident_bytes
from training import experiments, memory, tables

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ('experiment', 'peak_mb', 'library_mb', 'needed_mb', 'ratio')
LIBRARIES = resident_bytes()


def needed_bytes(row) -> int:
    """What training/memory.py foresees, without its margin."""
    shape = (1, 28, 28) if row.data == 'MNIST' else (3, 64, 64)
    vae = models.build_vae(row, shape)
    disc = models.build_discriminator(row, shape) if row.combo_epochs else None
    images, noise = nd.zeros((1, *shape)), nd.zeros((1, row.n_latent))
    vae.infer_shape(*((images, noise) if row.encodes else (noise,)))
    if disc is not None:
        disc.infer_shape(images)
    return memory.needed(row, vae, disc, shape)


def peak_bytes(row) -> int:
    """Of a process that trains one batch of each of the row's phases, as published."""
    epochs = f'{min(1, row.solo_epochs)}+{min(1, row.combo_epochs)}' if row.disc else '1'
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, '-m', 'training', 'run', row.name, '--epochs', epochs, '--limit',
             str(row.batch_size), '--results-root', folder], cwd=ROOT, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f'{row.name}: ended with status {os.waitstatus_to_exitcode(status)}')
    return 1024 * usage.ru_maxrss


def main() -> None:
    """Measure, print and write memory.csv."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument('--match', metavar='GLOB', default='*', help='rows to measure')
    options.add_argument('--out', metavar='DIR', type=Path, default=ROOT / 'results')
    args = options.parse_args()
    lines = []
    for row in experiments.match(args.match):
        peak, needed = peak_bytes(row), needed_bytes(row)
        lines.append(dict(zip(COLUMNS, (
            row.name, peak // 10 ** 6, LIBRARIES // 10 ** 6, needed // 10 ** 6,
            f'{(peak - LIBRARIES) / needed:.2f}'), strict=True)))
        print(lines[-1], flush=True)
    tables.write_csv(args.out / 'memory.csv', COLUMNS, lines)


if __name__ == '__main__':
    main()
