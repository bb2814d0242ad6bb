"""The VAE/GAN rows as they are trained here, and what the README says of them.

In full where that takes minutes, else at a scale that shows in the runs' names. Never imports
MXNet.
"""
from dataclasses import replace
from pathlib import Path

from training.experiments import naming
from training.experiments.registry import EXPERIMENTS
from training.experiments.row import Row
from training.reporting import pictures, tables
from training.studies.study import Runs, Study, numbers, of_measures, reduction

SHOWN = {  # column of vaegan.csv: header and digits
    'enc_loss': ('encoder loss', 3), 'dec_loss': ('decoder loss', 3),
    'disc_loss': ('disc loss', 3),
    **of_measures('mean_squared_error', 'sharpness', 'accuracy', 'frechet_reconstructions',
                  'frechet_samples', 'diversity')}
A_EPOCHS = 25      # of 100, on digits: as many as an hour and a half allows
A_FULL_EPOCHS = 5  # on faces, at full size
# Faces: all photographs and all 100 epochs, for the rules of the learning rates count them
QUARTER = {'n_latent': 512, 'n_hnodes': 256, 'disc_hnodes': 256, 'vae_base_channels': 16,
           'disc_base_channels': 16}
PAPER = {'combo_epochs': 24, 'grid_from': 3, 'grid_every': 3, 'limit': 2048, 'n_latent': 64,
         'n_hnodes': 256, 'disc_hnodes': 128,
         'vae_base_channels': 16, 'disc_base_channels': 8}
PAPER_HALF = {'combo_epochs': 16, 'grid_from': 1, 'grid_every': 1, 'n_hnodes': 512,
              'disc_hnodes': 256, 'vae_base_channels': 32, 'disc_base_channels': 16,
              'gamma': 0.005, 'schedule': 'annealed'}
FULL_TITLE = 'System A on faces: at full size'
QUARTER_TITLE = 'System A on faces: a quarter of the width'
RATES = ('lr1', 'lr2', 'lr3', 'lr4', 'lr2_as_logged', 'lr3_as_logged', 'lr4_as_logged')


def _faces(name: str, scale: dict = QUARTER, **changes) -> Row:
    drawn = {'grid_every': 15}  # as often as when they were trained
    return replace(EXPERIMENTS[f'VAEGAN_on_adult/A_2048_100_{name}'], **drawn | scale | changes)


def comparisons() -> dict[str, dict[str, Row]]:
    """Return rows as they are trained, by title and by what they are called in its table."""
    b = EXPERIMENTS['VAEGAN_on_MNIST/B_20_50']
    a = EXPERIMENTS['VAEGAN_on_MNIST/A_64_100']
    paper = EXPERIMENTS['VAEGAN_on_anime/paper_128_200']
    alone, joined, learned = (EXPERIMENTS[name] for name in (
        'DenseVAE_on_MNIST/5_3_400_bce_50', 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50',
        'VAEGAN_on_MNIST/paper_5_3_400_1_200_50'))
    return {
        'Does the learned similarity work?': {
            'pixel loss': alone, 'pixel loss + discriminator': joined,
            'learned similarity': learned},
        'System B': {'gradients routed': b,
                     'gradients accumulated, as published': EXPERIMENTS[
                         'VAEGAN_on_MNIST/B_20_50_as_published']},
        'System A on digits': {'A': replace(  # samples and their digits after each epoch
            a, combo_epochs=A_EPOCHS, grid_from=1, grid_every=1)},
        FULL_TITLE: {'A at full size': _faces('lr1', {}, combo_epochs=A_FULL_EPOCHS)},
        QUARTER_TITLE: {
            **{name: _faces(name) for name in RATES},
            'BatchNorm after the activation': _faces(  # features behind both, as before
                'lr1', norm='after', similarity='norm2'),
            'without minibatch discrimination': _faces('lr1', minibatch_kernels=0),
            'without it, batches of 150': _faces('lr1', minibatch_kernels=0, batch_size=150),
            'with it, batches of 150': _faces('lr1', batch_size=150)},
        "The paper's nets on anime faces": {
            'as its authors weighed it': replace(paper, **PAPER),
            'a larger gamma, a falling rate': replace(
                paper, **PAPER, gamma=0.01, schedule='annealed'),
            'half the channels, all faces': replace(paper, **PAPER_HALF)}}


def write(compared: dict[str, tuple[Row, dict]], runs: Runs) -> str:
    """Return a comparison: what is reduced, and a table, a line a run, with its strip.

    The table has no column of what none of its runs has.
    """
    rows = {label: row for label, (row, _) in compared.items()}
    shown = {name: of for name, of in SHOWN.items()
             if any(line[name] for _, line in compared.values())}
    table = [['', 'strip', 'epochs', *(header for header, _ in shown.values())]]
    for label, (row, line) in compared.items():
        run = line['run']
        table.append([runs.link(label, run), runs.strip(row, run, label),
                      naming.epochs_text(row), *numbers(line, shown)])
    return f'{reduction(rows)}\n\n{tables.markdown_table(table)}'


def draw(path: Path, compared: dict[str, dict[str, Row]], lines: list[dict],
         runs: Runs) -> None:
    """Draw system A's runs on faces, a column for each rule of the learning rates."""
    from training.reporting import study_charts  # slow to import
    study_charts.draw_schedules(path, {
        name: (runs.statistics(row), pictures.samples_in(runs.folder(row)))
        for name, row in compared[QUARTER_TITLE].items() if name in RATES})


STUDY = Study(
    'vaegan', 'the VAE/GANs', 'vaegan.csv',
    ('run', 'solo_epochs', 'combo_epochs', *SHOWN, 'minutes'),
    'schedules.png', comparisons, write, draw,
    'Losses are those of the last epoch, measures of all held-out images; sharpness and diversity '
    'are relative to the originals. In strips, originals stand above and reconstructions below.')
