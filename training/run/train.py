"""One run: trained from its last checkpoint on, and all that its result folder then holds.

Nets, data and row come as arguments: building and loading them is the command line's.
"""
import gc
import math
import mmap
import shlex
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import mxnet
import numpy as np

from training.evaluation.trained_net import TrainedNet
from training.experiments import early_stopping, naming
from training.experiments.row import ExperimentError, Row
from training.reporting import pictures, run_readme
from training.reporting.statistics import write_statistics
from training.run import loop, samples
from training.run.progress_bar import ProgressBar
from training.runtime import device, signals
from training.steps import phases, solo_combo
from training.steps.networks import ALONE, Networks, make_networks
from training.storage import checkpoints, parameters, run_folder, unfinished

# Address space that a run gives back in the end: MXNet's kernels for pictures crash without
RESERVED_BYTES = 64 << 20
N_INPUTS = 20  # training images that a run shows


@dataclass(frozen=True)
class Options:
    """What a user may ask of a run besides its row, and the shell command that asked."""
    results_root: Path
    command_line: str
    force: bool
    fresh: bool
    checkpoint_minutes: float
    snapshot_every: int | None = None  # epochs
    initial: dict[str, Path] = field(default_factory=dict)  # files of parameters by net
    repeated_by: list[str] = field(default_factory=list)  # further options of a command
    resumed_by: list[str] = field(default_factory=list)  # and of one that lets it go on
    job: str | None = None  # the whole command of a job of several processes
    tensorboard: Path | None = None
    published: dict = field(default_factory=dict)  # numbers of the row, to be shown beside ours
    own_name: str | None = None        # of the run, if the user gave it one
    continued: Path | None = None      # the folder of a finished run of fewer epochs
    keep_checkpoint: bool = False


def train(row: Row, dataset, vae, disc, ctx: list, options: Options,
          workers=ALONE, feature_disc=None, classifier=None) -> TrainedNet | None:
    """Train one row; its folder gets its name when it is whole.

    feature_disc: of a VAE/GAN, the discriminator with its features. classifier: of its samples.
    Of several workers the first one writes, and the others return nothing.
    """
    gc.collect()  # the nets of a run before: in cycles whose size Python does not see
    networks = make_networks(row, vae, disc, dataset.shape, ctx, workers, feature_disc)
    for net, path in options.initial.items():
        parameters.load(getattr(networks, net), path, ctx)
    if workers.rank > 0:
        progress = checkpoints.share(workers, networks, phases.Progress(), row)
        for _ in loop.train(networks, dataset.train, dataset.test, row, ctx, progress,
                            workers=workers):
            pass
        return None
    final = options.results_root / naming.run_name(row, options.own_name)
    folder, lock = run_folder.begin(final, options.fresh)
    with lock, mmap.mmap(-1, RESERVED_BYTES) as reserve:
        if final.exists() and not options.force:
            raise ExperimentError(f'{final}: {run_folder.IN_THE_WAY}')
        config = _config(row, dataset, device.describe(ctx, workers.count), options)
        run = TrainedNet(row, folder, vae, ctx[0], dataset)
        how_to_go_on = f'the last checkpoint stays; go on with: {options.command_line}'
        try:
            _train_epochs(run, networks, ctx, config, options, workers, classifier)
            reserve.close()
            _finish(run, networks, ctx, options)
            if options.keep_checkpoint:
                kept = unfinished.keep_last(folder)
                print(f'{kept.name}: {kept.stat().st_size / 1e6:.0f} MB kept, for --more')
            run_folder.finish(folder, final)
        except signals.Stopped as stopped:
            if stopped.says_how or not unfinished.checkpoints_in(folder):
                raise
            raise signals.Stopped(stopped.signum, f'interrupted; {how_to_go_on}') from None
        except Exception as error:
            reserve.close()
            same_again = (checkpoints.CheckpointError, run_folder.FolderError, phases.Diverged)
            if unfinished.checkpoints_in(folder) and not isinstance(error, same_again):
                error.__notes__ = [how_to_go_on]  # by 3.11: add_note
            raise
    print(final)
    return replace(run, folder=final)


