"""What a user sees of a run: bars on a terminal, one line an epoch elsewhere.

Epochs are numbered from 0, as in all tables.
"""
import sys
import time

from tqdm import tqdm

REFRESH_SECONDS = 1.0  # reading losses waits for the device, so not at every batch


class ProgressBar:
    """A bar over all batches of a run, with the epoch's losses so far and the time left."""

    def __init__(self, total_epochs: int, n_workers: int = 1):
        self.total_epochs = total_epochs
        self.n_workers = n_workers
        self.terminal = sys.stderr.isatty()
        self.bar = None
        self.next_refresh = 0.0

    def on_batch(self, phase, progress, n_batches: int) -> None:
        """Show the losses of this worker's images; the loop calls it after each batch."""
        if not self.terminal:
            return
        epoch = len(progress.records)
        if self.bar is None:
            self.bar = tqdm(total=self.total_epochs * n_batches, unit='batch', leave=False,
                            initial=epoch * n_batches + progress.batch - 1)
        self.bar.update()
        if time.monotonic() >= self.next_refresh:
            self.next_refresh = time.monotonic() + REFRESH_SECONDS
            losses = {k: f'{self.n_workers * v:.4g}' for k, v in progress.means(phase).items()
                      if k.endswith('_loss')}
            self.bar.set_description(f'epoch {epoch} {phase.name} ({self._count(epoch)})')
            self.bar.set_postfix(losses)

    def on_epoch(self, record: dict) -> None:
        """Print the epoch's line."""
        shown = ' '.join(f'{k} {record[k]:.4f}' for k in record
                         if k.endswith('_loss') and record[k] is not None)
        tqdm.write(f'epoch {record["epoch"]} {record["phase"]} {shown} '
                   f'{record["seconds"]:.1f} s ({self._count(record["epoch"])})')
        sys.stdout.flush()

    def _count(self, epoch: int) -> str:
        return f'{epoch + 1} of {self.total_epochs}'

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()
