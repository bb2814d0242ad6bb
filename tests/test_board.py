"""`--tensorboard`: the event files hold what the result folder holds, and nothing else changes."""
import io
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.reporting import pictures
from training.reporting.statistics import read_statistics
from training.storage import run_folder

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
RUN = 'DenseVAE_on_MNIST/5_3_400_bce_3_n64_n_hnodes-8'


def events(folder: Path) -> Iterator:
    """The events of a folder's only file: records of length, its checksum, event, checksum."""
    from tensorboardX.proto.event_pb2 import Event
    path, = folder.iterdir()
    content, at = path.read_bytes(), 0
    while at < len(content):
        length, = struct.unpack_from('<Q', content, at)
        yield Event.FromString(content[at + 12:at + 12 + length])
        at += 16 + length


@pytest.fixture
def run(cli, tmp_path, data_root):
    """Trains for three epochs, with more options."""
    return lambda *options: cli([
        'run', SOLO, '--set', 'n_hnodes=8', '--epochs', '3', '--limit', '64', '--results-root',
        str(tmp_path / 'results'), '--data-root', str(data_root), '--ctx', 'cpu', *options])


def test_events_are_the_statistics_and_the_strip_and_nothing_else_changes(run, tmp_path,
                                                                          monkeypatch):
    status, _, err = run('--tensorboard', str(tmp_path / 'board'))
    assert status == 0, err
    folder, shown, strips = tmp_path / 'results' / RUN, {}, {}
    for event in events(tmp_path / 'board' / RUN):
        for value in event.summary.value:
            if value.HasField('image'):
                strips[event.step] = value.image.encoded_image_string
            else:
                shown[event.step, value.tag] = value.simple_value
    kept = {(line['epoch'], name): value for line in read_statistics(folder)
            for name, value in line.items()
            if name not in ('epoch', 'phase') and value is not None}
    assert len(kept) >= 3 * 5
    assert shown == pytest.approx(kept, rel=1e-6, abs=1e-3)  # seconds have 3 digits
    assert sorted(strips) == [0, 1, 2] and strips[0] != strips[2]
    last = np.asarray(Image.open(io.BytesIO(strips[2])).convert('L'))
    assert (last == np.asarray(Image.open(folder / pictures.STRIP))).all()
    with_board = (folder / run_folder.PARAMETERS).read_bytes()
    monkeypatch.setitem(sys.modules, 'tensorboardX', None)  # importing it is an error
    monkeypatch.delitem(sys.modules, 'training.run.tensorboard')
    status, _, err = run('--force')
    assert status == 0 and (folder / run_folder.PARAMETERS).read_bytes() == with_board, err


def test_a_run_that_goes_on_voids_what_it_trains_again(tmp_path):
    from tensorboardX.proto.event_pb2 import SessionLog

    from training.run.tensorboard import Board
    Board(tmp_path / 'run', 7).close()
    assert [event.step for event in events(tmp_path / 'run')
            if event.session_log.status == SessionLog.START] == [7]


def test_a_file_in_place_of_the_folder_is_one_line(run, tmp_path):
    (tmp_path / 'board').write_text('mine')
    with pytest.raises(SystemExit) as stopped:
        run('--tensorboard', str(tmp_path / 'board'))
    assert stopped.value.code == 2
    assert (tmp_path / 'board').read_text() == 'mine' and not (tmp_path / 'results').exists()