def _train_epochs(run: TrainedNet, networks: Networks, ctx: list, config: dict,
                  options: Options, workers, classifier) -> None:
    """Train all epochs that are still to be trained, with a checkpoint after each."""
    row, dataset, folder = run.row, run.dataset, run.folder
    goes_on = unfinished.checkpoints_in(folder)
    merged = unfinished.merged_config(folder, config) if goes_on else config
    if options.continued and not goes_on:
        unfinished.continue_from(options.continued, folder)
    progress = checkpoints.last(folder, networks, row, len(dataset.train))
    run_folder.write_config(folder, merged)
    for line in [] if progress else unfinished.left_behind(folder, row):
        print(line, file=sys.stderr)
    print(f'{config["run"]}: {row.epochs} epochs on {config["device"]}'
          + (f', going on after {progress.described(row)}' if progress else ''), flush=True)
    progress = checkpoints.share(workers, networks, progress or phases.Progress(), row)
    write_statistics(folder, progress.records, row.kind)
    pictures.write_inputs(folder, dataset.train.first(N_INPUTS))
    bar = ProgressBar(row.epochs, workers.count)
    board = None
    if options.tensorboard:
        from training.run.tensorboard import Board
        board = Board(options.tensorboard / config['run'], len(progress.records))
    with signals.deferred() as asked:
        keeper = checkpoints.Keeper(
            folder, networks, row, options.checkpoint_minutes if workers.count == 1 else math.inf,
            asked, options.command_line)

        def on_batch(*batch) -> None:
            bar.on_batch(*batch)
            keeper.on_batch(*batch)
        try:
            for record in loop.train(networks, dataset.train, dataset.test, row, ctx, progress,
                                     on_batch, workers):
                write_statistics(folder, progress.records, row.kind)
                bar.on_epoch(record)
                if options.snapshot_every and not (record['epoch'] + 1) % options.snapshot_every:
                    pictures.write_snapshot(folder, record['epoch'] + 1,
                                            *run.validation_pictures())
                if board:
                    board.add(record, pictures.strip(*run.validation_pictures()))
                if samples.due(row, record['epoch'] + 1):
                    samples.keep(run, record['epoch'] + 1, classifier)
                if early_stopping.is_new_low(row, progress.records):
                    _save(networks, folder, run_folder.BEST)
                keeper.on_epoch(progress)
        except phases.Diverged as error:
            write_statistics(folder, [*progress.records, error.record], row.kind)
            raise
        finally:
            bar.close()
            if board:
                board.close()
    if ended := early_stopping.ending(row, progress.records):
        print(ended)


def _save(networks: Networks, folder: Path, name: str) -> None:
    """Write the nets' parameters; name: of the files, with {} for the net."""
    for net in ('vae', 'disc'):
        if getattr(networks, net):
            parameters.save(getattr(networks, net), folder / name.format(net))


def _finish(run: TrainedNet, networks: Networks, ctx: list, options: Options) -> None:
    """Write all that a finished run leaves besides its statistics."""
    if early_stopping.keeps_best(run.row):
        for net in filter(lambda net: getattr(networks, net), ('vae', 'disc')):
            parameters.load(getattr(networks, net), run.folder / run_folder.BEST.format(net), ctx)
    _save(networks, run.folder, run_folder.PARAMETERS_OF)
    if len(ctx) > 1:  # pictures are of what the file holds: the mean of running statistics
        parameters.load(run.vae, run.folder / run_folder.PARAMETERS, run.ctx)
    run.keep_pictures()
    pixels, originals = run.validation_pictures()
    pictures.write_pictures(run.folder, pixels, originals)
    if originals is not None:
        pictures.write_originals(options.results_root / naming.originals_name(run.row), originals,
                                 run.dataset.originals, run.dataset.source['sha256'][:8],
                                 are_known=not run.row.images)
    pictures.write_animations(run.folder)
    run_readme.draw_curves(run.folder, run.row, options.published)
    run_readme.write_readme(run.folder, options.published)


def _config(row: Row, dataset, device_name: str, options: Options) -> dict:
    own_name = options.own_name
    command = ' '.join([
        naming.command(row, own_name), *['--skip-bad'] * ('left_out' in dataset.source),
        *map(shlex.quote, options.repeated_by)])
    return {'run': naming.run_name(row, own_name), 'name': row.name,
            **({'own_name': own_name} if own_name else {}), 'caption': naming.caption(row),
            'command': command,
            run_folder.RESUME: options.job or ' '.join([
                command, *map(shlex.quote, options.resumed_by)]),
            'row': row.recorded(),
            'data': dataset.source,
            'n_train': phases.n_images(len(dataset.train), row),
            'n_held_out': min(len(dataset.test), solo_combo.N_HELD_OUT),
            'device': device_name, 'seed': row.seed,
            'versions': {'python': sys.version.split()[0], 'mxnet': mxnet.__version__,
                         'numpy': np.__version__}}
