"""Rerun the published experiments: `python -m training --help`."""
import sys

if sys.version_info[:2] != (3, 11):  # in words that an old Python can read too
    sys.stderr.write('error: this project needs Python 3.11 (MXNet 1.9.1 needs NumPy 1.23, '
                     'which has no wheels for newer ones); this is Python '
                     + '.'.join(map(str, sys.version_info[:2])) + '\n')
    raise SystemExit(2)
