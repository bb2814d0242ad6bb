"""results/index.html: every finished run on one page that needs nothing but its folder.

Made of the same records as the READMEs; pictures are files beside it. Never imports MXNet.
"""
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import jinja2
from PIL import Image

from training import (
    claim,
    experiments,
    files,
    folders,
    gallery,
    naming,
    peers,
    repairs,
    report,
    tables,
    timing,
)
from training.experiments import EXPERIMENTS, Experiment

NAME = 'index.html'
TEMPLATES = Path(__file__).parent / 'templates'
LABELS = {'vae_loss': 'VAE loss', 'disc_loss': 'discriminator loss', 'enc_loss': 'encoder loss',
          'dec_loss': 'decoder loss'}
MORE = {  # pictures that stand behind a click: file name to what it shows
    report.LOSSES: 'losses over the epochs',
    report.STRIP_ANIMATION: 'the strip over the epochs',
    report.ANIMATION: 'samples over the epochs',
    report.CLASSES_CHART: 'which digits the samples show, over the epochs',
    **{path: f'exploration: {name}' for name, path in report.EXPLORED.items()}}


def studies() -> dict[str, list[str]]:
    """What is compared: by title, the names of runs."""
    digits = [row for row in EXPERIMENTS.values() if row.data == 'MNIST'
              and row.kind_of_combo != 'vaegan']
    found = {'Digits: with and without a discriminator': [
        *digits, *(replace(row, step='shared') for row in digits if row.disc)]}
    for title, names in gallery.STUDIES.items():
        found[f'Faces, reduced: {title.lower()}'] = [
            gallery.at_scale(experiments.canonical(EXPERIMENTS[name])) for name in names]
    found |= {'Faces, reduced: reshape and transpose': gallery.layouts(),
              'Faces: the flaws of ConvVAE': repairs.rows(),
              'Digits: five seeds': claim.rows(),
              **{title: rows.values() for title, rows in peers.studies().items()}}
    return {title: [*map(naming.run_name, rows)] for title, rows in found.items()}


def write(root: Path, images: Path) -> Path:
    """Write the page of all finished runs below `images`: `root` or a folder in it.

    FolderError if there are none, or one cannot be read.
    """
    published, measured = tables.published_numbers(), _gallery(root)
    runs = [_run(name, folder, root, published, measured.get(name, {}))
            for name, folder in folders.finished_runs(images).items()]
    if not runs:
        raise folders.FolderError(f'{images}: no finished runs')
    finished = {run['name'] for run in runs}
    compared = {title: [name for name in names if name in finished]
                for title, names in studies().items()}
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True)
    page = environment.get_template(NAME).render(
        runs=runs, studies={title: found for title, found in compared.items() if len(found) > 1},
        choices={field: sorted({run[field] for run in runs if run[field]})
                 for field in ('data', 'net')},
        timing=_timing(root))
    files.write_text(root / NAME, page)
    return root / NAME


def _gallery(root: Path) -> dict[str, dict]:
    """The lines of gallery.csv by run, if it is there."""
    path = root / 'gallery.csv'
    return {line['run']: line for line in tables.read_csv(path)} if path.exists() else {}


def _run(name: str, folder: Path, root: Path, published: dict, measured: dict) -> dict:
    """What the page says of a run; measured: its line of gallery.csv."""
    config = folders.read_config(folder)
    row = folders.row_of(config, folder)
    evaluation = folders.read_evaluation(folder)
    return {'name': name, 'data': row.data, 'net': ' + '.join(filter(None, (row.vae, row.disc))),
            'caption': naming.caption(row), 'command': config['command'],
            'source': f'{config["data"]["description"]}; {config["n_train"]} training images',
            'strip': _picture(folder / report.STRIP, root),
            'alt': _shown(row),
            'more': [(_picture(folder / path, root), text) for path, text in MORE.items()
                     if (folder / path).exists()],
            'readme': _link(folder / 'README.md', root),
            'numbers': _numbers(row, folder, published.get(row.name, {})),
            'other_images': tables.OTHER_IMAGES.get(row.data, '') if row.name in published else '',
            'measures': _measures(evaluation) if evaluation else [
                (f'{label}, first {config["n_held_out"]}', tables.number(measured[k], 4))
                for k, label in tables.MEASURES.items() if measured.get(k)],
            'configuration': [(field, value) for field, value in row.configuration().items()
                              if value is not None]}


def _picture(path: Path, root: Path) -> dict[str, str | int]:
    """Where it is, and its size in pixels, so that nothing on the page moves when it comes."""
    try:
        with Image.open(path, formats=['PNG', 'GIF']) as image:
            return {'src': _link(path, root), 'width': image.width, 'height': image.height}
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise folders.FolderError(f'{path}: expected a PNG or GIF picture, found none') from e


def _link(path: Path, root: Path) -> str:
    return quote(path.relative_to(root).as_posix())


def _shown(row: Experiment) -> str:
    kind = 'digits' if row.data in ('MNIST', 'sketch_digits') else 'faces'
    if not row.encodes:
        return f'Ten {kind} that the net made of noise'
    return f'Ten {kind} that were held out, and below them what the net made of them'


def _numbers(row: Experiment, folder: Path, published: dict) -> list[dict]:
    """Losses, ours beside published: of the same epoch, or of the whole published run."""
    curve, found = naming.comparable_curve(row, published), []
    ours, seconds = tables.our_numbers(folder, curve), tables.published_seconds(published)
    labels = LABELS if row.encodes else LABELS | {'vae_loss': 'generator loss'}
    for loss, digits in tables.family(row).losses.items():
        same = ours.get(f'published_{loss}')
        whole = published.get(f'pub_{loss}')
        if ours[f'our_{loss}'] is not None:
            found.append({'label': f'{labels[loss]}, epoch {ours["our_epoch"]}',
                          'ours': tables.number(ours[f'our_{loss}'], digits),
                          'published': tables.number(same, digits) if same is not None else '',
                          'in_full': tables.number(whole, digits) if whole and same is None
                          else '', 'last_epoch': published.get('pub_last_epoch')})
    return [*found, {'label': 'seconds an epoch', 'in_full': '',
                     'published': tables.number(seconds, 1) if curve and seconds else '',
                     'ours': tables.number(ours['our_seconds_per_epoch'], 1)}]


def _measures(evaluation: dict) -> list[tuple[str, str]]:
    measures = evaluation['measures']
    return [(header, tables.measure(measures, k)) for k, (header, _) in tables.EVALUATED.items()
            if k in measures]


def _timing(root: Path) -> dict | None:
    """The chart of timed mixes and its table, if they were timed."""
    path = root / 'timing.csv'
    if not path.exists() or not path.with_suffix('.png').exists():
        return None
    return {'chart': _picture(path.with_suffix('.png'), root),
            'table': timing.cells(tables.read_csv(path))}
