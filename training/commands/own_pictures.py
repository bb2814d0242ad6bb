"""A trained net and a user's own pictures or latents: drawn, encoded, sampled."""
import math
import re
import sys
from pathlib import Path

from training.commands.opening import open_run
from training.commands.wiring import set_up_process
from training.experiments.row import ExperimentError
from training.reporting import latents, pictures, tables
from training.reporting.statistics import write_csv
from training.storage import files

CSV, SHEET, LATENTS = 'pictures.csv', 'sheet.png', 'latents.csv'
SPREAD = 0.5  # of samples around a picture; 1 is that of the prior
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
        file = _file_of(i, name)
        pictures.write_picture(args.out / file, again)
        psnr = (math.inf if (original == again).all() else
                peak_signal_noise_ratio(original, again, data_range=255))
        lines.append({'picture': name, 'file': file, 'psnr': psnr,
                      'kl': metrics.kl_per_latent(mean[i:i + 1], logvar[i:i + 1]).sum()})
    write_csv(args.out / CSV, ('picture', 'file', 'psnr', 'kl'), lines)
    pictures.write_sheet(args.out / SHEET, drawn, pixels)
    print(args.out / SHEET)


def sample_command(args) -> None:
    """`sample`: draw new pictures, of latents from the prior, or around a picture's."""
    if args.around is None and args.spread is not None:
        raise ExperimentError(f'--spread {args.spread}: expected --around with it')
    check_out(args.out, args.force)
    if args.around is None:
        set_up_process()
        net = open_run(args.run, args.results_root, args.ctx)
        z = net.latents(args.n, args.seed)
    else:
        net = _encoder(args.run, args.results_root, args.ctx)
        _, pixels = _read(net, [args.around], skip_bad=False)
        if len(pixels) != 1:
            raise ExperimentError(f'--around {args.around}: {len(pixels)} pictures, expected 1')
        spread = SPREAD if args.spread is None else args.spread
        z = net.encode(pixels)[0] + spread * net.latents(args.n, args.seed)
    _write_drawn(args.out, [f'{i:04d}.png' for i in range(len(z))], net.decode(z))
    latents.write(args.out / LATENTS, [f'{i:04d}.png' for i in range(len(z))], {'z': z})
    print(args.out / SHEET)


def decode_command(args) -> None:
    """`decode`: draw latents out of a file, such as `encode` writes."""
    if args.latents.suffix.lower() not in latents.SUFFIXES:
        raise ExperimentError(f'{args.latents}: expected a name that ends in .npz or .csv')
    check_out(args.out, args.force)
    set_up_process()
    net = open_run(args.run, args.results_root, args.ctx)
    names, z = latents.read(args.latents, net.row.n_latent)
    _write_drawn(args.out, [_file_of(i, name) for i, name in enumerate(names)], net.decode(z))
    print(args.out / SHEET)


def _write_drawn(out: Path, names: list[str], drawn) -> None:
    """Write pictures (n, h, w, c) uint8 below those names, and all of them as a sheet."""
    for name, picture in zip(names, drawn, strict=True):
        pictures.write_picture(out / name, picture)
    pictures.write_sheet(out / SHEET, drawn)


def _file_of(i: int, name: str) -> str:
    """Return what the picture that is drawn of one with a name is called."""
    name = re.split(r'\.zip: ', name, flags=re.IGNORECASE)[-1]  # that of the zip before it
    stem = files.shortened(Path(name).stem, MAX_STEM_BYTES).replace('\0', '')
    return f'{i:04d}_{stem}.png' if stem else f'{i:04d}.png'


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
    if args.out.suffix.lower() not in latents.SUFFIXES:
        raise ExperimentError(f'--out {args.out}: expected a name that ends in .npz or .csv')
    check_out(args.out, args.force)
    net = _encoder(args.run, args.results_root, args.ctx)
    names, pixels = _read(net, args.pictures, args.skip_bad)
    mean, logvar = net.encode(pixels)
    latents.write(args.out, names, {'mean': mean, 'logvar': logvar})
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
    names, pixels, not_read = own.read(paths, net.shape, skip_bad)
    if not_read:
        print(tables.passed_over(not_read), file=sys.stderr)
    return names, pixels


def check_out(out: Path, force: bool) -> None:
    """Raise an error for a place that cannot be written to, before what takes long.

    ExperimentError for a file, or a folder with something in it, unless forced; OSError, naming
    it, for a folder without permission.
    """
    if not force and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ExperimentError(f'{out}: there already; --force writes over it')
    files.check_writable(out if out.is_dir() else out.parent)
