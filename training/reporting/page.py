"""results/index.html: every finished run on one page that needs nothing but its folder.

Made of the same records as the READMEs; pictures are files beside it. Never imports MXNet.
"""
from pathlib import Path
from urllib.parse import quote

import jinja2
from PIL import Image

from training.experiments import naming
from training.experiments.registry import Experiment
from training.reporting import pictures, tables
from training.reporting.published import our_numbers, published_seconds
from training.reporting.statistics import family_of_row, read_csv
from training.storage import files, run_folder

NAME = 'index.html'
TEMPLATES = Path(__file__).parent / 'templates'
LABELS = {'vae_loss': 'VAE loss', 'disc_loss': 'discriminator loss', 'enc_loss': 'encoder loss',
          'dec_loss': 'decoder loss'}
MORE = {  # pictures that stand behind a click: file name to what it shows
    pictures.LOSSES: 'losses over the epochs',
    pictures.STRIP_ANIMATION: 'the strip over the epochs',
    pictures.ANIMATION: 'samples over the epochs',
    pictures.CLASSES_CHART: 'which digits the samples show, over the epochs',
    **{path: f'exploration: {name}' for name, path in pictures.EXPLORED.items()}}


def write(root: Path, images: Path, studies: dict[str, list[str]], published: dict[str, dict],
          kinds: dict[str, str]) -> Path:
    """Write the page of all finished runs below `images`: `root` or a folder in it.

    studies: the names of the runs that are compared, by title. published: numbers and a note, by
    experiment. kinds: what a data set's pictures show, by its name. FolderError if there are no
    finished runs, or one cannot be read.
    """
    measured = _gallery(root)
    runs = [_run(name, folder, root, published, measured.get(name, {}), kinds)
            for name, folder in run_folder.finished_runs(images).items()]
    if not runs:
        raise run_folder.FolderError(f'{images}: no finished runs')
    finished = {run['name'] for run in runs}
    compared = {title: [name for name in names if name in finished]
                for title, names in studies.items()}
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
    """The lines of anime.csv by run, if it is there."""
    path = root / 'gallery.csv'
    return {line['run']: line for line in read_csv(path)} if path.exists() else {}


def _run(name: str, folder: Path, root: Path, published: dict, measured: dict,
         kinds: dict[str, str]) -> dict:
    """What the page says of a run; measured: its line of anime.csv."""
    config = run_folder.read_config(folder)
    row = run_folder.row_of(config, folder)
    evaluation = run_folder.read_evaluation(folder)
    return {'name': name, 'data': row.data, 'net': ' + '.join(filter(None, (row.vae, row.disc))),
            'caption': naming.caption(row), 'command': config['command'],
            'source': f'{config["data"]["description"]}; {config["n_train"]} training images',
            'strip': _picture(folder / pictures.STRIP, root),
            'alt': _shown(row, kinds.get(row.data, 'images')),
            'more': [(_picture(folder / path, root), text) for path, text in MORE.items()
                     if (folder / path).exists()],
            'readme': _link(folder / 'README.md', root),
            'numbers': _numbers(row, folder, published.get(row.name, {})),
            'other_images': published.get(row.name, {}).get('note', ''),
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
        raise run_folder.FolderError(f'{path}: expected a PNG or GIF picture, found none') from e


def _link(path: Path, root: Path) -> str:
    return quote(path.relative_to(root).as_posix())


def _shown(row: Experiment, kind: str) -> str:
    if not row.encodes:
        return f'Ten {kind} that the net made of noise'
    return f'Ten {kind} that were held out, and below them what the net made of them'


def _numbers(row: Experiment, folder: Path, published: dict) -> list[dict]:
    """Losses, ours beside published: of the same epoch, or of the whole published run."""
    curve, found = naming.comparable_curve(row, published), []
    ours, seconds = our_numbers(folder, curve), published_seconds(published)
    labels = LABELS if row.encodes else LABELS | {'vae_loss': 'generator loss'}
    for loss, digits in family_of_row(row).losses.items():
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
            'table': tables.timing_cells(read_csv(path))}
