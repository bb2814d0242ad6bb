"""The anime rows at reduced scales, by what is compared. Never imports MXNet.

A row keeps its published name and procedure; what is reduced shows in its run's name. The
scale is the same within a comparison, so that its runs compare with each other, not with
published losses.
"""
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from training.experiments import registry
from training.experiments.registry import EXPERIMENTS
from training.experiments.row import Row
from training.reporting import tables
from training.studies.study import Runs, Study, numbers, of_measures

EPOCHS_DIVISOR = 12.5  # 200 epochs become 16, the decay's 25 become 2
NODES_DIVISOR = 8      # of hidden layers
N_DRAWN = 3            # faces in the figure


@dataclass(frozen=True)
class Scale:
    """By what sizes are divided, and what takes their place."""
    latents: int
    vae_channels: int  # base channels
    disc_channels: int
    dense_layers: float = 1             # hidden layers of a dense VAE
    resnet_channels: int | None = None  # base channels in place of 64
    images: int | None = None           # training images; none: all
    batch: int = 64


# Five hidden layers learn nothing but a mean in 16 epochs, even of all faces
ALL_FACES = Scale(latents=4, vae_channels=2, disc_channels=4, dense_layers=2.5,
                  resnet_channels=16)
FEW_FACES = Scale(latents=8, vae_channels=4, disc_channels=4, images=1792, batch=32)

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
    'Few faces: more latents, deeper nets': [
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


def at_scale(row: Row, scale: Scale = ALL_FACES) -> Row:
    """Return the row, reduced."""
    def part(value: int | None, divisor: float) -> int | None:
        return None if value is None else round(value / divisor)

    disc_channels = part(row.disc_base_channels, scale.disc_channels)
    reduced = replace(
        row, solo_epochs=part(row.solo_epochs, EPOCHS_DIVISOR),
        combo_epochs=part(row.combo_epochs, EPOCHS_DIVISOR),
        decay_interval=part(row.decay_interval, EPOCHS_DIVISOR),
        n_latent=part(row.n_latent, scale.latents),
        n_hlayers=part(row.n_hlayers, scale.dense_layers),
        n_hnodes=part(row.n_hnodes, NODES_DIVISOR),
        vae_base_channels=part(row.vae_base_channels, scale.vae_channels),
        disc_hnodes=part(row.disc_hnodes, NODES_DIVISOR),
        disc_base_channels=scale.resnet_channels if row.disc == 'ResNet' else disc_channels,
        limit=scale.images, batch_size=scale.batch, step='shared')
    if scale is FEW_FACES:  # its runs are named after fields that change nothing, too
        return reduced
    return replace(reduced, **{field: getattr(row, field) for field in row.LEFT_OUT
                               if field in reduced.idle()})


def comparisons() -> dict[str, dict[str, Row]]:
    """Return what is trained by title: rows by their published names, and by their layouts."""
    scales = {title: FEW_FACES if title.startswith('Few') else ALL_FACES for title in COMPARED}
    first = at_scale(EXPERIMENTS[TRANSPOSED])
    return {**{title: {name: at_scale(registry.canonical(EXPERIMENTS[name]), scales[title])
                       for name in names} for title, names in COMPARED.items()},
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
        images = run.dataset.test
        channels = np.rint(images[np.arange(N_DRAWN)] * 255).astype(np.uint8)  # (n, c, h, w)
        drawn[layout] = channels, run.pictures()[0][:N_DRAWN]
    study_charts.draw_layouts(path, images.first(N_DRAWN), drawn)


STUDY = Study(
    'anime', 'all anime rows, reduced', 'gallery.csv',
    ('run', 'solo_epochs', 'combo_epochs', 'vae_loss', 'disc_loss', 'val_loss',
     'mean_squared_error', 'psnr', 'ssim', 'sharpness', 'noise', 'kl', 'active_latents',
     'frechet_reconstructions', 'sample_sharpness', 'frechet_samples', 'minutes'),
    'layout.png', comparisons, write, draw,
    'All runs have 16 epochs in place of 200, with mixes and the interval of the decay shrunk '
    'alike, an eighth of the hidden nodes, and the shared step; they compare with each other, '
    'not with published losses. Those of "Faces" see all 18,375 training faces, with a quarter '
    "of the latents, half of the VAE's base channels, a quarter of the discriminator's (of "
    'ResNet 16 in place of 64), in dense VAEs two hidden layers in place of five. Those of '
    f'"Few faces" see {FEW_FACES.images:,} faces in batches of {FEW_FACES.batch}, with an eighth '
    'of the latents and a quarter of the base channels; their measures are of the first 1,000 '
    'held-out faces, all others of all of them. Names are those of the published experiments; '
    'epochs are solo + combo. In strips, originals stand above and reconstructions below; a plain '
    "GAN's show samples. Sharpness and noise are relative to the originals; the Frechet distances "
    'are of reconstructions and of samples.')
