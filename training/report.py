"""Result folders: pictures, statistics, configuration and README. Never imports MXNet."""
import io
import json
import math
import re
import shutil
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from training import experiments, files, naming, tables
from training.experiments import Experiment
from training.tables import STATISTICS, markdown_table, read_statistics, write_csv

CONFIG, STRIP, PARAMETERS = 'config.json', 'strip.png', 'vae.params'
IN_THE_WAY = 'a finished run is there; --force replaces it'
SHOWN_SIDE = 128  # pixels: the largest that a picture is scaled up to
CONFIG_FIELDS = {'run': str, 'name': str, 'caption': str, 'command': str, 'row': dict,
                 'data': dict, 'n_train': int, 'n_held_out': int, 'device': str}
DATA_FIELDS = ('data', 'description', 'sha256')  # of its data
UNFINISHED = '.unfinished'  # a run's folder has this suffix until all of it is there
LOCK = '.lock'              # in it: held by the process that runs
SUMS = 'SHA256SUMS'         # of all other files of a finished run, as sha256sum writes and checks
GAP = 4           # white pixels between the pictures of a strip
SAMPLES = 'samples_{:03d}.png'  # after that epoch, from 1
ANIMATION, LOSSES = 'samples.gif', 'losses.png'
CLASSES, CLASSES_CHART = 'classes.csv', 'classes.png'
SAMPLE_SIDE = 56  # pixels: as SHOWN_SIDE, of samples
FRAME_MILLISECONDS = 400
N_SHOWN_SAMPLES = 7  # pictures of samples in a result folder's README


class ReportError(ValueError):
    """A result folder that cannot be read; the message is for the user."""


def begin(final: Path, fresh: bool) -> tuple[Path, IO[str]]:
    """The folder of an unfinished run, under a name that nothing takes for a finished one's.

    And the lock on it, held until it is closed. fresh: nothing of an earlier start stays.
    LockError if another process runs it.
    """
    folder = final.with_name(final.name + UNFINISHED)
    folder.mkdir(parents=True, exist_ok=True)
    lock = files.lock(folder / LOCK)
    for path in folder.iterdir():
        if path.name != LOCK and (fresh or path.name.startswith('.')):
            path.unlink()
    return folder, lock


def finish(folder: Path, final: Path) -> None:
    """Record the files' checksums and give a run's folder its name, in place of an earlier run's.

    Then remove what only an unfinished run needs: it is there as long as the run may go on.
    """
    write_checksums(folder)
    replaced = final.with_name(f'{final.name}.replaced{UNFINISHED}')
    if final.exists():
        if replaced.exists():
            shutil.rmtree(replaced)
        final.rename(replaced)
    folder.rename(final)
    remove_leftovers(final)


def remove_leftovers(final: Path) -> None:
    """What was to be removed when a run was finished, and was not if it was killed then."""
    for path in (*final.glob('checkpoint-*'), final / LOCK):
        path.unlink(missing_ok=True)
    shutil.rmtree(final.with_name(f'{final.name}.replaced{UNFINISHED}'), ignore_errors=True)


def write_statistics(folder: Path, records: list[dict],
                     family: tables.Family = tables.VAE) -> None:
    """training_statistics.csv: a line an epoch; what a record does not have stays empty."""
    write_csv(folder / STATISTICS, family.columns, [
        {k: v for k, v in record.items() if v is not None}
        | {'seconds': f'{record["seconds"]:.3f}'} for record in records])


def write_config(folder: Path, config: dict) -> None:
    """config.json: the resolved row, versions, device, data and their sha256."""
    files.write_text(folder / CONFIG, json.dumps(config, indent=2) + '\n')


def write_checksums(folder: Path) -> None:
    """SHA256SUMS: of all that belongs to a result folder."""
    _write_checksums(folder, {path.name: files.sha256(path) for path in belonging(folder)})


def update_checksums(folder: Path) -> None:
    """SHA256SUMS again for the pictures, after they were drawn again; for nothing else."""
    if not (folder / SUMS).exists():
        return
    recorded = read_checksums(folder)
    for name in recorded:
        if name.endswith('.png') and (folder / name).exists():
            recorded[name] = files.sha256(folder / name)
    _write_checksums(folder, recorded)


