"""Rerun the published experiments: `python -m training --help`; `open_run` for use from Python."""
import sys

if not (3, 10) <= sys.version_info[:2] <= (3, 13):  # in words that an old Python can read too
    UNFIT = ('this project needs Python 3.10 to 3.13 (MXNet 1.9.1 and its NumPy were run with no '
             'other); this is Python ' + '.'.join(map(str, sys.version_info[:2])))
    if sys.argv[:1] not in (['-m'], ['-c']):  # as of `python -m training`, and of `vaegan`
        raise ImportError(UNFIT)
    sys.stderr.write('error: ' + UNFIT + '\n')
    raise SystemExit(2)

# isort: split
from training.commands.opening import open_run

__all__ = ['open_run']
