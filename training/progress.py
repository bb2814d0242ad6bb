"""What a user sees of a run: bars on a terminal, one line an epoch elsewhere."""
import sys
import time

from tqdm import tqdm

REFRESH_SECONDS = 1.0  # reading losses waits for the device, so not at every batch


class Progress:
    """A bar over all batches of a run, with the epoch's losses so far and the time left."""

    def __init__(self, total_epochs: int):
        self.total_epochs = total_epochs
        self.terminal = sys.stderr.isatty()
        self.bar = None
        self.next_refresh = 0.0

    def on_batch(self, phase, epoch: int, batch: int, n_batches: int, means) -> None:
        """Called by the loop after each batch; `means()` reads the losses so far."""
        if not self.terminal:
            return
        if self.bar is None:
            self.bar = tqdm(total=self.total_epochs * n_batches, unit='batch', leave=False)
        self.bar.update()
        if time.monotonic() >= self.next_refresh:
            self.next_refresh = time.monotonic() + REFRESH_SECONDS
            losses = {k: f'{v:.4g}' for k, v in means().items() if k.endswith('_loss')}
            self.bar.set_description(f'{phase.name} epoch {epoch + 1}/{self.total_epochs}')
            self.bar.set_postfix(losses)

    def on_epoch(self, record: dict) -> None:
        """Print the epoch's line."""
        shown = ' '.join(f'{k} {record[k]:.4f}' for k in ('vae_loss', 'disc_loss', 'val_loss')
                         if record.get(k) is not None)
        tqdm.write(f'epoch {record["epoch"] + 1}/{self.total_epochs} {record["phase"]} '
                   f'{shown} {record["seconds"]:.1f} s')
        sys.stdout.flush()

    def close(self) -> None:
        """Take the bar away."""
        if self.bar is not None:
            self.bar.close()
