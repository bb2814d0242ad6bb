"""The anime rows at a reduced scale, by what is compared. Never imports MXNet.

A row keeps its published name and procedure; what is reduced shows in its run's name. The
scale is the same for all, so that runs compare with each other, not with published losses.
"""
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.experiments import canonical
from training.experiments.registry import EXPERIMENTS
from training.experiments.row import Row
from training.reporting import tables
from training.studies.study import Runs, Study, numbers, of_measures

SCALE = {  # by what sizes of a row are divided
    'solo_epochs': 12.5, 'combo_epochs': 12.5,  # 200 become 16
    'decay_interval': 12.5, 'n_latent': 4,
    'n_hlayers': 2.5,  # five hidden layers learned nothing but a mean in 16 epochs
    'n_hnodes': 8, 'vae_base_channels': 2, 'disc_hnodes': 8, 'disc_base_channels': 4}
RESNET_CHANNELS = 16  # in place of 64
N_DRAWN = 3  # faces in the figure

COMPARED = {  # title: the published rows that are compared, in the published README's order
    'Faces: nets': [
        'DenseVAE_on_anime/512_5_1024_200_seeded',
        'DenseVAE_DenseLogReg_on_anime/512_5_1024_1_1024_200_10_seeded',
        'ConvVAE_on_anime/512_32_200_seeded',
        'ConvVAE_ConvDisc_LeakyReLU_on_anime/512_32_32_200_10_seeded',
        'ConvVAE_ResNet_on_anime/512_32_200_10_seeded',
        'ConvDecoder_ResNet_on_anime/512_32_200'],
    'Faces: weight of the discriminator': [
        f'ConvVAE_ResNet_on_anime/512_32_200_{weight}_1' for weight in (1, 10, 20, 50)],
    'Faces: weight of the pixel loss, and its decay': [
        f'ConvVAE_ResNet_on_anime/512_32_200_10_{weight}'
        for weight in ('1.2', '1', '0.8', '0.5', '1_decay0.95', '1_decay0.9')],
    'Faces: mixes of solo and combo epochs': [
        f'ConvVAE_ResNet_on_anime/512_32_{epochs}_10_1'
        for epochs in ('200', '50+150', '100+100', '150+50')],
    'Faces: more latents, deeper nets': [
        'ConvVAE_ConvDisc_LeakyReLU_on_anime/1024_32_64_200_10_1',
        'ConvVAE_ResNet_on_anime/1024_32_200_10_1',
        'ConvVAE_ResNet_on_anime/1024_32_200_10_1_initlr2e-4',
        'DeepConvVAE_DeepConvDisc_on_anime/1024_32_64_200_10_1_initlr2e-4'],
    'Faces: the first version, split in name order': [
        'DenseVAE_on_anime/512_5_1024_200',
        'DenseVAE_DenseLogReg_on_anime/512_5_1024_1_1024_200_10',
        'ConvVAE_on_anime/512_32_200',
        'ConvVAE_ConvDisc_LeakyReLU_on_anime/256_16_16_200_10',
        'ConvVAE_ResNet_on_anime/256_16_200_10']}
# Beside the published rows: the same net on images that were made channel-first rightly
TRANSPOSED = 'ConvVAE_on_anime/512_32_200_seeded'
LAYOUTS = 'Faces: reshape and transpose'
SHOWN = {'val_loss': ('KL + pixel, held out', 0),
         **of_measures('mean_squared_error', 'psnr', 'ssim', 'sharpness', 'noise',
                       'frechet_reconstructions', 'frechet_samples')}


def at_scale(row: Row) -> Row:
    """Return the row, reduced."""
    sizes = {field: round(getattr(row, field) / divisor) for field, divisor in SCALE.items()
             if getattr(row, field) is not None}
    if row.disc == 'ResNet':
        sizes['disc_base_channels'] = RESNET_CHANNELS
    return canonical.trained_row(replace(row, step='shared', **sizes))


def comparisons() -> dict[str, dict[str, Row]]:
    """Return what is trained by title: rows by their published names, and by their layouts."""
    first = at_scale(EXPERIMENTS[TRANSPOSED])
    return {**{title: {name: at_scale(canonical.trained_row(EXPERIMENTS[name])) for name in names}
               for title, names in COMPARED.items()},
            LAYOUTS: {'reshape': first, 'transpose': replace(first, layout='transpose')}}


def write(compared: dict[str, tuple[Row, dict]], runs: Runs) -> str:
    """Return a comparison's table: a line a row, with its strip."""
    table = [['experiment', 'strip', *(header for header, _ in SHOWN.values())]]
    for label, (row, line) in compared.items():
        epochs = f'{line["solo_epochs"]}+{line["combo_epochs"]} epochs'
        table.append([f'{runs.link(label.split("/")[-1], line["run"])}<br>{row.nets}<br>'
                      f'{epochs}',
                      runs.strip(row, line['run'], label), *numbers(line, SHOWN)])
    return tables.markdown_table(table)


def draw(path: Path, compared: dict[str, dict[str, Row]], lines: list[dict],
         runs: Runs) -> None:
    """Draw what reshape and transpose make of faces, and of their reconstructions."""
    from training.reporting import study_charts  # slow to import
    drawn = {}
    for layout, row in compared[LAYOUTS].items():
        run = runs.load(runs.folder(row))
        images = run.images
        channels = np.rint(images[np.arange(N_DRAWN)] * 255).astype(np.uint8)  # (n, c, h, w)
        drawn[layout] = channels, run.validation_pictures()[0][:N_DRAWN]
    study_charts.draw_layouts(path, images.first(N_DRAWN), drawn)


STUDY = Study(
    'anime', 'all anime rows, reduced', 'anime.csv',
    ('run', 'solo_epochs', 'combo_epochs', 'vae_loss', 'disc_loss', 'val_loss',
     'mean_squared_error', 'psnr', 'ssim', 'sharpness', 'noise', 'kl', 'active_latents',
     'frechet_reconstructions', 'sample_sharpness', 'frechet_samples', 'minutes'),
    'layout.png', comparisons, write, draw,
    'All runs have 16 epochs instead of 200, with mixes and the interval of the decay shrunk in '
    'proportion, and the shared step; they see all 18,375 training faces, and can be compared '
    'with each other, not with published losses. Nets have a quarter of the latents, an eighth '
    "of the hidden nodes, half of the VAE's base channels, a quarter of the discriminator's (of "
    'ResNet 16 instead of 64), and in dense VAEs two hidden layers instead of five. Measures are '
    'over all held-out faces. Names are those of the published experiments; '
    'epochs are solo + combo. In strips, originals stand above and reconstructions below; a plain '
    "GAN's show samples. Sharpness and noise are relative to the originals; the Frechet distances "
    'are of reconstructions and of samples.')
