"""One data set, from its line in the table to its images: `load`."""
import hashlib
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np

from data import DataError, table
from data.fetch import Places
from data.images import Images

N_DIGITS = 8  # of a checksum, in the name of a run on other images


@dataclass(frozen=True)
class Request:
    """What a reader is asked for; it looks at what concerns it."""
    entry: table.Entry
    places: Places             # of a set that comes as one there may be several
    shuffle_seed: int | None   # of the split of a set that comes as one; none: name order
    skip_bad: bool             # leave out images that cannot be read
    held_out: float | None = None  # share of them that is held out; none: the table's

    @property
    def root(self) -> Path | None:
        """The only place to look in, if the user named one."""
        return self.places.roots[0] if self.places.roots else None


@dataclass(frozen=True)
class Contents:
    """What a reader returns."""
    train: Images
    test: Images
    files: dict | None = None  # what was read: names, and checksums or numbers of images
    paths: tuple[Path, ...] = ()  # where it was; (): it was made by code
    labels: tuple[np.ndarray, np.ndarray] | None = None  # (n,) of both, where there are classes
    n_left_out: int = 0        # broken images
    passed_over: dict[str, int] | None = None  # how many files are no images, by the reason
    in_name_order: tuple[Images, ...] = ()     # all images, of a set that comes as one
    held_out: Path | None = None               # where held-out images were, if they are no split


@dataclass(frozen=True)
class Dataset:
    """Training and held-out images, and where they came from."""
    train: Images
    test: Images      # its first ten are the validation images
    shape: tuple[int, int, int]
    labels: tuple[np.ndarray, np.ndarray] | None  # (n,) of both, where there are classes
    source: dict      # data, description, files, sha256 (of all pixels, training images first)
    paths: tuple[Path, ...]
    originals: str    # the file names of the validation images, with {} for their number
    images: str | None = None  # the checksum's beginning, of other images than the table's
    held_out: Path | None = None  # where held-out images were, if they are no split

    @property
    def place(self) -> str:
        """Where the images were, in words; '' if they were made by code."""
        return _place(self.paths, self.held_out)

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
        own = ' and '.join(path.stem for path in self.paths if path.name not in entry.names)
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
    contents = reader(Request(entry, places, shuffle_seed, skip_bad, held_out))
    place = _place(contents.paths, contents.held_out) or name
    if contents.train.shape != entry.shape:
        raise DataError(f'{place}: images of shape {contents.train.shape}, expected {entry.shape}')
    if len(contents.test) < table.N_SHOWN:
        raise DataError(f'{place}: {len(contents.train)} training and {len(contents.test)} '
                        f'held-out images, expected {table.N_SHOWN} or more held-out ones')
    digest = checksum(contents.train, contents.test)
    source = {'data': name, 'description': entry.description}
    if contents.files is not None:
        source['files'] = contents.files
    if contents.held_out:
        source['held_out'] = contents.held_out.name
    if contents.n_left_out:
        source['left_out'] = contents.n_left_out
    if contents.passed_over:
        source['passed_over'] = contents.passed_over
    return Dataset(contents.train.with_layout(layout), contents.test.with_layout(layout),
                   entry.shape, contents.labels, source | {'sha256': digest},
                   contents.paths, table.ORIGINALS[entry.kind],
                   _others(entry, contents, digest) if image_size is None else
                   load(name, places, layout, shuffle_seed, skip_bad).images, contents.held_out)


def _place(paths: tuple[Path, ...], held_out: Path | None) -> str:
    return ' and '.join(map(str, paths)) + (
        f', held-out ones in {held_out}' if held_out else '')


def _others(entry: table.Entry, contents: Contents, digest: str) -> str | None:
    """Return the beginning of the images' checksum, if they are not those that are known.

    It is the same however they are split; which ones are held out is a part of it where these are
    in a place of their own.
    """
    if contents.held_out:
        digest = f'{checksum(*contents.in_name_order)} {len(contents.test)} held out'
        return hashlib.sha256(digest.encode()).hexdigest()[:N_DIGITS]
    if not entry.known or digest in entry.known:
        return None
    if contents.in_name_order:
        digest = checksum(*contents.in_name_order)
    return None if digest in entry.known else digest[:N_DIGITS]


def checksum(*parts: Images) -> str:
    digest = hashlib.sha256()
    for part in parts:
        part.update(digest)
    return digest.hexdigest()
