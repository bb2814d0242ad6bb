"""The pictures of a result folder: strips, samples, animations."""
import io
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.storage import files, run_folder

STRIP, INPUTS = 'strip.png', 'inputs.png'
SHOWN_SIDE = 128  # pixels: the largest that a picture is scaled up to
GAP = 4           # white pixels between the pictures of a strip
SAMPLES = 'samples_{:03d}.png'  # after so many epochs
SNAPSHOTS = 'strip_{:03d}.png'  # likewise
ANIMATION, STRIP_ANIMATION, LOSSES = 'samples.gif', 'strip.gif', 'losses.png'
EXPLORED = {'samples': 'explore_samples.png', 'interpolation': 'explore_interpolation.png',
            'traversals': 'explore_traversals.png', 'nearest': 'explore_nearest.png'}
EXPLAINED = {'samples': 'Samples from the prior',
             'interpolation': 'Interpolation between two held-out images',
             'traversals': 'Traversals of the latents that say most',
             'nearest': 'Samples, and the training image nearest to each'}
CLASSES, CLASSES_CHART = 'classes.csv', 'classes.png'
SHEET_COLUMNS = 10
SAMPLE_SIDE = 56  # pixels: as SHOWN_SIDE, of samples
FRAME_MILLISECONDS = 400
LABEL_HEIGHT = 20  # pixels


def write_pictures(folder: Path, pixels: np.ndarray, originals: np.ndarray | None) -> list[str]:
    """Write 0.png .. and strip.png, from (n, h, w, c) uint8; return the files' names.

    Originals stand above, if there are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {f'{i}.png': scale_up(picture) for i, picture in enumerate(pixels)}
    pictures[STRIP] = strip(pixels, originals)
    for name, picture in pictures.items():
        _save(picture, folder / name)
    return [*pictures]


def strip(pixels: np.ndarray, originals: np.ndarray | None) -> np.ndarray:
    """Return the pictures in a row, (h, w, c) uint8; originals stand above, if there are."""
    return grid([pixels] if originals is None else [originals, pixels])


def write_originals(folder: Path, pixels: np.ndarray, file_name: str, data: str,
                    are_known: bool = True) -> None:
    """Write the validation images themselves into a folder beside the results.

    file_name: of each of them, with {} for its number; strip.png has all in a row. If that
    folder has others, or they are not of the shown results, they go into one with the data's name.
    """
    if not are_known or (folder / STRIP).exists() and not _is(folder / STRIP, grid([pixels])):
        folder = folder.with_name(f'{folder.name}_{data}')
    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pixels):
        _save(scale_up(picture), folder / file_name.format(i))
    _save(grid([pixels]), folder / STRIP)


def _is(path: Path, picture: np.ndarray) -> bool:
    try:
        return np.array_equal(read(path), picture)
    except run_folder.FolderError:  # it is damaged
        return False


def originals_in(path: Path, size: tuple[int, int]) -> np.ndarray | None:
    """Return the originals (10, h, w, c) uint8 that stand above in a strip, if they do.

    size: height and width in pixels.
    """
    shown = read(path)
    side = (shown.shape[1] + GAP) // 10 - GAP                           # pixels, scaled up
    if shown.shape[:2] != (2 * side + GAP, 10 * (side + GAP) - GAP) or side % size[0]:
        return None
    step = side // size[0]
    return np.stack([shown[:side:step, left:left + side:step]
                     for left in range(0, shown.shape[1], side + GAP)])


def read_originals(folder: Path, file_name: str, data: str, size: tuple[int, int],
                   are_known: bool = True) -> np.ndarray | None:
    """Return the validation images (10, h, w, c) uint8 that `write_originals` wrote, if it did.

    size: height and width in pixels. are_known: they are of the shown results; else those in a
    folder without the data's name may be anyone's.
    """
    for place in (folder.with_name(f'{folder.name}_{data}'), folder)[:1 + are_known]:
        if (place / STRIP).exists():
            shown = [read(place / file_name.format(i)) for i in range(10)]
            step = shown[0].shape[0] // size[0]
            return np.stack([picture[::step, ::step] for picture in shown])
    return None


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write one picture (h, w, c) uint8 as a PNG file, in its own size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _save(picture, path)


def write_sheet(path: Path, pixels: np.ndarray, originals: np.ndarray | None = None) -> None:
    """Write pictures (n, h, w, c) uint8 in rows of up to ten; originals stand above theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for begin in range(0, len(pixels), SHEET_COLUMNS):
        for row in (originals, pixels):
            if row is not None:
                part = row[begin:begin + SHEET_COLUMNS]
                n_white = min(SHEET_COLUMNS, len(pixels)) - len(part)
                white = np.full((n_white, *part.shape[1:]), 255, np.uint8)
                rows.append(np.concatenate([part, white]))
    _save(grid(rows, SAMPLE_SIDE if len(pixels) > SHEET_COLUMNS else SHOWN_SIDE), path)


