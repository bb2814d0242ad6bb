"""A trained net and a user's own pictures: `reconstruct`, `sample`, `interpolate`, `encode`."""
import math
import sys
from pathlib import Path

from training.commands.opening import open_run
from training.commands.wiring import set_up_process
from training.experiments.row import ExperimentError
from training.reporting import pictures
from training.reporting.statistics import write_csv
from training.storage import files

CSV, SHEET = 'pictures.csv', 'sheet.png'
MAX_STEM_BYTES = 200  # of a picture's name in what is drawn of it


def reconstruct_command(args) -> None:
    """`reconstruct`: draw pictures again, each beside its original, with what is lost."""
    check_out(args.out, args.force)
    net = _encoder(args.run, args.results_root, args.ctx)
    names, pixels = _read(net, args.pictures, args.skip_bad)
    drawn, mean, logvar = net.reconstruct(pixels, None if args.mean else args.seed)
    from skimage.metrics import peak_signal_noise_ratio

    from training.evaluation import metrics
    lines = []
    for i, (name, original, again) in enumerate(zip(names, pixels, drawn, strict=True)):
        stem = files.shortened(Path(name).stem, MAX_STEM_BYTES)
        file = f'{i:04d}_{stem}.png'
        pictures.write_picture(args.out / file, again)
        psnr = (math.inf if (original == again).all() else
                peak_signal_noise_ratio(original, again, data_range=255))
        lines.append({'picture': name, 'file': file, 'psnr': psnr,
                      'kl': metrics.kl_per_latent(mean[i:i + 1], logvar[i:i + 1]).sum()})
    write_csv(args.out / CSV, ('picture', 'file', 'psnr', 'kl'), lines)
    pictures.write_sheet(args.out / SHEET, drawn, pixels)
    print(args.out / SHEET)


def sample_command(args) -> None:
    """`sample`: draw new pictures, of latents from the prior."""
    check_out(args.out, args.force)
    set_up_process()
    net = open_run(args.run, args.results_root, args.ctx)
    drawn = net.sample(args.n, args.seed)
    for i, picture in enumerate(drawn):
        pictures.write_picture(args.out / f'{i:04d}.png', picture)
    pictures.write_sheet(args.out / SHEET, drawn)
    print(args.out / SHEET)


def interpolate_command(args) -> None:
    """`interpolate`: draw the way from one picture to another."""
    if args.out.suffix.lower() not in ('.png', '.gif'):
        raise ExperimentError(f'--out {args.out}: expected a name that ends in .png or .gif')
    check_out(args.out, args.force)
    net = _encoder(args.run, args.results_root, args.ctx)
    _, pixels = _read(net, [args.first, args.last], args.skip_bad)
    if len(pixels) != 2:
        raise ExperimentError(f'{args.first} and {args.last}: {len(pixels)} pictures, expected 2')
    steps = net.interpolate(pixels, args.steps, args.spherical)
    if args.out.suffix.lower() == '.gif':
        pictures.write_animation(args.out, steps)
    else:
        pictures.write_sheet(args.out, steps)
    print(args.out)


def encode_command(args) -> None:
    """`encode`: write the latents of pictures, for other programs."""
    import numpy as np
    if args.out.suffix.lower() not in ('.npz', '.csv'):
        raise ExperimentError(f'--out {args.out}: expected a name that ends in .npz or .csv')
    check_out(args.out, args.force)
    net = _encoder(args.run, args.results_root, args.ctx)
    names, pixels = _read(net, args.pictures, args.skip_bad)
    mean, logvar = net.encode(pixels)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    if args.out.suffix.lower() == '.npz':
        with files.replacing(args.out) as temporary, open(temporary, 'wb') as file:
            np.savez(file, names=np.array([files.printable(name) for name in names]), mean=mean,
                     logvar=logvar)
    else:
        n = mean.shape[1]
        columns = ('picture', *(f'mean_{i}' for i in range(n)), *(f'logvar_{i}' for i in range(n)))
        write_csv(args.out, columns, [
            dict(zip(columns, (name, *of_mean.tolist(), *of_logvar.tolist()), strict=True))
            for name, of_mean, of_logvar in zip(names, mean, logvar, strict=True)])
    print(args.out)


def _encoder(run: str, results_root: Path, ctx: str):
    """Return the `TrainedNet` of a finished run, fast, and refuse one that only draws."""
    set_up_process()
    net = open_run(run, results_root, ctx)
    net.check_encoder()
    return net


def _read(net, paths: list[Path], skip_bad: bool) -> tuple:
    """Return the names of a user's pictures, and their pixels (n, h, w, c) uint8 for the net."""
    from data import own
    names, pixels, n_left_out = own.read(paths, net.shape, skip_bad)
    if n_left_out:
        print(f'pictures that cannot be read, left out: {n_left_out}', file=sys.stderr)
    return names, pixels


def check_out(out: Path, force: bool) -> None:
    """Raise an error for a place that cannot be written to, before what takes long.

    ExperimentError for a file, or a folder with something in it, unless forced; OSError, naming
    it, for a folder without permission.
    """
    if not force and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ExperimentError(f'{out}: there already; --force writes over it')
    files.check_writable(out if out.is_dir() else out.parent)
