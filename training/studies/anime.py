"""The anime rows at one reduced scale, by what is compared. Never imports MXNet.

A row keeps its published name and procedure; what is reduced shows in its run's name. The
scale is the same for all, so that they compare with each other, not with published losses.
"""
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.experiments import registry
from training.experiments.registry import EXPERIMENTS
from training.experiments.row import Row
from training.reporting import tables
from training.studies.study import Runs, Study, numbers, of_measures

EPOCHS_DIVISOR = 12.5     # 200 epochs become 16, the decay's 25 become 2
CHANNELS_DIVISOR = 4      # base channels
WIDTH_DIVISOR = 8         # latents, and nodes of hidden layers
IMAGES, BATCH = 1792, 32  # training images, and of them in a batch: twice as many updates
N_IMAGES = 1000           # held-out images that are measured
N_DRAWN = 3               # faces in the figure

COMPARED = {  # title: the published rows that are compared, in the published README's order
    'Faces, reduced: nets': [
        'DenseVAE_on_anime/512_5_1024_200_seeded',
        'DenseVAE_DenseLogReg_on_anime/512_5_1024_1_1024_200_10_seeded',
        'ConvVAE_on_anime/512_32_200_seeded',
        'ConvVAE_ConvDisc_LeakyReLU_on_anime/512_32_32_200_10_seeded',
        'ConvVAE_ResNet_on_anime/512_32_200_10_seeded',
        'ConvDecoder_ResNet_on_anime/512_32_200'],
    'Faces, reduced: weight of the discriminator': [
        f'ConvVAE_ResNet_on_anime/512_32_200_{weight}_1' for weight in (1, 10, 20, 50)],
    'Faces, reduced: weight of the pixel loss, and its decay': [
        f'ConvVAE_ResNet_on_anime/512_32_200_10_{weight}'
        for weight in ('1.2', '1', '0.8', '0.5', '1_decay0.95', '1_decay0.9')],
    'Faces, reduced: mixes of solo and combo epochs': [
        f'ConvVAE_ResNet_on_anime/512_32_{epochs}_10_1'
        for epochs in ('200', '50+150', '100+100', '150+50')],
    'Faces, reduced: more latents, deeper nets': [
        'ConvVAE_ConvDisc_LeakyReLU_on_anime/1024_32_64_200_10_1',
        'ConvVAE_ResNet_on_anime/1024_32_200_10_1',
        'ConvVAE_ResNet_on_anime/1024_32_200_10_1_initlr2e-4',
        'DeepConvVAE_DeepConvDisc_on_anime/1024_32_64_200_10_1_initlr2e-4'],
    'Faces, reduced: the first version, split in name order': [
        'DenseVAE_on_anime/512_5_1024_200',
        'DenseVAE_DenseLogReg_on_anime/512_5_1024_1_1024_200_10',
        'ConvVAE_on_anime/512_32_200',
        'ConvVAE_ConvDisc_LeakyReLU_on_anime/256_16_16_200_10',
        'ConvVAE_ResNet_on_anime/256_16_200_10']}
# Beside the published rows: the same net on images that were made channel-first rightly
TRANSPOSED = 'ConvVAE_on_anime/512_32_200_seeded'
LAYOUTS = 'Faces, reduced: reshape and transpose'
SHOWN = {'val_loss': ('KL + pixel, held out', 0),
         **of_measures('mean_squared_error', 'sharpness', 'noise')}


def at_scale(row: Row) -> Row:
    """Return the row, reduced."""
    def part(value: int | None, divisor: float) -> int | None:
        return None if value is None else round(value / divisor)

    return replace(
        row, solo_epochs=part(row.solo_epochs, EPOCHS_DIVISOR),
        combo_epochs=part(row.combo_epochs, EPOCHS_DIVISOR),
        decay_interval=part(row.decay_interval, EPOCHS_DIVISOR),
        n_latent=part(row.n_latent, WIDTH_DIVISOR), n_hnodes=part(row.n_hnodes, WIDTH_DIVISOR),
        disc_hnodes=part(row.disc_hnodes, WIDTH_DIVISOR),
        vae_base_channels=part(row.vae_base_channels, CHANNELS_DIVISOR),
        disc_base_channels=part(row.disc_base_channels, CHANNELS_DIVISOR),
        limit=IMAGES, batch_size=BATCH, step='shared')


def comparisons() -> dict[str, dict[str, Row]]:
    """Return what is trained by title: rows by their published names, and by their layouts."""
    first = at_scale(EXPERIMENTS[TRANSPOSED])
    return {**{title: {name: at_scale(registry.canonical(EXPERIMENTS[name])) for name in names}
               for title, names in COMPARED.items()},
            LAYOUTS: {'reshape': first, 'transpose': replace(first, layout='transpose')}}


def write(compared: dict[str, tuple[Row, dict]], runs: Runs) -> str:
    """Return a comparison's table: a line a row, with its strip."""
    table = [['experiment', 'strip', *(header for header, _ in SHOWN.values())]]
    for label, (row, line) in compared.items():
        nets = ' + '.join(filter(None, (row.vae, row.disc)))
        epochs = f'{line["solo_epochs"]}+{line["combo_epochs"]} epochs'
        table.append([f'{runs.link(label.split("/")[-1], line["run"])}<br>{nets}<br>{epochs}',
                      runs.strip(row, line['run'], label), *numbers(line, SHOWN)])
    return tables.markdown_table(table)


def draw(path: Path, compared: dict[str, dict[str, Row]], lines: list[dict],
         runs: Runs) -> None:
    """Draw what reshape and transpose make of faces, and of their reconstructions."""
    from training.reporting import study_charts  # slow to import
    drawn = {}
    for layout, row in compared[LAYOUTS].items():
        run = runs.load(runs.folder(row))
        images = run.dataset.test
        channels = np.rint(images[np.arange(N_DRAWN)] * 255).astype(np.uint8)  # (n, c, h, w)
        drawn[layout] = channels, run.pictures()[0][:N_DRAWN]
    study_charts.draw_layouts(path, images.first(N_DRAWN), drawn)


STUDY = Study(
    'anime', 'all anime rows, reduced', 'gallery.csv',
    ('run', 'solo_epochs', 'combo_epochs', 'vae_loss', 'disc_loss', 'val_loss',
     'mean_squared_error', 'sharpness', 'noise', 'seconds'),  # of the last epoch
    'layout.png', comparisons, write, draw,
    f'All runs are reduced alike: {IMAGES:,} training faces in batches of {BATCH}, 16 epochs in '
    'place of 200 with mixes and the interval of the decay shrunk alike, a quarter of the base '
    'channels, an eighth of the latents and of the hidden nodes, the shared step. They compare '
    'with each other, not with published losses. Names are those of the published experiments; '
    'epochs are solo + combo. In strips, originals stand above and reconstructions below; a plain '
    f"GAN's show samples. Measures are of the first {N_IMAGES:,} held-out faces; sharpness and "
    'noise are relative to the originals.', N_IMAGES)
