"""Names of pictures that are no UTF-8, that a locale cannot say, or that are very long."""
import contextlib
import errno
import os
import stat

import pytest

from tests.processes import ROOT, python
from training.storage import files

LATIN = os.fsdecode(b'f\xfcr.png')
POSIX = {'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'}
SAYS = """
from pathlib import Path
from training.runtime import process
from training.storage import files
process.open_streams()
name, from_zip = next(Path('.').iterdir()).name, 'f\\xfcr'
files.write_text(Path('out.txt'), name + from_zip)
Path(files.shortened(from_zip * 9, 6)).touch()
print(name, from_zip)
"""


def test_names_are_written_as_any_program_reads_them(tmp_path):
    files.write_text(tmp_path / 'names.txt', f'{LATIN} für.png')
    assert (tmp_path / 'names.txt').read_bytes() == 'f\\xfcr.png für.png'.encode()


@pytest.mark.parametrize('number, is_written', [(errno.EINVAL, True), (errno.EIO, False)])
def test_disk_may_be_one_that_cannot_sync_folders(tmp_path, monkeypatch, number, is_written):
    def refuse(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
    monkeypatch.setattr(os, 'fsync', refuse)
    with contextlib.nullcontext() if is_written else pytest.raises(OSError, match='a.txt'):
        files.write_text(tmp_path / 'a.txt', 'whole')


def test_posix_locale_changes_no_name(tmp_path):
    (tmp_path / 'für.png').touch()
    done = python('-c', SAYS, cwd=tmp_path, **POSIX, PYTHONPATH=str(ROOT))
    assert done.returncode == 0 and done.stdout == 'für.png für\n', done.stderr
    assert (tmp_path / 'out.txt').read_bytes() == 'für.pngfür'.encode()
    assert (tmp_path / 'fürf').exists()


def test_long_names_are_cut_between_letters(tmp_path):
    assert files.shortened('漢' * 80, 200) == '漢' * 66
    assert files.shortened(LATIN, 200) == LATIN
    path = tmp_path / ('a' * 251 + '.csv')  # as long as names may be
    files.write_text(path, 'whole')
    assert [*tmp_path.iterdir()] == [path] and path.read_text() == 'whole'
