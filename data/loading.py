"""One data set, from its line in the table to its images: `load`."""
import hashlib
import re
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

import numpy as np

from data import DataError, archives, table
from data.fetch import Places
from data.images import Images

N_DIGITS = 8  # of a checksum, in the name of a run on other images


@dataclass(frozen=True)
class Dataset:
    """Training and held-out images, and where they came from.

    A reader returns one with what it found; `load` completes `source` and `images`. source is
    what is recorded of them: data, description, files (names, and checksums or numbers of images),
    held_out (the name of that place), left_out (how many are broken), passed_over (how many files
    are no images, by the reason), sha256 (of all pixels, training images first).
    """
    train: Images
    test: Images  # its first ten are the validation images
    paths: tuple[Path, ...] = ()  # where they were; (): they were made by code
    held_out: Path | None = None  # where held-out images were, if they are no split
    labels: tuple[np.ndarray, np.ndarray] | None = None  # (n,) of both, where there are classes
    source: dict = field(default_factory=dict)
    images: str | None = None  # the checksum's beginning, of other images than the table's
    unsplit: str | None = None  # the checksum as older runs recorded it, whatever was held out

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        return self.train.shape

    @property
    def originals(self) -> str:
        """The file names of the validation images, with {} for their number."""
        return table.ORIGINALS[table.get(self.source['data']).kind]

    @property
    def place(self) -> str:
        """Where the images were, in words; '' if they were made by code."""
        return ' and '.join(map(str, self.paths)) + (
            f', held-out ones in {self.held_out}' if self.held_out else '')

    def n_held_out_trained(self) -> int:
        """Return how many held-out images are, byte by byte, among the training images."""
        trained = {*self.train.digests()}
        return sum(digest in trained for digest in self.test.digests())

    def read(self, paths: list[Path]) -> np.ndarray:
        """Return pictures out of files, of the size and colours of these: (n, h, w, c) uint8.

        DataError for what is not there or cannot be read.
        """
        from data import own  # slow to import
        return own.read(paths, self.shape)[1]

    def called(self, name: str | None) -> 'Dataset':
        """Return the set with a description of its own, if its images are not the table's.

        name: the user's; none: that of its folder or zip, but for those that every such set has.
        DataError if the images are the table's, and a name is given all the same.
        """
        entry = table.get(self.source['data'])
        if not self.images:
            if name:
                raise DataError(f'--data-name {name}: expected none, for these are the '
                                f'{entry.description} of the shown results')
            return self
        places = map(archives.name_of, self.paths)
        own = ' and '.join(re.sub(r'\.zip$', '', place, flags=re.IGNORECASE) for place in places
                           if place not in entry.names)
        name = (name or own or 'pictures of your own').encode(errors='surrogateescape')
        described = {'description': name.decode(errors='backslashreplace')}
        return replace(self, source=self.source | described)


def load(name: str, root: str | Path | Places | None = None, layout: str = 'reshape',
         shuffle_seed: int | None = 0, skip_bad: bool = False,
         image_size: int | None = None, held_out: float | None = None) -> Dataset:
    """Return a data set of the table, whole.

    root: where to look; none: $VAEGAN_DATA, then the cache. layout: reshape | transpose, see
    `images.to_channels_first`. shuffle_seed: of the split of faces; none is name order.
    skip_bad: leave out images that cannot be read. image_size: pixels a side of faces; none: the
    table's. held_out: share of faces that is held out; none: as published. DataError if the set
    is not there, damaged, or not what the table says.
    """
    places = root if isinstance(root, Places) else Places((Path(root),) if root else ())
    entry = table.get(name).sized(image_size)
    if not entry.comes_as_one and (len(places.roots) > 1 or places.held_out):
        raise DataError(f'data={name}: expected one --data-root and no --held-out, for it comes '
                        'as training and held-out images')
    module, function = entry.reader.split('.')
    reader = getattr(import_module(f'data.{module}'), function)
    found = reader(entry=entry, places=places, shuffle_seed=shuffle_seed, skip_bad=skip_bad,
                   held_out=held_out)
    if found.shape != entry.shape:
        raise DataError(f'{found.place or name}: images of shape {found.shape}, expected '
                        f'{entry.shape}')
    if len(found.test) < table.N_SHOWN:
        raise DataError(f'{found.place or name}: {len(found.train)} training and '
                        f'{len(found.test)} held-out images, expected {table.N_SHOWN} or more '
                        'held-out ones')
    sha256 = checksum(found.train, found.test)
    split = sha256 if held_out is None else _with_split(sha256, found)
    known = {'data': name, 'description': entry.description}
    return replace(found, train=found.train.with_layout(layout),
                   test=found.test.with_layout(layout),
                   source=known | found.source | {'sha256': split}, unsplit=sha256,
                   images=_others(entry, found, sha256) if image_size is None else
                   load(name, places, layout, shuffle_seed, skip_bad, held_out=held_out).images)


def _others(entry: table.Entry, found: Dataset, sha256: str) -> str | None:
    """Return the beginning of the images' checksum, if they are not those that are known.

    It is the same however they are split; which ones are held out is a part of it where these are
    in a place of their own.
    """
    if found.held_out:
        return _with_split(checksum(found.train.whole(), found.test), found)[:N_DIGITS]
    if not entry.known or sha256 in entry.known:
        return None
    if entry.comes_as_one:
        sha256 = checksum(found.train.whole())
    return None if sha256 in entry.known else sha256[:N_DIGITS]


def _with_split(sha256: str, found: Dataset) -> str:
    """Return a checksum of images that also says where they are split."""
    return hashlib.sha256(f'{sha256} {len(found.test)} held out'.encode()).hexdigest()


def checksum(*parts: Images) -> str:
    digest = hashlib.sha256()
    for part in parts:
        part.update(digest)
    return digest.hexdigest()