def read_checksums(folder: Path) -> dict[str, str]:
    """SHA256SUMS: file name to checksum. ReportError if it is not what write_checksums wrote."""
    path = folder / SUMS
    try:
        lines = path.read_text().splitlines()
    except UnicodeDecodeError:
        lines = ['']
    found = [re.fullmatch(r'([0-9a-f]{64})  ([\w.-]+)', line) for line in lines]
    if not all(found) or not found:
        raise ReportError(f'{path}: not a list of checksums')
    return {match[2]: match[1] for match in found}


def _write_checksums(folder: Path, sums: dict[str, str]) -> None:
    files.write_text(folder / SUMS, ''.join(f'{sums[name]}  {name}\n' for name in sorted(sums)))


def merged_config(folder: Path, config: dict) -> dict:
    """config.json of a run that goes on: as it was begun, and on what devices it was trained.

    ReportError if it was begun with another row or other data.
    """
    begun = read_config(folder)
    for key in ('run', 'row', 'data', 'n_train'):
        if begun[key] != config[key]:
            raise ReportError(f'{folder / CONFIG}: begun with another {key} '
                              f'({_difference(begun[key], config[key])}); --fresh starts over')
    device, versions = begun['device'], begun.get('versions')
    if device != config['device'] or versions != config['versions']:
        return config | {'device': f'{device}, then {config["device"]}',
                         'earlier_versions': versions}
    return config


def _difference(before, now) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        field = next(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))
        before, now = f'{field} {before.get(field)}', now.get(field)
    return f'{before}, now {now}'


def belonging(folder: Path) -> list[Path]:
    """The files of a result folder that have checksums."""
    return [path for path in folder.iterdir()
            if path.suffix in ('.json', '.csv', '.md', '.png', '.gif', '.params')
            and not path.name.startswith('.')]


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
    except (ValueError, RecursionError) as error:
        raise ReportError(f'{path}: not JSON ({error})') from None
    for field, kind in CONFIG_FIELDS.items():
        found = config.get(field) if isinstance(config, dict) else None
        if type(found) is not kind:
            raise ReportError(f'{path}: {field} is {str(found)[:50]!r}, expected '
                              f'{kind.__name__}')
    for field in DATA_FIELDS:
        if type(config['data'].get(field)) is not str:
            raise ReportError(f'{path}: data has no {field}')
    return config


def row_of(config: dict, folder: Path) -> Experiment:
    """The row of a result folder's configuration. ReportError if it is none."""
    try:
        row = type(experiments.get(config['name']))(name=config['name'], **config['row'])
    except (TypeError, KeyError, ValueError) as error:
        raise ReportError(f'{folder / CONFIG}: not a row '
                          f'({" ".join(str(error).split())})') from None
    return row


def write_pictures(folder: Path, pixels: np.ndarray, originals: np.ndarray | None) -> None:
    """0.png .. and strip.png, from (n, h, w, c) uint8; originals stand above, if there are."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pixels):
        _save(scale_up(picture), folder / f'{i}.png')
    _save(strip(pixels, originals), folder / STRIP)


def strip(pixels: np.ndarray, originals: np.ndarray | None) -> np.ndarray:
    """The pictures in a row, (h, w, c) uint8; originals stand above, if there are."""
    return grid([pixels] if originals is None else [originals, pixels])


def write_originals(folder: Path, pixels: np.ndarray) -> None:
    """The validation images themselves, in a folder beside the results: test_0.png ..

    And strip.png, all in a row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pixels):
        _save(scale_up(picture), folder / f'test_{i}.png')
    _save(grid([pixels]), folder / STRIP)


def write_samples(folder: Path, epoch: int, pixels: np.ndarray) -> None:
    """A square of samples (n * n, h, w, c) uint8, after an epoch."""
    side = math.isqrt(len(pixels))
    _save(grid([*pixels.reshape(side, side, *pixels.shape[1:])], SAMPLE_SIDE),
          folder / SAMPLES.format(epoch))


def samples_in(folder: Path) -> list[Path]:
    """The pictures of samples, the earliest first."""
    return sorted(folder.glob('samples_*.png'))


