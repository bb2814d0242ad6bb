"""Where files are looked for, and downloads with checksums."""
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from data import DataError, MissingDataError, archives

TIMEOUT_SECONDS = 20
CHUNK = 1 << 20  # bytes
LOCK, UNFINISHED = '.lock', '.unfinished-'  # in a folder of the cache


@dataclass(frozen=True)
class Places:
    """Where a user says that images are.

    roots: nowhere else is looked; faces of all of them together are the set. (): $VAEGAN_DATA,
    then the cache. held_out: faces that are held out, in place of a split.
    """
    roots: tuple[Path, ...] = ()
    held_out: Path | None = None

    def __bool__(self) -> bool:
        return bool(self.roots or self.held_out)

    @property
    def root(self) -> Path | None:
        """The only place to look in, if the user named one."""
        return self.roots[0] if self.roots else None


USUAL = Places()


def cache_dir() -> Path:
    """Return the project's own cache: $XDG_CACHE_HOME/vaegan, by default ~/.cache/vaegan."""
    try:
        return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'vaegan'
    except RuntimeError:
        raise DataError('there is no home folder to keep data in; XDG_CACHE_HOME names another '
                        'place') from None


def cached(name: str) -> Path | None:
    """Return the path of a file of the cache, there or to be written; none: neither can be."""
    try:
        path = cache_dir() / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        return path
    except (DataError, OSError):
        return None


def named(root: str | Path | None) -> Path | None:
    """Return the place that a user named: `root`, or else $VAEGAN_DATA."""
    place = root or os.environ.get('VAEGAN_DATA')
    return Path(os.path.expanduser(place)) if place else None


def data_root(root: str | Path | None) -> Path:
    """Return where to look: in the place that a user named, else the cache.

    What a user named is the only one, so that a slip of the pen never trains on other data.
    """
    return named(root) or cache_dir()


def missing_data_error(root: str | Path | None, wanted: str, advice: str) -> DataError:
    """Return the error for data that are not where they were looked for.

    wanted: what they are and how their files are called. It is a MissingDataError if the user
    named no root.
    """
    where = data_root(root)
    if not named(root):
        return MissingDataError(f'no {wanted} in {where}: {advice}')
    kind, by = (DataError, '') if root else (MissingDataError, ' (named by VAEGAN_DATA)')
    if not where.exists():
        return kind(f'{where}{by}: no such file or folder, expected {wanted}')
    there = archives.count_suffixes(where) if where.is_dir() else ''
    return kind(f'{where}{by}: holds no {wanted}' + (f', but {there}' if there else ''))


def sha256(path: Path) -> str:
    """Return the checksum of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def cache_lock(folder: Path) -> Iterator[None]:
    """Hold a folder of the cache alone, among processes, while it is filled; make it if need be.

    The others wait. The system unlocks it when this process ends, however it ends. Of one that
    was killed nothing but hidden files stays, and they go here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, 'a') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f'{folder}: waiting for another process that fills it', file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        for path in folder.glob(f'{UNFINISHED}*'):
            path.unlink()
        yield


def download(name: str, mirrors: tuple[str, ...], expected: str, folder: Path) -> None:
    """Fetch `mirror + name` from the first mirror that has it with the expected sha256.

    The file appears in `folder` whole or not at all. DataError if no mirror serves.
    """
    from http.client import HTTPException  # slow to import
    from urllib.request import urlopen
    folder.mkdir(parents=True, exist_ok=True)
    failures = []
    for mirror in mirrors:
        try:
            with atomic_write(folder / name) as file:
                with urlopen(mirror + name, timeout=TIMEOUT_SECONDS) as response:
                    shutil.copyfileobj(response, file, CHUNK)
                file.flush()
                if sha256(Path(file.name)) != expected:
                    raise DataError('its sha256 is not the expected one')
            return
        # urllib's URLError and every time-out are OSErrors; answers that are not HTTP and
        # redirections to no address are the others. DataError is a ValueError
        except (OSError, HTTPException, ValueError) as error:
            reason = str(getattr(error, 'reason', None) or error)
            failures.append(f'{mirror} ({" ".join(reason.split())})')
    raise DataError('; '.join(failures))


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a file of the cache to write, which gets its name when all of it is on the disk."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=UNFINISHED, delete=False) as file:
        try:
            yield file
            file.flush()
            os.umask(mask := os.umask(0))
            os.fchmod(file.fileno(), 0o666 & ~mask)  # as any file: others may share the cache
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
