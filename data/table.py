"""The data sets, one line for each: to add one is a line here, and its reader.

This module needs the standard library only, so that a name is checked before anything is read.
"""
from dataclasses import dataclass, replace

from data import DataError

N_SHOWN = 10  # held-out images that every run draws again; a set has at least as many
ORIGINALS = {  # their file names, as published, by kind
    'digits': '{}.png', 'faces': 'test_{}.png', 'pictures': '{}.png'}


@dataclass(frozen=True)
class Entry:
    """What is known of a data set before any of it is read."""
    reader: str                   # a module of this package, and its function
    kind: str                     # of what its pictures show: a key of ORIGINALS
    shape: tuple[int, int, int]   # channels, height and width of one image
    n_train: int                  # images of the whole set that train, as published or as here
    n_test: int                   # images of the whole set that are held out
    description: str
    n_classes: int = 0            # how many classes its labels name; 0: it has no labels
    names: tuple[str, ...] = ()   # the files or folders that a root may hold it as
    train_share: float = 0.8      # of a set that comes as one: the part of it that trains
    note: str = ''                # what stands beside published losses of it
    known: tuple[str, ...] = ()   # sha256 of all pixels, in the split by seed 0 and in name
    #                               order, of the images that results are shown of; (): any

    @property
    def comes_as_one(self) -> bool:
        """Whether training and held-out images are split here, in an order by a seed."""
        return bool(self.names)

    def sized(self, side: int | None) -> 'Entry':
        """Return the entry with images of that many pixels a side; none: as it is."""
        return self if side is None else replace(self, shape=(self.shape[0], side, side))


SETS = {
    'MNIST': Entry('mnist.read', 'digits', (1, 28, 28), 60_000, 10_000, 'MNIST idx files',
                   n_classes=10, known=(
                       '5b92582eb909c82a9bfefcd44acbe9233be3eb5b419a44cf211022ad2bf4bf96',)),
    'anime': Entry(
        'pictures.read', 'faces', (3, 64, 64), 17_240, 4_311, 'anime faces',
        names=('anime_faces', 'anime_faces.zip'),
        note="Published losses of anime faces are of the original's 17,240 training images, "
             'which could not be obtained: they compare roughly only.',
        known=('365b1217e1301169166a71af42d706773e0683becf7cf9330acf792665f92529',
               '7da28ff7bf04d30427b07915ca4dbdf54195b3c484c2f65cb126a0b486eeb797')),
    'adult': Entry(
        'pictures.read', 'faces', (3, 64, 64), 6_545, 1_156, 'photographs of faces',
        names=('adult_faces', 'adult_faces.zip'), train_share=0.85,
        note='Published losses of photographs are of the 8,500 US Adult Faces that system A was '
             'trained with, which could not be obtained: they compare roughly only.',
        known=('16fe463ef943c486c042bf27f2a906e8bdcf09de8939a9419caf1c94fea30b99',
               '9a412a73d1a77ff43a0f5cd162c011d015e90579cab29c15e836bf99ea759867')),
    'sketch_digits': Entry('sketch.read_digits', 'digits', (1, 28, 28), 20_000, 1_000,
                           'drawn by this project (data/sketch.py), seed 0'),
    'sketch_faces': Entry('sketch.read_faces', 'faces', (3, 64, 64), 8_000, 1_000,
                          'drawn by this project (data/sketch.py), seed 0'),
}


def get(name: str) -> Entry:
    """Return the entry of a data set; DataError if there is none of that name."""
    if name not in SETS:
        raise DataError(f'data={name!r}: expected one of {", ".join(SETS)}')
    return SETS[name]


def kinds() -> dict[str, str]:
    """Return what the pictures of each data set show, by its name."""
    return {name: entry.kind for name, entry in SETS.items()}
