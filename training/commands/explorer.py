"""`explorer`: a page in which the nets of finished runs draw, without network or server."""
import sys
from pathlib import Path

from data import MissingDataError, table
from data.fetch import Places
from training.commands import opening
from training.commands.own_pictures import check_out
from training.commands.runs import validation_images
from training.commands.wiring import load_data, set_up_process
from training.experiments import naming
from training.experiments.row import ExperimentError, Row
from training.reporting import explorer
from training.storage import finding, run_folder

MOST_VALUES = 2_000_000  # of an encoder in the page: 4 MB


def explorer_command(args) -> None:
    """`explorer`: write one HTML file with the nets of these runs."""
    if args.out.suffix.lower() not in ('.html', '.htm'):
        raise ExperimentError(f'--out {args.out}: expected a name that ends in .html')
    if args.out.is_dir():
        raise ExperimentError(f'--out {args.out}: a folder, expected the name of a file')
    check_out(args.out, args.force)
    set_up_process()
    names = finding.several(args.results_root, args.runs)
    groups = _groups(names, args.ctx, args.places, args.skip_bad)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    explorer.write(args.out, groups)
    print(args.out)


def _groups(names: dict[Path, str], ctx: str, places: Places,
            skip_bad: bool) -> list[explorer.Group]:
    """Return the nets of runs, those together that have as many latents and the same images."""
    groups, originals = {}, {}
    for folder, name in names.items():
        config = run_folder.read_config(folder)
        row = run_folder.row_of(config, folder)
        shape = table.get(row.data).sized(row.image_size).shape
        images = row.data, shape, config['data']['sha256'], row.shuffle_seed
        if row.encodes and images not in originals:
            originals[images] = _held_out(row, config, folder, places, skip_bad)
        net = _net(folder, name, config, originals.get(images), ctx)
        groups.setdefault((images, row.n_latent), []).append(net)
    titles = [f'{images[0]}, {n_latent} latents' for images, n_latent in groups]
    return [explorer.Group(
        title if titles.count(title) == 1 else f'{title} ({titles[:i].count(title) + 1})',
        images[1], n_latent, originals.get(images), nets)
        for i, (title, ((images, n_latent), nets)) in enumerate(
            zip(titles, groups.items(), strict=True))]


def _held_out(row: Row, config: dict, folder: Path, places: Places, skip_bad: bool):
    """Return the first held-out images (n, h, w, c) uint8: as many as codes are kept of.

    From the data, or where these are not here the ten that stand beside results.
    """
    from training.storage import picture_file
    try:
        dataset = load_data(row, places, skip_bad)
        opening.check_data(config, dataset, folder)
    except (MissingDataError, opening.OtherDataError):
        dataset = None if places else validation_images(row, config, folder)
        if dataset is None:
            raise
    return dataset.test.first(picture_file.N_KEPT)


def _net(folder: Path, name: str, config: dict, originals, ctx: str) -> explorer.Net:
    """Return the nets of a finished run, as the page takes them."""
    trained = opening.open_run(folder, ctx=ctx)
    from models import plain  # MXNet: after the process is set up
    from training.storage import picture_file
    row, vae = trained.row, trained.vae
    encoder, absent, codes = None, 'a plain GAN: it has no encoder', (None, None)
    if row.encodes and (folder / run_folder.PARAMETERS).exists():
        encoder, absent = plain.layers(vae.encoder, trained.shape), ''
        codes = trained.encode(originals)
        if (n := plain.n_parameters(encoder)) > MOST_VALUES:
            encoder, absent = None, f'its encoder is too large for a page ({n:,} parameters)'
    elif row.encodes:
        kept = picture_file.load(folder / run_folder.PICTURES)[1]
        codes, absent = (kept['mean'], kept['logvar']), 'its encoder is not in this page'
    if absent:
        print(f'{folder}: no pictures of your own, for {absent}', file=sys.stderr)
    labels = naming.labels(row, config.get('own_name'))
    if name == str(folder):  # another one is called as it is
        labels = [*labels, name]
    return explorer.Net(
        name, row.nets, tuple(labels), row.layout,
        plain.layers(trained.decoder, (row.n_latent,)), encoder, absent, *codes)
