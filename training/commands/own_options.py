"""The options of commands that take finished runs by name, with a user's pictures and latents."""
import argparse
from pathlib import Path

from training.commands import options


def reconstruct(sub: argparse.ArgumentParser, images: Path) -> None:
    options.add_run(sub, images)
    options.add_ctx(sub)
    options.add_pictures(sub)
    sub.add_argument('--out', metavar='DIR', type=options.folder, required=True,
                     help='where a PNG file of each goes, sheet.png (originals above), and '
                          'pictures.csv with PSNR and KL')
    latent = sub.add_mutually_exclusive_group()
    latent.add_argument('--mean', action='store_true', help="draw the latent's mean")
    latent.add_argument('--seed', metavar='S', type=options.seed, default=0,
                        help='of the latents that are sampled (default: 0)')


def sample(sub: argparse.ArgumentParser, images: Path) -> None:
    from training.commands.own_pictures import SPREAD
    options.add_run(sub, images)
    options.add_ctx(sub)
    sub.add_argument('--n', metavar='N', type=options.count, default=16,
                     help='number of samples (default: 16)')
    sub.add_argument('--seed', metavar='S', type=options.seed, default=0,
                     help="of the latents; a seed's first are the same for every N (default: 0)")
    sub.add_argument('--around', metavar='PICTURE', type=options.expanded,
                     help="near a picture's latent instead of anywhere in the prior")
    sub.add_argument('--spread', metavar='S', type=options.positive,
                     help='how far from it, 1 being the spread of the prior (default: '
                          f'{SPREAD})')
    sub.add_argument('--out', metavar='DIR', type=options.folder, required=True,
                     help='where the PNG files, sheet.png and latents.csv go')


def decode(sub: argparse.ArgumentParser, images: Path) -> None:
    options.add_run(sub, images)
    options.add_ctx(sub)
    sub.add_argument('latents', metavar='LATENTS', type=options.expanded,
                     help='.npz or .csv, as encode and sample write them: z or else mean is drawn')
    sub.add_argument('--out', metavar='DIR', type=options.folder, required=True,
                     help='where the PNG files and sheet.png go')


def interpolate(sub: argparse.ArgumentParser, images: Path) -> None:
    options.add_run(sub, images)
    options.add_ctx(sub)
    options.add_skip_bad_pictures(sub)
    sub.add_argument('first', metavar='A', type=options.expanded, help='a picture')
    sub.add_argument('last', metavar='B', type=options.expanded, help='another')
    sub.add_argument('--steps', metavar='N', type=options.count, default=10,
                     help='number of pictures, both ends among them (default: 10)')
    sub.add_argument('--spherical', action='store_true',
                     help='on the great circle between the latents, not the straight line')
    sub.add_argument('--out', metavar='FILE', type=options.expanded, required=True,
                     help='a .png with all of them, or a .gif')


def encode(sub: argparse.ArgumentParser, images: Path) -> None:
    options.add_run(sub, images)
    options.add_ctx(sub)
    options.add_pictures(sub)
    sub.add_argument('--out', metavar='FILE', type=options.expanded, required=True,
                     help='.npz with names, mean and logvar (n, z), or .csv')


def export(sub: argparse.ArgumentParser, images: Path) -> None:
    from training.commands.export import FORMATS
    options.add_run(sub, images)
    sub.set_defaults(ctx='cpu')  # nothing is computed
    sub.add_argument('--format', choices=FORMATS, required=True,
                     help='onnx: one graph per net, which computes what it does; safetensors: '
                          'parameters of all nets by name')
    sub.add_argument('--out', metavar='FILE', type=options.expanded, required=True,
                     help='a.onnx stands for a.encoder.onnx, a.decoder.onnx and '
                          'a.discriminator.onnx')


def explorer(sub: argparse.ArgumentParser, images: Path) -> None:
    options.add_runs(sub, '.html')
    options.add_places(sub, images)
    options.add_held_out(sub)


def compare(sub: argparse.ArgumentParser, images: Path) -> None:
    options.add_runs(sub, '.png')
    options.add_results_root(sub, images)
