"""The page that `report` writes, index.html: every finished run, for a browser without network.

It is made of the same records as the READMEs; pictures are files beside it. Never imports MXNet.
"""
from pathlib import Path
from urllib.parse import quote

import jinja2
from PIL import Image

from training.evaluation import measures
from training.evaluation.measures import glossary, in_tables
from training.experiments import naming
from training.experiments.registry import EXPERIMENTS, OURS
from training.experiments.row import Row
from training.reporting import explorer, pictures, tables
from training.reporting.published import our_numbers, published_seconds
from training.reporting.statistics import read_timing
from training.storage import files, finding, run_folder

NAME = 'index.html'
TEMPLATES = Path(__file__).parent / 'templates'
MORE = {  # pictures that stand behind a click: file name to what it shows, and that in a word
    **{path: (pictures.EXPLAINED[name], name) for name, path in pictures.EXPLORED.items()},
    pictures.ANIMATION: ('Samples over the epochs', 'samples over the epochs'),
    pictures.STRIP_ANIMATION: ('The strip over the epochs', 'strip over the epochs'),
    pictures.CLASSES_CHART: ('Which digits the samples show, by epochs trained', 'classes'),
    pictures.LOSSES: ('Losses over the epochs', 'losses')}
PUBLISHED_NETS = ('{}: published nets', 'The nets, the data and the procedure are the published '
                  'ones. A label says where a run has fewer epochs or another step.')
CHANGED = ('{}: reduced or changed', 'None of these is a published experiment: labels say in what '
           'each differs. Their losses do not compare with published ones.')


def write(root: Path, images: Path, studies: dict[str, list[str]], published: dict[str, dict],
          kinds: dict[str, str]) -> Path:
    """Write the page of all finished runs below `images`: `root` or a folder in it.

    studies: the names of the runs that are compared, by title. published: numbers and a note, by
    experiment. kinds: what a data set's pictures show, by its name. FolderError if there are no
    finished runs, or one cannot be read.
    """
    runs = sorted((_run(name, folder, root, published, kinds)
                   for name, folder in run_folder.finished_runs(images).items()),
                  key=lambda run: run['place'])
    if not runs:
        raise run_folder.FolderError(f'{images}: no finished runs; {finding.ELSEWHERE}')
    sections = _sections(runs)
    runs = [run for section in sections for run in section['runs']]
    columns = _columns(runs)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True,
                                     lstrip_blocks=True)
    page = environment.get_template(NAME).render(
        runs=runs, sections=sections, columns=columns,
        comparable={'Studies': _compared(runs, studies),
                    'All runs with the same originals': _sharing_originals(runs)},
        choices={field: sorted({run[field] for run in runs if run[field]})
                 for field in ('data', 'net')},
        measures={header: text for header, text in glossary().items() if header in columns},
        explorer=explorer.NAME if (root / explorer.NAME).is_file() else None,
        timing=_timing(root))
    files.write_text(root / NAME, page)
    return root / NAME


def _sections(runs: list[dict]) -> list[dict]:
    """Return runs in sections: by data and kind of training, published ones before others."""
    sections = {}
    for run in runs:
        sections.setdefault(run['section'], []).append(run)
    return [{'title': title.format(of), 'text': text, 'runs': those,
             'notes': sorted({run['other_images'] for run in those if run['other_images']})}
            for (of, (title, text)), those in sections.items()]


def _compared(runs: list[dict], studies: dict[str, list[str]]) -> dict[str, list[int]]:
    """Return the places of each study's runs in `runs`, by title, where there are two or more."""
    place = {run['name']: i for i, run in enumerate(runs)}
    places = {title: [place[name] for name in names if name in place]
              for title, names in studies.items()}
    return {title: those for title, those in places.items() if len(those) > 1}


def _sharing_originals(runs: list[dict]) -> dict[str, list[int]]:
    """Return the places in `runs` of two or more with the same held-out images, by title."""
    places = {}
    for i, run in enumerate(runs):
        places.setdefault(run['originals'], []).append(i)
    titles = [title for title, _ in places]
    return {title if titles.count(title) == 1 else f'{title} {checksum[:8]}': those
            for (title, checksum), those in places.items() if len(those) > 1}


def _columns(runs: list[dict]) -> list[str]:
    """Return the headers of the measures that any run has."""
    return [of.header for of in in_tables().values()
            if any(of.header in run['values'] for run in runs)]


