"""What a user sees of a run: bars on a terminal, a line an epoch, and a minute, elsewhere.

Epochs are numbered from 0, as in all tables.
"""
import sys
import time

from tqdm import tqdm

from training.runtime import memory

REFRESH_SECONDS = 1.0  # reading losses waits for the device, so not at every batch
LINE_SECONDS = 60.0    # of an epoch between two lines, where there is no terminal


class ProgressBar:
    """A bar over all batches of a run, with the epoch's losses so far and the time left.

    Where stderr is no terminal, a line a minute in its place.
    """

    def __init__(self, total_epochs: int, n_workers: int = 1):
        self.total_epochs = total_epochs
        self.n_workers = n_workers
        self.terminal = getattr(sys.stderr, 'isatty', bool)()  # a notebook's may have none
        self.bar = None
        self.next_refresh = 0.0 if self.terminal else time.monotonic() + LINE_SECONDS

    def on_batch(self, phase, progress, n_batches: int) -> None:
        """Show the losses of this worker's images; the loop calls it after each batch."""
        epoch = len(progress.records)
        if self.terminal and self.bar is None:
            self.bar = tqdm(total=self.total_epochs * n_batches, unit='batch', leave=False,
                            initial=epoch * n_batches + progress.batch - 1)
        if self.bar:
            self.bar.update()
        if time.monotonic() < self.next_refresh:
            return
        losses = {k: f'{self.n_workers * v:.4g}' for k, v in progress.means(phase).items()
                  if k.endswith('_loss')}
        if self.bar:
            self.next_refresh = time.monotonic() + REFRESH_SECONDS
            self.bar.set_description(f'epoch {epoch} {phase.name} ({self._count(epoch)})')
            self.bar.set_postfix(losses)
        else:
            self.next_refresh = time.monotonic() + LINE_SECONDS
            print(f'epoch {epoch} {phase.name}: batch {progress.batch} of {n_batches},',
                  *(f'{name} {loss}' for name, loss in losses.items()),
                  f'so far ({self._count(epoch)})', file=sys.stderr, flush=True)

    def on_epoch(self, record: dict) -> None:
        """Print the epoch's line, with the most memory that the process has taken so far."""
        shown = ' '.join(f'{k} {record[k]:.4f}' for k in record
                         if k.endswith('_loss') and record[k] is not None)
        tqdm.write(f'epoch {record["epoch"]} {record["phase"]} {shown} '
                   f'{record["seconds"]:.1f} s ({self._count(record["epoch"])}'
                   f'{self._left(record)}, {memory.peak()})')
        sys.stdout.flush()
        if not self.terminal:
            self.next_refresh = time.monotonic() + LINE_SECONDS

    def _count(self, epoch: int) -> str:
        return f'{epoch + 1} of {self.total_epochs}'

    def _left(self, record: dict) -> str:
        """Return how long the epochs to come take, if they are like the last one."""
        minutes = (self.total_epochs - 1 - record['epoch']) * record['seconds'] / 60
        if minutes < 1:
            return ''
        return f', {minutes:.0f} min left' if minutes < 100 else f', {minutes / 60:.1f} h left'

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()
