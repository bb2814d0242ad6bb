"""Images of a folder or a zip by name, without trust in what the zip says of itself."""
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from threading import Lock

from data import DataError

SUFFIXES = {'.png', '.jpg', '.jpeg'}
MAX_FILE_BYTES = 32 << 20
MAX_RATIO, MIN_BOMB_BYTES = 200, 1 << 30  # images hardly compress: a zip that claims so is none

Source = tuple[str, Callable[[], bytes]]  # an image's name in messages, and how to get its bytes


def is_image(path: PurePath) -> bool:
    """Return whether a file is an image by its name; macOS puts a ._1.png beside 1.png."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith('.')


def images_below(folder: Path) -> list[tuple[PurePath, Path]]:
    """Return all images below a folder in the order of their names, relative and whole."""
    return [(p.relative_to(folder), p) for p in sorted(folder.rglob('*')) if is_image(p)]


@contextmanager
def folder_sources(path: Path) -> Iterator[list[Source]]:
    """Open all images below a folder, in the order of their names."""
    yield [(str(image), image.read_bytes) for _, image in images_below(path)]


@contextmanager
def zip_sources(path: Path) -> Iterator[list[Source]]:
    """Open all images of a zip, in the order that its folder would have.

    DataError for a damaged zip, one whose paths lead out of it, and one that claims to unpack
    to far more than it is.
    """
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # of many kinds, for a damaged directory of members
        raise DataError(f'{path}: not a whole zip file ({error})') from error
    lock = Lock()

    def read_member(member: zipfile.ZipInfo) -> bytes:
        # Bounded here: a size in the header may be a lie
        with lock, archive.open(member) as file:
            return file.read(MAX_FILE_BYTES + 1)

    with archive:
        members = sorted(((PurePosixPath(m.filename), m) for m in archive.infolist()),
                         key=lambda named: named[0])
        _check_members(path, members)
        yield [(f'{path}: {name}', partial(read_member, member))
               for name, member in members if is_image(name)]


def _check_members(path: Path, members: list[tuple[PurePosixPath, zipfile.ZipInfo]]) -> None:
    for name, _ in members:
        if name.is_absolute() or '..' in name.parts:
            raise DataError(f'{path}: {name}: a path that leads out of the zip')
    total = sum(member.file_size for _, member in members)
    if total > max(MIN_BOMB_BYTES, MAX_RATIO * path.stat().st_size):
        raise DataError(f'{path}: claims to hold {total} bytes, in {path.stat().st_size}: '
                        'not a zip of images')
