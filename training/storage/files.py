"""Files that are there whole or not at all, and a lock that ends with its process."""
import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

TEMPORARY = '.tmp'  # suffix of what is not whole yet; such a file is hidden
CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES}
CANNOT_LOCK = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP}
MAX_NAME_BYTES, ADDED_BYTES = 255, 25  # of a file's name, and what `replacing` adds to it


class LockError(ValueError):
    """What another process holds; the message is for the user."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write a file at; it becomes `path` when it is written and on the disk.

    If anything fails, what `path` was stays. An OSError names `path`.
    """
    name = shortened(path.name, MAX_NAME_BYTES - ADDED_BYTES)
    temporary = path.with_name(f'.{name}.{os.getpid()}{TEMPORARY}')
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync_names(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Write a file of these pieces, in place of an older one."""
    with replacing(path) as temporary, open(temporary, 'wb') as file:
        for piece in pieces:
            file.write(piece)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, in place of an older one."""
    write(path, [printable(text).encode()])


def printable(text: str) -> str:
    r"""Return a text with names of files as any program can read it, whatever the locale.

    Bytes that are no UTF-8 become escapes such as \xfc.
    """
    return text.encode(errors='surrogateescape').decode(errors='backslashreplace')


def shortened(name: str, n_bytes: int) -> str:
    """Return the beginning of a file's name that takes so many bytes at most, as the disk has it.

    It is UTF-8 there even where the locale is not, as in zips; bytes that are no UTF-8 stay.
    """
    name = name.encode(errors='surrogateescape').decode(errors='surrogateescape')
    while len(kept := name.encode(errors='surrogateescape')) > n_bytes:
        name = name[:-1]
    return os.fsdecode(kept)


def copy(path: Path, to: Path) -> None:
    """Give a file a second name, or copy it where the disk knows no such; whole or not at all."""
    with replacing(to) as temporary:
        try:
            temporary.unlink(missing_ok=True)
            os.link(path, temporary)
        except OSError:
            shutil.copyfile(path, temporary)


def check_writable(folder: Path) -> None:
    """Raise OSError, naming it, unless a folder that is there, or is to be made, can be written.

    Before what takes long: its end is too late to hear of it.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from None


def _sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, would survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_names(folder: Path) -> None:
    """Sync a folder, where its disk can: those that machines share often cannot."""
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder alone, among commands that write several files of it which belong together.

    The others wait. On a disk that knows no locks it is not held.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def lock(path: Path) -> IO[str]:
    """Lock a file, made if it is not there, until what is returned is closed.

    The system unlocks it when this process ends, however it ends; a line says so where the disk
    knows no locks. LockError if another process holds it.
    """
    while True:
        file = open(path, 'a+')
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read(20).strip()
            file.close()
            raise LockError(f'{path.parent}: in use by another run of this experiment'
                            + (f', process {holder}' if holder else '')) from None
        except OSError as error:
            if error.errno not in CANNOT_LOCK:
                file.close()
                raise OSError(error.errno, error.strerror, str(path)) from None
            print(f'{path.parent}: cannot be locked ({error.strerror}): do not start it twice',
                  file=sys.stderr)
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            break
        file.close()  # whoever held it has taken it away since
    file.truncate(0)
    file.write(f'{os.getpid()}\n')
    file.flush()
    return file
