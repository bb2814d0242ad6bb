"""`run --log`: what a run prints, in a file, too."""
import re
import sys
from datetime import datetime

import pytest

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
SMALL = ['--epochs', '2', '--limit', '64', '--set', 'n_hnodes=8']


@pytest.fixture
def run(on_digits):
    return lambda log, *words: on_digits('run', SOLO, *SMALL, '--log', log, *words)


def logged(path) -> list[str]:
    """The lines of a log, whose times are checked."""
    times, lines = zip(*(line.split(' ', 1) for line in path.read_text().splitlines()),
                       strict=True)
    moments = [datetime.fromisoformat(time) for time in times]
    assert moments == sorted(moments) and all(moment.tzinfo for moment in moments)
    return [*lines]


def test_log_has_every_line_of_all_runs_and_goes_on(run, tmp_path, monkeypatch):
    log = tmp_path / 'mine.log'
    status, out, err = run(log, '--seed', '1,2')
    first = logged(log)
    assert status == 0 and sorted(first) == sorted(out.splitlines() + err.splitlines()), err
    assert 'data: ' in first[0] and first[-2].startswith('| 2 epochs, 64 ')
    assert len(re.findall(r'^epoch .*, \d+\.\d [MG]B\)$', out, re.M)) == 4  # peak memory so far
    # On a terminal, where a bar is drawn, and with the line that says why nothing was trained
    with monkeypatch.context() as patch:
        patch.setattr(type(sys.stderr), 'isatty', lambda self: True)
        status, out, err = run(log, '--seed', '3')
    assert status == 0 and '\r' in err and '%|' in err
    assert run(log, '--seed', '3')[0] == 2
    data, *second, again, refused = logged(log)[len(first):]
    assert data == again == err.splitlines()[0] and second == out.splitlines()
    assert refused.startswith('error: ') and '--force replaces it' in refused


@pytest.mark.parametrize('name, said', [
    ('', 'Is a directory'), ('gone/mine.log', 'No such file or directory'),
    ('/dev/full', '/dev/full: No space left on device')])
def test_log_that_cannot_be_written_is_refused(run, tmp_path, name, said):
    status, out, err = run(tmp_path / name)
    assert status == 2 and out == '' and not any(tmp_path.iterdir())
    assert err.splitlines()[-1].startswith('error: ') and said in err