def _place(row: Row, name: str) -> tuple:
    """Return what runs are sorted by: as published, and each before what is changed of it."""
    changed = naming.changes(row).keys() - row.of_pictures()
    whole = changed <= naming.EPOCHS | {'step'} and row.name not in OURS
    section = next((i for i, other in enumerate(EXPERIMENTS.values())
                    if (other.data, other.kind) == (row.data, row.kind)), len(EXPERIMENTS))
    return section, not whole, [*EXPERIMENTS].index(row.name), len(changed), name


def _run(name: str, folder: Path, root: Path, published: dict, kinds: dict[str, str]) -> dict:
    """Return what the page says of a run."""
    config = run_folder.read_config(folder)
    row = run_folder.row_of(config, folder)
    evaluation = run_folder.read_evaluation(folder)
    place, numbers = _place(row, name), _numbers(row, folder, published.get(row.name, {}))
    return {'name': name, 'data': row.data, 'net': row.nets, 'place': place,
            'section': (row.kind.section.format(row.data),
                        CHANGED if place[1] else PUBLISHED_NETS),
            'short': row.name.split('/')[1], 'labels': naming.labels(row, config.get('own_name')),
            'command': config['command'],
            # The checksum is of all pixels, held-out ones last: the split and the size are in it
            'originals': (naming.originals_name(row).replace('_', ' '), config['data']['sha256']),
            'source': f'{config["data"]["description"]}; {config["n_train"]} training images',
            'strip': _picture(folder / pictures.STRIP, root),
            'alt': _shown(row, kinds.get(row.data, 'images')),
            'more': [(_picture(folder / path, root), *texts) for path, texts in MORE.items()
                     if (folder / path).exists()],
            'readme': _link(folder / 'README.md', root),
            'numbers': numbers,
            'other_images': published.get(row.name, {}).get('note', '') if any(
                line['published'] or line['in_full'] for line in numbers) else '',
            'values': {of.header: evaluation['measures'][k] for k, of in in_tables().items()
                       if k in evaluation['measures']} if evaluation else {},
            'measures': _measures(evaluation) if evaluation else [],
            'few': measures.on_few(evaluation['images']) if evaluation else '',
            'configuration': [(field, value) for field, value in row.recorded().items()
                              if value is not None]}


def _picture(path: Path, root: Path) -> dict[str, str | int]:
    """Return where a picture is, and its size in pixels, so that nothing moves when it comes."""
    try:
        with Image.open(path, formats=['PNG', 'GIF']) as image:
            return {'src': _link(path, root), 'width': image.width, 'height': image.height}
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise run_folder.FolderError(f'{path}: expected a PNG or GIF picture, found none') from e


def _link(path: Path, root: Path) -> str:
    return quote(path.relative_to(root).as_posix())


def _shown(row: Row, kind: str) -> str:
    if not row.encodes:
        return f'Ten {kind}, sampled from the prior'
    return f'Ten {kind} that were held out, and below them their reconstructions'


def _numbers(row: Row, folder: Path, published: dict) -> list[dict]:
    """Return losses, ours beside published: of the same epoch, or of the whole published run.

    Of a run whose loss is another there is nothing to stand beside it.
    """
    curve, lines = naming.comparable_curve(row, published), []
    ours, seconds = our_numbers(folder, row, curve), published_seconds(published)
    comparable = naming.has_published_loss(row)
    for loss, named in row.kind.losses.items():
        same = ours.get(f'published_{loss}')
        whole = comparable and published.get(f'pub_{loss}')
        if ours[f'our_{loss}'] is not None:
            lines.append({'label': f'{named.label}, epoch {ours["our_epoch"]}',
                          'ours': tables.number(ours[f'our_{loss}'], named.digits),
                          'published': '' if same is None else tables.number(same,
                                                                             named.digits),
                          'in_full': tables.number(whole, named.digits) if whole and same is None
                          else '', 'last_epoch': published.get('pub_last_epoch')})
    return [*lines, {'label': 'seconds an epoch', 'in_full': '',
                     'published': tables.number(seconds, 1) if curve and seconds else '',
                     'ours': tables.number(ours['our_seconds_per_epoch'], 1)}]


def _measures(evaluation: dict) -> list[tuple[str, str]]:
    taken = evaluation['measures']
    return [(of.header, tables.measure(taken, name)) for name, of in in_tables().items()
            if name in taken]


def _timing(root: Path) -> dict | None:
    """Return the chart of timed mixes and its table, if they were timed."""
    path = root / 'timing.csv'
    if not path.exists() or not path.with_suffix('.png').exists():
        return None
    return {'chart': _picture(path.with_suffix('.png'), root),
            'table': tables.timing_cells(read_timing(path))}
