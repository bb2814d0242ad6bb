"""What TensorBoard shows of a run: its losses and strips, epoch by epoch. Never imports MXNet.

Imported by a run that is asked for it only, and so is the library that writes the files.
"""
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog

STRIP = 'strip'


class Board:
    """A run's folder of event files; the steps are epochs, counted as in its statistics.

    They are written at once: tensorboardX's SummaryWriter has a thread for it, which ends
    unheard where the disk is full, and then the run waits for it. An OSError names the folder.
    first: the epoch this process begins with; what an earlier one wrote from there on is void.
    """

    def __init__(self, folder: Path, first: int) -> None:
        self._folder = folder
        with self._named():
            folder.mkdir(parents=True, exist_ok=True)
            self._writer = EventsWriter(str(folder / 'events'))
            self._write(Event(step=first, file_version='brain.Event:2'))
            self._write(Event(step=first, session_log=SessionLog(status=SessionLog.START)))
            self._writer.flush()

    def add(self, record: dict, strip: np.ndarray) -> None:
        """Log an epoch's numbers, and the strip (h, w, c) uint8 after it."""
        shown = [summary.scalar(name, value) for name, value in record.items()
                 if isinstance(value, float)]
        shown.append(summary.image(STRIP, strip, dataformats='HWC'))
        with self._named():
            for one in shown:
                self._write(Event(step=record['epoch'], summary=one))
            self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        with self._named():
            self._writer.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._writer.write_event(event)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._folder)) from None
