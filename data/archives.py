"""Images of a folder or a zip by name, without trust in what the zip says of itself."""
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from threading import Lock

from data import DataError

SUFFIXES = {'.png', '.jpg', '.jpeg', '.jfif', '.webp', '.gif', '.bmp', '.tif', '.tiff'}
MAX_FILE_BYTES = 128 << 20
MAX_RATIO, MIN_BOMB_BYTES = 200, 1 << 30  # images hardly compress: a zip that claims so is none
N_SUFFIXES = 5  # that an error names
HIDDEN, OTHER, LOOP = 'hidden', 'no images by their names', 'links that lead back'
PIPE = 'pipes or devices'  # whoever reads one may wait for ever

Source = tuple[str, Callable[[], bytes]]  # an image's name in messages, and how to get its bytes


@dataclass(frozen=True)
class Found:
    """The images of a folder or zip, in the order of their names, and what was passed over.

    passed_over: numbers of files and folders by the reason.
    """
    sources: list[Source]
    passed_over: Counter


def _path(name: str) -> PurePosixPath:
    """Return a name as a path; zips of some Windows programs have folders before backslashes.

    Such a zip may also have been unpacked as it is, so that names of files hold them.
    """
    return PurePosixPath(name.replace('\\', '/'))


def _reason(name: PurePath) -> str | None:
    """Return why a file is passed over by its name, if it is: macOS has a ._1.png beside 1.png."""
    if any(part.startswith('.') or part == '__MACOSX' for part in name.parts):
        return HIDDEN
    return None if name.suffix.lower() in SUFFIXES else OTHER


def name_of(path: Path) -> str:
    """Return what a folder or zip is called, also where it is named as `.` or `..`."""
    return os.path.basename(os.path.abspath(path))


def images_below(folder: Path) -> tuple[list[tuple[PurePath, Path]], Counter]:
    """Return all images below a folder in the order of their names, relative and whole.

    And the numbers of what is passed over, by the reason. Links to folders are followed, but not
    back to where they are.
    """
    images, passed_over = [], Counter()

    def walk(directory: Path, above: tuple[Path, ...]) -> None:
        above = *above, directory.resolve()
        for path in directory.iterdir():
            name = _path(str(path.relative_to(folder)))
            if not path.is_dir():
                reason = _reason(name)
                if reason is None and path.exists() and not path.is_file():
                    reason = PIPE
                if reason is None:
                    images.append((name, path))
            elif path.name.startswith('.'):
                reason = HIDDEN
            elif path.resolve() in above:
                reason = LOOP
            else:
                reason = None
                walk(path, above)
            if reason is not None:
                passed_over[reason] += 1

    walk(folder, ())
    return sorted(images), passed_over


@contextmanager
def folder_sources(path: Path) -> Iterator[Found]:
    """Open all images below a folder."""
    images, passed_over = images_below(path)
    yield Found([(str(image), partial(read_file, image)) for _, image in images], passed_over)


def _is_folder(member: zipfile.ZipInfo) -> bool:
    return member.filename.endswith(('/', '\\'))


def read_file(path: Path) -> bytes:
    """Return a file's content. DataError for one that is too large to be read."""
    n_bytes = path.stat().st_size
    if n_bytes > MAX_FILE_BYTES:
        raise DataError(f'{path}: {n_bytes} bytes, expected at most {MAX_FILE_BYTES}')
    return path.read_bytes()


@contextmanager
def zip_sources(path: Path) -> Iterator[Found]:
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
        members = sorted(((_path(m.filename), m) for m in archive.infolist()),
                         key=lambda named: named[0])
        _check_members(path, members)
        files = [(name, member, _reason(name)) for name, member in members
                 if not _is_folder(member)]
        yield Found([(f'{path}: {name}', partial(read_member, member))
                     for name, member, reason in files if reason is None],
                    Counter(reason for *_, reason in files if reason is not None))


def count_suffixes(path: Path) -> str:
    """Return how many files a folder or zip has of each suffix, as '3 .heic, 1 .txt'.

    The most common ones first, without hidden files; '' if there are none.
    """
    if path.is_dir():
        names = [name for *_, files in os.walk(path) for name in files]
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [_path(member.filename).name for member in archive.infolist()
                     if not _is_folder(member)]
    else:
        names = []
    suffixes = Counter(PurePath(name).suffix.lower() or 'without a suffix'
                       for name in names if not name.startswith('.'))
    return ', '.join(f'{n} {suffix}' for suffix, n in suffixes.most_common(N_SUFFIXES))


def none_in(path: Path) -> DataError:
    """Return the error for a folder or zip without images, with what it has in their place."""
    there = count_suffixes(path)
    return DataError(f'{path}: no {", ".join(sorted(SUFFIXES))} files in it'
                     + (f'; it holds {there}' if there else ''))


def opened(path: Path) -> AbstractContextManager[Found]:
    """Open the images of a folder or zip."""
    return folder_sources(path) if path.is_dir() else zip_sources(path)


def _check_members(path: Path, members: list[tuple[PurePosixPath, zipfile.ZipInfo]]) -> None:
    for name, _ in members:
        if name.is_absolute() or '..' in name.parts:
            raise DataError(f'{path}: {name}: a path that leads out of the zip')
    total = sum(member.file_size for _, member in members)
    if total > max(MIN_BOMB_BYTES, MAX_RATIO * path.stat().st_size):
        raise DataError(f'{path}: claims to hold {total} bytes, in {path.stat().st_size}: '
                        'not a zip of images')
