"""Rerun the published experiments: `python -m training --help`."""
import sys

if not (3, 10) <= sys.version_info[:2] <= (3, 13):  # in words that an old Python can read too
    sys.stderr.write('error: this project needs Python 3.10 to 3.13 (MXNet 1.9.1 and its NumPy '
                     'were run with no other); this is Python '
                     + '.'.join(map(str, sys.version_info[:2])) + '\n')
    raise SystemExit(2)
