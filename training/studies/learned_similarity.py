"""The VAE/GAN rows as they are trained here, and what the README says of them.

In full where that takes minutes, else at a scale that shows in the runs' names. Never imports
MXNet.
"""
from dataclasses import replace

from training.evaluation.measures import MEASURES as MEASURED
from training.experiments import naming
from training.experiments.registry import EXPERIMENTS, Experiment
from training.reporting import tables

MEASURES = {  # a table's header, and digits
    'enc_loss': ('encoder loss', 3), 'dec_loss': ('decoder loss', 3),
    'disc_loss': ('disc loss', 3),
    **{name: (MEASURED[name].header, MEASURED[name].digits) for name in (
        'mean_squared_error', 'sharpness', 'accuracy', 'frechet_reconstructions',
        'frechet_samples', 'diversity')}}
COLUMNS = ('run', 'solo_epochs', 'combo_epochs', *MEASURES, 'minutes')  # of vaegan.csv
A_EPOCHS = 25      # of 100, on digits: as many as an hour and a half allows
FLAW_EPOCHS = 10   # of B as published
# Faces: all 100 epochs, for the rules of the learning rates count them
FACES = {'limit': 1200, 'n_latent': 256, 'n_hnodes': 256, 'disc_hnodes': 256,
         'vae_base_channels': 8, 'disc_base_channels': 8, 'n_validation': 300}
PAPER = {'combo_epochs': 24, 'grid_from': 3, 'grid_every': 3, 'limit': 2048, 'n_latent': 64,
         'n_hnodes': 256, 'disc_hnodes': 128,
         'vae_base_channels': 16, 'disc_base_channels': 8}
SCHEDULES_TITLE = 'System A on faces: learning rates'
SCHEDULES = ('lr1', 'lr2', 'lr3', 'lr4', 'lr2_as_logged', 'lr3_as_logged', 'lr4_as_logged')


def _faces(name: str, **changes) -> Experiment:
    return replace(EXPERIMENTS[f'VAEGAN_on_adult/A_2048_100_{name}'], **FACES | changes)


def studies() -> dict[str, dict[str, Experiment]]:
    """By title: rows as they are trained, by what they are called in its table."""
    b = EXPERIMENTS['VAEGAN_on_MNIST/B_20_50']
    flawed = EXPERIMENTS['VAEGAN_on_MNIST/B_20_50_as_published']
    a = EXPERIMENTS['VAEGAN_on_MNIST/A_64_100']
    alone, joined, learned = (EXPERIMENTS[name] for name in (
        'DenseVAE_on_MNIST/5_3_400_bce_50', 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50',
        'VAEGAN_on_MNIST/paper_5_3_400_1_200_50'))
    return {
        'Does the learned similarity work?': {
            'pixel loss': alone, 'pixel loss + discriminator': joined,
            'learned similarity': learned},
        'System B': {'gradients routed': b,
                     'gradients accumulated, as published': replace(
                         flawed, combo_epochs=FLAW_EPOCHS)},
        'System A on digits': {'A': replace(  # samples and their digits after each epoch
            a, combo_epochs=A_EPOCHS, grid_from=1, grid_every=1)},
        SCHEDULES_TITLE: {name: _faces(name) for name in SCHEDULES},
        'System A on faces: two claims': {
            'BatchNorm before, batches of 50, minibatch discrimination': _faces('lr1'),
            'BatchNorm after the activation': _faces(  # features behind both, as before
                'lr1', norm='after', similarity='norm2'),
            'without minibatch discrimination': _faces('lr1', minibatch_kernels=0),
            'without it, batches of 150': _faces('lr1', minibatch_kernels=0, batch_size=150),
            'with it, batches of 150': _faces('lr1', batch_size=150)},
        "The paper's nets on anime faces": {'paper': replace(
            EXPERIMENTS['VAEGAN_on_anime/paper_128_200'], **PAPER)}}


def rows() -> list[Experiment]:
    """What is trained: each once."""
    return [*{naming.run_name(row): row for study in studies().values()
              for row in study.values()}.values()]


def markdown(lines: list[dict]) -> str:
    """The README's part, study by study."""
    return '\n'.join(f'#### {title}\n\n{block(title, lines)}' for title in studies())


def block(title: str, lines: list[dict]) -> str:
    """A study's table and pictures; lines are those of vaegan.csv.

    The table has no column of what none of its runs has.
    """
    by_run = {line['run']: line for line in lines}
    rows = {label: (row, by_run[naming.run_name(row)]) for label, row in studies()[title].items()}
    shown = {k: of for k, of in MEASURES.items() if any(line[k] for _, line in rows.values())}
    table = [['', 'epochs', *(header for header, _ in shown.values())]]
    pictures = []
    for label, (row, line) in rows.items():
        folder = f'results/images/{line["run"]}'
        table.append([f'[{label}]({folder}/README.md)', naming.epochs_text(row),
                      *(tables.number(line[k], digits) for k, (_, digits) in shown.items())])
        pictures.append(f'**{label}.** {naming.caption(row)}\n')
        if row.kind_of_combo == 'vaegan':
            pictures.append(f'![Samples over the epochs]({folder}/{pictures.ANIMATION}) '
                            f'![Losses]({folder}/{pictures.LOSSES})\n')
        pictures.append(f'![Originals and reconstructions]({folder}/{pictures.STRIP})\n')
    return '\n'.join([tables.markdown_table(table), *pictures])