def write_animation(folder: Path) -> None:
    """samples.gif: the pictures of samples one after another, if there are any."""
    frames = []
    for path in samples_in(folder):
        with Image.open(path, formats=['PNG']) as image:
            frames.append(image.convert(image.mode))
    if frames:
        content = io.BytesIO()
        frames[0].save(content, 'GIF', save_all=True, append_images=frames[1:],
                       duration=FRAME_MILLISECONDS, loop=0)
        files.write(folder / ANIMATION, [content.getbuffer()])


def scale_up(picture: np.ndarray, side: int = SHOWN_SIDE) -> np.ndarray:
    """(h, w, c) uint8, every pixel repeated the same whole number of times, up to a side."""
    factor = max(1, side // picture.shape[0])
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def grid(rows: list[np.ndarray], side: int = SHOWN_SIDE) -> np.ndarray:
    """Rows of n pictures, each (n, h, w, c) uint8, as one picture with white gaps."""
    lines = [np.concatenate([_padded(scale_up(p, side)) for p in row], axis=1) for row in rows]
    return np.concatenate(lines)[GAP:, GAP:]


def _padded(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture, ((GAP, 0), (GAP, 0), (0, 0)), constant_values=255)


def _save(picture: np.ndarray, path: Path) -> None:
    """(h, w, c) uint8 as a PNG file."""
    content = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(content, 'PNG')
    files.write(path, [content.getbuffer()])


def write_readme(folder: Path, published: dict) -> None:
    """README.md of a result folder."""
    files.write_text(folder / 'README.md', readme(folder, published))


def readme(folder: Path, published: dict) -> str:
    """What was trained, how, what came out, beside published."""
    statistics, config = read_statistics(folder), read_config(folder)
    name, row = config['run'], config['row']
    source = config['data']
    lines = [f'# {name}', '',
             f'{config["caption"]}', '',
             f'![ten pictures]({STRIP})', '',
             ('Ten samples.' if row['vae'] == 'ConvDecoder' else
              'Above: the first ten held-out images. Below: their reconstructions, from one '
              'sampled latent each.'), '',
             f'Data: {source["data"]}, {source["description"]}, {config["n_train"]} training '
             f'images. Device: {config["device"]}. Again with:', '', '```',
             config['command'], '```', '']
    family = tables.VAEGAN if row['step'] == 'vaegan' else tables.VAE
    curve = naming.comparable_curve(row_of(config, folder), published)
    lines += ['## Losses', '', tables.losses_table(statistics, curve), '',
              *([tables.OTHER_IMAGES, ''] if row['data'] in tables.FACES
                and tables.pairs(statistics, curve) else []),
              f'Means over the batches of an epoch; epochs count from 0; all of them in '
              f'[{STATISTICS}]({STATISTICS}). '
              + family.explained.replace('{n_held_out}', str(config['n_held_out'])), '']
    if there := samples_in(folder):
        chosen = there[::max(1, math.ceil(len(there) / N_SHOWN_SAMPLES))]
        lines += ['## Samples', '', 'From the prior, of the same latents each time: after epochs '
                  f'{", ".join(str(_epoch_of(path)) for path in chosen)}, and all that were kept '
                  f'in [{ANIMATION}]({ANIMATION}).', '',
                  *(f'![after epoch {_epoch_of(path)}]({path.name})' for path in chosen), '',
                  f'![losses of the three nets]({LOSSES})', '']
    if (folder / CLASSES).exists():
        counts = tables.read_csv(folder / CLASSES)
        lines += [f'Of {sum(int(counts[0][str(d)]) for d in range(10)):,} samples a classifier '
                  'takes for each digit:', '', f'![shares of the digits]({CLASSES_CHART})', '',
                  markdown_table([[*counts[0]], *([str(v) for v in line.values()]
                                                  for line in counts)])]
    lines += ['## Configuration', '',
              markdown_table([['field', 'value'], *([k, str(v)] for k, v in row.items()
                                                    if v is not None)])]
    return '\n'.join(lines)


def _epoch_of(path: Path) -> int:
    return int(path.stem.partition('_')[2])
