"""The faces behind the shown results, put together from the public repositories that hold them.

Nobody serves them as one file. The repositories, the commits and what was done to the images are
those of `Sources` in this package's README.
"""
import contextlib
import io
import os
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from data import DataError, fetch, table

SIDE, QUALITY = 64, 92  # of photographs: pixels, and of JPEG with colours at full resolution
ANIME = re.compile(r'images/(\d+)_\d{4}\.jpg')  # number and year of a drawing
PHOTOGRAPH = re.compile(r'data/.+\.jpg')


def _git(clone: Path, *words: str, said: bytes = b'') -> bytes:
    """Return what a git command prints in a clone; DataError with its last words if it fails."""
    try:
        done = subprocess.run(['git', '-C', str(clone), *words], input=said, capture_output=True,
                              env=os.environ | {'GIT_TERMINAL_PROMPT': '0'})
    except FileNotFoundError:
        raise DataError('git is not installed: faces are collected from repositories') from None
    if done.returncode:
        reasons = done.stderr.decode(errors='replace').strip().splitlines() or ['no reason']
        raise DataError(f'{clone}: git {words[0]} failed ({reasons[-1]})')
    return done.stdout


def _blobs(clone: Path, blobs: Iterable[str]) -> Iterator[bytes]:
    """Yield the contents of a repository's objects."""
    ids = [*blobs]
    found = io.BytesIO(_git(clone, 'cat-file', '--batch', said='\n'.join(ids).encode()))
    for _ in ids:
        *_, size = found.readline().split()  # its id, `blob`, how many bytes follow
        yield found.read(int(size))
        found.readline()


def _drawings(clone: Path, commit: str) -> Iterator[tuple[str, bytes]]:
    """Yield anime faces as they are: all that some commit added, one of those that are alike.

    The folder was committed in parts, and deleted later. Of byte-identical drawings the one with
    the smallest number stays.
    """
    log = _git(clone, 'log', '-m', '--full-history', '--raw', '--no-abbrev', '--no-renames',
               '--diff-filter=AM', '--format=', '--reverse', commit, '--', 'images')
    numbers = {}  # of a drawing, as text: its object
    for line in log.decode().splitlines():
        properties, name = line.split('\t')
        if found := ANIME.fullmatch(name):
            numbers[int(found[1])] = properties.split()[3]
    first = {blob: number for number, blob in sorted(numbers.items(), reverse=True)}
    kept = sorted((number, blob) for blob, number in first.items())
    for (number, _), content in zip(kept, _blobs(clone, (blob for _, blob in kept)), strict=True):
        yield f'{number:05}.jpg', content


def _photographs(clone: Path, commit: str) -> Iterator[tuple[str, bytes]]:
    """Yield photographs of faces in the order of their names, scaled to 64 x 64."""
    tree = _git(clone, 'ls-tree', '-r', '-z', commit).decode().split('\0')
    found = sorted((name, properties.split()[2]) for properties, name in
                   (line.split('\t') for line in tree if line) if PHOTOGRAPH.fullmatch(name))
    contents = _blobs(clone, (blob for _, blob in found))
    for i, ((name, _), content) in enumerate(zip(found, contents, strict=True)):
        try:
            with Image.open(io.BytesIO(content), formats=['JPEG']) as image:
                small = image.convert('RGB').resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        except OSError as error:
            raise DataError(f'{clone}: {name}: {error}') from None
        written = io.BytesIO()
        small.save(written, 'JPEG', quality=QUALITY, subsampling=0)
        yield f'{i:05}.jpg', written.getvalue()


@dataclass(frozen=True)
class Source:
    """Where the faces of a set are, and how its images come out of a clone of that."""
    address: str
    commit: str
    images: Callable[[Path, str], Iterator[tuple[str, bytes]]]  # clone, commit: names, contents


SOURCES = {
    'anime': Source('https://github.com/Mysterchan/Anime_DCGAN',
                    'e59cd3a9870625b975673ad487d45b140fe07105', _drawings),
    'adult': Source('https://github.com/georg-jung/lfw-pairs-aligned',
                    'cdf74e7a89c2126f11c2d8aa20cc35b1643487a0', _photographs),
}


def collect(name: str, folder: Path, clone: Path | None = None) -> Path:
    """Write the zip of a set of faces into a folder, whole or not at all; return its path.

    clone: one of the repository, which is cloned beside the zip for the time being otherwise, and
    takes more room than the zip. DataError if the folder has such a set already, or the
    repository cannot be had or lacks the images.
    """
    source, names = SOURCES[name], table.get(name).names
    for there in (folder / name for name in names):
        if there.exists():
            raise DataError(f'{there}: already there, expected none')
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / names[1]
    with contextlib.ExitStack() as stack:
        if clone is None:
            clone = Path(stack.enter_context(tempfile.TemporaryDirectory(
                prefix=fetch.UNFINISHED, dir=folder)))
            _git(folder, 'clone', '--bare', '--quiet', source.address, str(clone))
        file = stack.enter_context(fetch.atomic_write(path))
        with zipfile.ZipFile(file, 'w') as archive:
            for image, content in source.images(clone, source.commit):
                archive.writestr(zipfile.ZipInfo(f'{names[0]}/{image}'), content)
            if not archive.filelist:
                raise DataError(f'{clone}: no images in commit {source.commit}')
    return path
