"""What the original's flaws cost: ConvVAE on faces, repaired one by one. Never imports MXNet.

All in about the same minutes on two cores, and once more the repaired nets in as many epochs
as the published one. Then on all faces: the published net for an hour, and over seeds the smaller
one with its flaws and without.
"""
from dataclasses import replace
from pathlib import Path

from training.experiments.registry import EXPERIMENTS, SMALLER, WITHOUT_FLAWS
from training.experiments.row import Row
from training.reporting import tables
from training.studies import claim
from training.studies.study import Runs, Study, numbers, of_measures

PUBLISHED = 'ConvVAE_on_anime/512_32_200_seeded'
IMAGES = 6400
LINEAR = 'linear head, learning rate 1e-4'
CHANGES = {
    'as published': {}, 'learning rate 1e-4': {'lr': 1e-4},  # to tell it from the linear head
    'transposed': {'layout': 'transpose'},
    # Adam moves each of the 215,296 weights of a log variance by lr: at 1e-3 the second batch's
    # KL is not finite
    LINEAR: {'latent_head': 'linear', 'lr': 1e-4}, 'strided encoder': {'encoder': 'strided'},
    'smaller': SMALLER, 'all three, equal epochs': WITHOUT_FLAWS, 'all three': WITHOUT_FLAWS,
    'all three, smaller, equal epochs': WITHOUT_FLAWS | SMALLER,
    'all three, smaller': WITHOUT_FLAWS | SMALLER}
# About four minutes: a step takes 1.1 s with the published encoder, 0.17 s with the strided;
# of the smaller nets 0.17 s and 0.05 s
EPOCHS = dict.fromkeys(CHANGES, 2) | {'strided encoder': 13, 'all three': 13,
                                      'smaller': 12, 'all three, smaller': 44}
EQUAL = ', equal epochs'  # these begin another run's line
ONE_BY_ONE, ALL_FACES = 'Faces: the flaws of ConvVAE', 'All faces: the flaws of ConvVAE'
EPOCHS_OF_ALL = 10        # of the published net, on all faces
SEEDED = {claim.FACES: 'smaller', claim.SOUND: 'all three, smaller'}
SHOWN = {'minutes': ('minutes', 1), 'val_loss': ('KL + pixel, held out', 0),
         **of_measures('mean_squared_error', 'psnr', 'ssim', 'sharpness')}


def comparisons() -> dict[str, dict[str, Row]]:
    """Return what is trained, by what it is called in the tables."""
    published = EXPERIMENTS[PUBLISHED]
    return {
        ONE_BY_ONE: {label: replace(published, limit=IMAGES, solo_epochs=EPOCHS[label], **changes)
                     for label, changes in CHANGES.items()},
        ALL_FACES: {'as published': replace(published, solo_epochs=EPOCHS_OF_ALL),
                    **{f'{label}, seed {row.seed}': row for title, label in SEEDED.items()
                       for row in claim.comparisons()[title].values() if not row.disc}}}


def write(compared: dict[str, tuple[Row, dict]], runs: Runs) -> str:
    """Return the table: a line a net, with its strip."""
    table = [['ConvVAE', 'strip', 'epochs', *(header for header, _ in SHOWN.values())]]
    for label, (row, line) in compared.items():
        table.append([runs.link(label, line['run']), runs.strip(row, line['run'], label),
                      line['solo_epochs'], *numbers(line, SHOWN)])
    return tables.markdown_table(table)


def draw(path: Path, compared: dict[str, dict[str, Row]], lines: list[dict],
         runs: Runs) -> None:
    """Draw held-out losses over the minutes of training, of one seed each."""
    from training.reporting import study_charts  # slow to import
    study_charts.draw_loss_over_minutes(path, {title: {
        label: runs.statistics(row) for label, row in rows.items()
        if not label.endswith(EQUAL) and row.seed == 0} for title, rows in compared.items()})


STUDY = Study(
    'repairs', 'ConvVAE without its flaws', 'repairs.csv',
    ('run', 'solo_epochs', 'minutes', 'val_loss', 'mean_squared_error', 'psnr', 'ssim',
     'sharpness'),
    'repairs.png', comparisons, write, draw,
    f'The nets of the first comparison see {IMAGES:,} training faces, for as many epochs as fit '
    'into about the same minutes; those of the second see all. Labels say what is changed. In '
    'strips, originals stand above and reconstructions below. Measures are of all held-out '
    'faces; sharpness is relative to the originals.')
