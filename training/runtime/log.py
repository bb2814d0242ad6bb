"""What a command prints, also in a file: `run --log`."""
import contextlib
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO


class _Stream:
    """A stream whose whole lines are noted, too; bars, which are drawn over, are not."""

    def __init__(self, stream: IO[str], note: Callable[[str], None]):
        self._stream, self._note, self._begun = stream, note, ''

    def write(self, text: str) -> int:
        """Write, then note the lines that end in it."""
        n_written = self._stream.write(text)
        if '\r' not in text:
            *lines, self._begun = (self._begun + text).split('\n')
            for line in lines:
                self._note(line)
        return n_written

    def __getattr__(self, name: str):
        return getattr(self._stream, name)


@contextlib.contextmanager
def kept(path: Path) -> Iterator[None]:
    """Append what is printed within to a file, each line with the time before it.

    Several processes may do so at once. OSError, naming the file, if it cannot be written.
    """
    with open(path, 'ab', buffering=0) as file:
        def note(line: str) -> None:
            now = datetime.now().astimezone().isoformat(timespec='seconds')
            try:
                file.write(f'{now} {line}\n'.encode(errors='backslashreplace'))
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(path)) from None
        with contextlib.redirect_stdout(_Stream(sys.stdout, note)), \
                contextlib.redirect_stderr(_Stream(sys.stderr, note)):
            yield
