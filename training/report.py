"""Result folders: pictures, statistics, configuration and README. Never imports MXNet."""
import csv
import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from training.tables import STATISTICS, losses_table, markdown_table, read_statistics

COLUMNS = ('epoch', 'phase', 'vae_loss', 'disc_loss', 'kl', 'pixel', 'adversarial',
           'disc_real_accuracy', 'disc_fake_accuracy', 'val_loss', 'seconds')
CONFIG, STRIP = 'config.json', 'strip.png'
SHOWN_SIDE = 128  # pixels: the largest that a picture is scaled up to
CONFIG_FIELDS = {'run', 'name', 'caption', 'command', 'row', 'data', 'n_train', 'n_held_out',
                 'device'}
UNFINISHED = '.unfinished'  # a run's folder has this suffix until all of it is there
GAP = 4           # white pixels between the pictures of a strip


class ReportError(ValueError):
    """A result folder that cannot be read; the message is for the user."""


def begin(final: Path) -> Path:
    """A fresh folder for a run, under a name that nothing takes for a finished one's."""
    folder = final.with_name(final.name + UNFINISHED)
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def finish(folder: Path, final: Path) -> None:
    """Give a run's folder its name, in place of an earlier run's."""
    if final.exists():
        replaced = final.with_name(f'{final.name}.replaced{UNFINISHED}')
        final.rename(replaced)
        folder.rename(final)
        shutil.rmtree(replaced)
    else:
        folder.rename(final)


def write_csv_header(folder: Path) -> None:
    """Begin training_statistics.csv."""
    with open(folder / STATISTICS, 'w', newline='') as file:
        csv.writer(file, lineterminator='\n').writerow(COLUMNS)


def append_record(folder: Path, record: dict) -> None:
    """Add one epoch's line to training_statistics.csv; what it does not have stays empty."""
    with open(folder / STATISTICS, 'a', newline='') as file:
        writer = csv.DictWriter(file, COLUMNS, restval='', lineterminator='\n')
        shown = {k: '' if v is None else v for k, v in record.items()}
        writer.writerow(shown | {'seconds': f'{record["seconds"]:.3f}'})


def write_config(folder: Path, config: dict) -> None:
    """config.json: the resolved row, versions, device, data and their sha256."""
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + '\n')


def finished_runs(root: Path) -> dict[str, Path]:
    """Result folders below a root, by the names of their runs."""
    return {f'{path.parent.parent.name}/{path.parent.name}': path.parent
            for path in sorted(root.glob(f'*/*/{CONFIG}'))
            if not path.parent.name.endswith(UNFINISHED)}


def read_config(folder: Path) -> dict:
    """config.json of a result folder. ReportError if it is not what write_config wrote."""
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text())
    except ValueError as error:
        raise ReportError(f'{path}: not JSON ({error})') from None
    missing = CONFIG_FIELDS - (config.keys() if isinstance(config, dict) else set())
    if missing:
        raise ReportError(f'{path}: has no {", ".join(sorted(missing))}')
    return config


def write_pictures(folder: Path, pixels: np.ndarray, originals: np.ndarray | None) -> None:
    """0.png .. and strip.png, from (n, h, w, c) uint8; originals stand above, if there are."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pixels):
        _image(scale_up(picture)).save(folder / f'{i}.png')
    rows = [pixels] if originals is None else [originals, pixels]
    _image(grid(rows)).save(folder / STRIP)


def write_originals(folder: Path, pixels: np.ndarray) -> None:
    """The validation images themselves, once: 0.png .. in a folder beside the results."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pixels):
        if not (folder / f'{i}.png').exists():
            _image(scale_up(picture)).save(folder / f'{i}.png')


def scale_up(picture: np.ndarray) -> np.ndarray:
    """(h, w, c) uint8, every pixel repeated the same whole number of times."""
    factor = max(1, SHOWN_SIDE // picture.shape[0])
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def grid(rows: list[np.ndarray]) -> np.ndarray:
    """Rows of n pictures, each (n, h, w, c) uint8, as one picture with white gaps."""
    lines = [np.concatenate([_padded(scale_up(p)) for p in row], axis=1) for row in rows]
    return np.concatenate(lines)[GAP:, GAP:]


def _padded(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture, ((GAP, 0), (GAP, 0), (0, 0)), constant_values=255)


def _image(picture: np.ndarray) -> Image.Image:
    return Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)


def write_readme(folder: Path, published: dict) -> None:
    """README.md of a result folder: what was trained, how, what came out, beside published."""
    statistics, config = read_statistics(folder), read_config(folder)
    name, row = config['run'], config['row']
    source = config['data']
    lines = [f'# {name}', '',
             f'{config["caption"]}', '',
             f'![ten pictures]({STRIP})', '',
             ('Ten samples.' if row['pixel_loss'] is None else
              'Above: the first ten held-out images. Below: their reconstructions, from one '
              'sampled latent each.'), '',
             f'Data: {source["data"]}, {source["description"]}, {config["n_train"]} training '
             f'images. Device: {config["device"]}. Again with:', '', '```',
             config['command'], '```', '']
    lines += ['## Losses', '', losses_table(statistics, published), '',
              f'Means over the batches of an epoch; epochs count from 0; all of them in '
              f'[{STATISTICS}]({STATISTICS}). `vae_loss` = kl + pbp_weight * pixel + '
              f'disc_weight * adversarial; the terms themselves are unweighted. `val_loss` is '
              f'KL + pixel loss on the first {config["n_held_out"]} held-out images.', '']
    lines += ['## Configuration', '',
              markdown_table([['field', 'value'], *([k, str(v)] for k, v in row.items()
                                                    if v is not None)])]
    (folder / 'README.md').write_text('\n'.join(lines))
