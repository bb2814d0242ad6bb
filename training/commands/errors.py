"""What a user is told of an error, in one line. Standard library only."""
import errno
import os
import resource
from pathlib import Path

REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def is_users(error: Exception) -> bool:
    """Return whether a message is for the user: our own errors', and what the machine lacks."""
    ours = type(error).__module__.split('.')[0] in ('training', 'data', 'models')
    return ours or isinstance(error, OSError) or _is_out_of_memory(error) or (
        isinstance(error, ImportError) and 'MXNet' in str(error))


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Return whether it, or what it came from, is that; libraries have their own words for it."""
    if error is None:
        return False
    of_file = isinstance(error, OSError) and error.filename is not None
    text = str(error.strerror if of_file else error).lower()
    words = ['memory', 'bad_alloc', 'allocation', 'map segment']
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        words.append('could not execute a primitive')  # oneDNN's; without a limit it is a fault
    return isinstance(error, MemoryError) or getattr(error, 'errno', None) == errno.ENOMEM or (
        isinstance(error, (RuntimeError, OSError)) and any(word in text for word in words)
    ) or _is_out_of_memory(error.__context__)


def add_place(error: Exception, results_root: Path) -> None:
    """Let an error of results that may not be written say how to name another place."""
    if not isinstance(error, OSError) or error.errno not in REFUSED or error.filename is None:
        return
    path, root = (Path(os.path.abspath(os.fsdecode(place)))
                  for place in (error.filename, results_root))
    if path.is_relative_to(root.parent) or root.is_relative_to(path):
        error.__notes__ = [*getattr(error, '__notes__', []), '--results-root names another folder']


def one_line(error: Exception) -> str:
    """Return what went wrong, with the file's name, and the notes that were added."""
    if _is_out_of_memory(error):
        text = 'not enough memory'
    elif isinstance(error, OSError):
        text = error.strerror or str(error)
        text = f'{error.filename}: {text}' if error.filename is not None else text
    else:
        text = str(error)
    return ' '.join('; '.join([text, *getattr(error, '__notes__', [])]).split())
