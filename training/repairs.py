"""What the original's flaws cost: ConvVAE on faces, repaired one by one. Never imports MXNet.

All in about the same minutes on two cores, and once more the repaired net in as many epochs
as the published one.
"""
from dataclasses import replace

from training import naming, tables
from training.experiments import EXPERIMENTS, REPAIRS, Experiment

PUBLISHED = 'ConvVAE_on_anime/512_32_200_seeded'
IMAGES = 3200
EPOCHS = {  # as many as take about eight minutes
    'as published': 8, 'transposed': 8, 'linear head': 8, 'strided encoder': 30,
    'all three': 30, 'all three, equal epochs': 8}
CHANGES = {
    'as published': {}, 'transposed': {'layout': 'transpose'},
    'linear head': {'latent_head': 'linear'}, 'strided encoder': {'encoder': 'strided'},
    'all three': REPAIRS, 'all three, equal epochs': REPAIRS}
COLUMNS = ('run', 'solo_epochs', 'minutes', 'val_loss', 'mean_squared_error', 'psnr',
           'ssim', 'sharpness')


def labelled() -> dict[str, Experiment]:
    """What is trained, by what it is called in the table."""
    return {label: replace(EXPERIMENTS[PUBLISHED], limit=IMAGES, solo_epochs=EPOCHS[label],
                           **changes) for label, changes in CHANGES.items()}


def rows() -> list[Experiment]:
    """What is trained."""
    return [*labelled().values()]


def markdown(lines: list[dict]) -> str:
    """The README's table."""
    table = [['ConvVAE', 'epochs', 'minutes', 'KL + pixel, held out', 'squared error', 'PSNR, dB',
              'SSIM', 'sharpness']]
    by_run = {line['run']: line for line in lines}
    for label, row in labelled().items():
        line = by_run[naming.run_name(row)]
        table.append([f'[{label}](results/images/{line["run"]}/README.md)',
                      line['solo_epochs'], *(tables.number(line[k], digits) for k, digits in (
                          ('minutes', 1), ('val_loss', 0), ('mean_squared_error', 4),
                          ('psnr', 2), ('ssim', 3), ('sharpness', 2)))])
    return tables.markdown_table(table)
