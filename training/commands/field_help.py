"""What `run --help` says of the fields of rows, from their own metadata."""
import textwrap

from training.experiments.fields import allowed
from training.experiments.registry import EXPERIMENTS
from training.experiments.row import Experiment, VaeGan


def text() -> str:
    """Return every field that --set takes: its meaning and bounds, and the nets that rows name."""
    kinds = (Experiment, 'fields of all rows:'), (VaeGan, 'fields of VAE/GANs (VAEGAN_on_..):')
    lines, said = [], set()
    for row, title in kinds:
        lines += [title]
        for name, one in row.fields().items():
            if name not in said:
                text = f'{one.metadata["meaning"]} ({allowed(one)})'
                lines += [f'  {name}', *textwrap.wrap(text, 74, initial_indent=6 * ' ',
                                                      subsequent_indent=6 * ' ')]
        said |= row.fields().keys()
    for net in ('vae', 'disc'):
        names = sorted({getattr(row, net) for row in EXPERIMENTS.values()} - {None})
        lines += textwrap.wrap(f'names for {net}: {", ".join(names)}', 78,
                               subsequent_indent='  ')
    return '\n'.join(lines)
