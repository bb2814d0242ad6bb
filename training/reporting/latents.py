"""Files of latents, .npz or .csv: what `encode` writes, and `decode` draws."""
import re
from pathlib import Path

import numpy as np

from training.reporting.statistics import read_csv, write_csv
from training.storage import files

SUFFIXES = ('.npz', '.csv')
DRAWN = ('z', 'mean')  # what is drawn of a file: the first of these that it has


class LatentsError(ValueError):
    """A file of latents that cannot be read; the message is for the user."""


def write(path: Path, names: list[str], arrays: dict[str, np.ndarray]) -> None:
    """Write arrays (n, z) by name, a row for each of the names, as the path's suffix says.

    In CSV a column for each latent: mean_0, mean_1 ..
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == '.npz':
        with files.replacing(path) as temporary, open(temporary, 'wb') as file:
            np.savez(file, names=np.array([files.printable(name) for name in names]), **arrays)
        return
    columns = ('picture', *(f'{name}_{i}' for name, array in arrays.items()
                            for i in range(array.shape[1])))
    write_csv(path, columns, [
        dict(zip(columns, (name, *np.concatenate(rows).tolist()), strict=True))
        for name, *rows in zip(names, *arrays.values(), strict=True)])


def read(path: Path, n_latent: int) -> tuple[list[str], np.ndarray]:
    """Return the names of a file's latents (empty if it has none), and z or else mean, (n, z).

    n_latent: how many the net takes. LatentsError for another file, number or value.
    """
    try:
        names, z = (_from_npz if path.suffix.lower() == '.npz' else _from_csv)(path)
    except (LatentsError, FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:  # of many kinds, for a damaged file
        raise LatentsError(f'{path}: cannot be read ({error})') from None
    if z.ndim != 2 or not len(z) or z.shape[1] != n_latent:
        raise LatentsError(f'{path}: latents of shape {z.shape}, expected (n, {n_latent})')
    if not np.isfinite(z).all():
        raise LatentsError(f'{path}: a latent that is not finite')
    if names and len(names) != len(z):
        raise LatentsError(f'{path}: {len(names)} names of {len(z)} latents, expected one each')
    return names or [''] * len(z), z


def _from_npz(path: Path) -> tuple[list[str], np.ndarray]:
    with np.load(path, allow_pickle=False) as found:
        name = _first(path, [*found])
        if found[name].dtype.kind not in 'fiu':
            raise LatentsError(f'{path}: {name} of {found[name].dtype}, expected real numbers')
        return [*map(str, np.ravel(found.get('names', ())))], found[name].astype(np.float32)


def _from_csv(path: Path) -> tuple[list[str], np.ndarray]:
    lines = read_csv(path)
    if not lines:
        raise LatentsError(f'{path}: no latents')
    name = _first(path, {column.rpartition('_')[0] for column in lines[0] if column})
    columns = sorted((column for column in lines[0] if column and re.fullmatch(
        rf'{name}_\d+', column)), key=lambda column: int(column.rpartition('_')[2]))
    numbers = [int(column.rpartition('_')[2]) for column in columns]
    if numbers != [*range(len(columns))]:
        raise LatentsError(f'{path}: columns {name}_ of the numbers {numbers}, expected 0 to '
                           f'{len(columns) - 1}')
    for i, line in enumerate(lines, 2):
        if None in line:  # as of a name with a comma
            raise LatentsError(f'{path}: line {i} has more values than columns')
    values = [[float(line[column] or 'nan') for column in columns] for line in lines]
    return [line.get('picture') or '' for line in lines], np.array(values, np.float32)


def _first(path: Path, there) -> str:
    for name in DRAWN:
        if name in there:
            return name
    raise LatentsError(f'{path}: expected latents called {" or ".join(DRAWN)}, as `encode` '
                       f'writes them; found {", ".join(sorted(map(str, there))) or "nothing"}')
