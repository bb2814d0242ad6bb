"""`time`: solo and combo epochs, and the published mixes of them, in seconds."""
import json
from dataclasses import replace
from pathlib import Path

from data import table
from training.commands.wiring import build_nets, resolve_devices, tables_root
from training.experiments import registry
from training.experiments.row import Row
from training.reporting.published import published_numbers
from training.reporting.statistics import (
    TIMING_COLUMNS,
    read_statistics,
    read_timing,
    write_csv,
)
from training.storage import files, run_folder
from training.studies import mixes


def time_command(args) -> None:
    """`time`: solo and combo epochs, and the published mixes of them, in seconds."""
    published = published_numbers()
    lines = _times_of_runs(args.results_root, published) if args.from_runs else []
    rows = [] if args.from_runs else registry.match(args.match)
    path = tables_root(args.results_root) / 'timing.csv'
    files.check_writable(path.parent)
    before = read_timing(path) if path.exists() else []
    if rows:
        ctx = resolve_devices(args.ctx)
        for row in rows:
            asked = row.STEPS if args.step == 'all' else (args.step,)
            steps = [step for step in row.STEPS if step in asked] or row.STEPS
            seconds = {step: _epoch_seconds(replace(row, step=step), args.steps, ctx)
                       for step in steps}
            for step, of_phase in mixes.with_one_solo(seconds).items():
                lines += mixes.estimates(row, step, of_phase, published)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_csv(path, TIMING_COLUMNS, mixes.merged(before, lines))
    shown = mixes.of_mixes(read_timing(path))
    if shown:
        from training.reporting import study_charts
        study_charts.draw_timing(path.with_suffix('.png'), shown)
    print(json.dumps(lines, indent=2) if args.json else mixes.table(lines))


def _times_of_runs(root: Path, published: dict) -> list[dict]:
    finished = [(run_folder.row_of(run_folder.read_config(folder), folder),
                 read_statistics(folder))
                for folder in run_folder.finished_runs(root).values()]
    return mixes.from_runs(finished, published)


def _epoch_seconds(row: Row, n_steps: int, ctx: list) -> dict[str, float]:
    """Return the seconds of an epoch of each kind that the row's nets allow; images are random."""
    import numpy as np

    from data.images import Images
    from training.run import stopwatch
    row = stopwatch.as_timed(row, n_steps)
    entry = table.get(row.data).sized(row.image_size)
    shape = entry.shape
    pixels = np.random.default_rng(0).integers(0, 256, (row.limit, *shape[1:], shape[0]),
                                               np.uint8)
    return stopwatch.epoch_seconds(row, Images(pixels), Images(pixels[:1]),
                                   build_nets(row, shape), ctx, entry.n_train)