def write_inputs(folder: Path, images: np.ndarray) -> None:
    """Write inputs.png: the first training images (n, h, w, c) uint8, as a run reads them."""
    write_sheet(folder / INPUTS, images)


def write_animation(path: Path, pixels: np.ndarray) -> None:
    """Write pictures (n, h, w, c) uint8 one after the other, there and back, as a GIF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _save_frames([_image(scale_up(picture)) for picture in (*pixels, *pixels[-2:0:-1])], path)


def write_samples(folder: Path, n_epochs: int, pixels: np.ndarray) -> None:
    """Write a square of samples (n * n, h, w, c) uint8, as they are after so many epochs."""
    side = math.isqrt(len(pixels))
    _save(grid([*pixels.reshape(side, side, *pixels.shape[1:])], SAMPLE_SIDE),
          folder / SAMPLES.format(n_epochs))


def write_snapshot(folder: Path, n_epochs: int, pixels: np.ndarray,
                   originals: np.ndarray | None) -> None:
    """Write the strip as it is after so many epochs."""
    _save(strip(pixels, originals), folder / SNAPSHOTS.format(n_epochs))


def samples_in(folder: Path) -> list[Path]:
    """Return the pictures of samples, the earliest first."""
    return _numbered(folder, SAMPLES)


def snapshots_in(folder: Path) -> list[Path]:
    """Return the strips that were kept, the earliest first."""
    return _numbered(folder, SNAPSHOTS)


def _numbered(folder: Path, name: str) -> list[Path]:
    """Return the files of such a name, in the order of their numbers; no others."""
    start = name.partition('{')[0]
    return sorted((path for path in folder.glob(f'{start}*.png')
                   if (number := path.stem.removeprefix(start)).isdecimal()
                   and path.name == name.format(int(number))), key=n_epochs_of)


def n_epochs_of(path: Path) -> int:
    """Return after how many epochs a picture of samples or a strip was drawn."""
    return int(path.stem.partition('_')[2])


def after(n_epochs: int) -> str:
    """Return 'after 1 epoch', 'after 2 epochs' .."""
    return f'after {n_epochs} epoch{"s" * (n_epochs != 1)}'


def write_animations(folder: Path) -> None:
    """Write samples.gif and strip.gif: what was kept, one after another, if there is any."""
    for name, paths in ((ANIMATION, samples_in(folder)),
                        (STRIP_ANIMATION, snapshots_in(folder))):
        frames = [_labelled(read(path), after(n_epochs_of(path))) for path in paths]
        if frames:
            _save_frames(frames, folder / name)


def _save_frames(frames: list[Image.Image], path: Path) -> None:
    content = io.BytesIO()
    frames[0].save(content, 'GIF', save_all=True, append_images=frames[1:],
                   duration=FRAME_MILLISECONDS, loop=0)
    files.write(path, [content.getbuffer()])


def _labelled(picture: np.ndarray, text: str) -> Image.Image:
    """Return a picture (h, w, c) uint8 with a line of text above it."""
    band = np.full((LABEL_HEIGHT, *picture.shape[1:]), 255, np.uint8)
    labelled = _image(np.concatenate([band, picture]))
    black = 0 if labelled.mode == 'L' else (0, 0, 0)
    ImageDraw.Draw(labelled).text((GAP, GAP), text, black, ImageFont.load_default())
    return labelled


def scale_up(picture: np.ndarray, side: int = SHOWN_SIDE) -> np.ndarray:
    """Return (h, w, c) uint8, every pixel repeated the same number of times, up to a side."""
    factor = max(1, side // picture.shape[0])
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def grid(rows: list[np.ndarray], side: int = SHOWN_SIDE) -> np.ndarray:
    """Return rows of n pictures, each (n, h, w, c) uint8, as one picture with white gaps."""
    lines = [np.concatenate([_padded(scale_up(p, side)) for p in row], axis=1) for row in rows]
    return np.concatenate(lines)[GAP:, GAP:]


def _padded(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture, ((GAP, 0), (GAP, 0), (0, 0)), constant_values=255)


def read(path: Path) -> np.ndarray:
    """Return a PNG file as (h, w, c) uint8. FolderError if it is none."""
    try:
        with Image.open(path, formats=['PNG']) as image:
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise run_folder.FolderError(f'{path}: expected a PNG picture, found none') from error
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _save(picture: np.ndarray, path: Path) -> None:
    """Write (h, w, c) uint8 as a PNG file."""
    content = io.BytesIO()
    _image(picture).save(content, 'PNG')
    files.write(path, [content.getbuffer()])


def _image(picture: np.ndarray) -> Image.Image:
    return Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
