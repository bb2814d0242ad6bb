"""The anime rows at one reduced scale, by study, as the README shows them. Never imports MXNet.

A row keeps its published name and procedure; what is reduced shows in its run's name. The
scale is the same for all, so that they compare with each other, not with published losses.
"""
from dataclasses import replace

from training.experiments import naming, registry
from training.experiments.registry import EXPERIMENTS, Experiment
from training.reporting import tables

EPOCHS_DIVISOR = 12.5     # 200 epochs become 16, the decay's 25 become 2
CHANNELS_DIVISOR = 4      # base channels
WIDTH_DIVISOR = 8         # latents, and nodes of hidden layers
IMAGES, BATCH = 1792, 32  # training images, and of them in a batch: twice as many updates

STUDIES = {  # title: the published rows that are compared, in the published README's order
    'Nets': [
        'DenseVAE_on_anime/512_5_1024_200_seeded',
        'DenseVAE_DenseLogReg_on_anime/512_5_1024_1_1024_200_10_seeded',
        'ConvVAE_on_anime/512_32_200_seeded',
        'ConvVAE_ConvDisc_LeakyReLU_on_anime/512_32_32_200_10_seeded',
        'ConvVAE_ResNet_on_anime/512_32_200_10_seeded',
        'ConvDecoder_ResNet_on_anime/512_32_200'],
    'Weight of the discriminator': [
        f'ConvVAE_ResNet_on_anime/512_32_200_{weight}_1' for weight in (1, 10, 20, 50)],
    'Weight of the pixel loss, and its decay': [
        f'ConvVAE_ResNet_on_anime/512_32_200_10_{weight}'
        for weight in ('1.2', '1', '0.8', '0.5', '1_decay0.95', '1_decay0.9')],
    'Mixes of solo and combo epochs': [
        f'ConvVAE_ResNet_on_anime/512_32_{epochs}_10_1'
        for epochs in ('200', '50+150', '100+100', '150+50')],
    'More latents, deeper nets': [
        'ConvVAE_ConvDisc_LeakyReLU_on_anime/1024_32_64_200_10_1',
        'ConvVAE_ResNet_on_anime/1024_32_200_10_1',
        'ConvVAE_ResNet_on_anime/1024_32_200_10_1_initlr2e-4',
        'DeepConvVAE_DeepConvDisc_on_anime/1024_32_64_200_10_1_initlr2e-4'],
    'The first version, split in name order': [
        'DenseVAE_on_anime/512_5_1024_200',
        'DenseVAE_DenseLogReg_on_anime/512_5_1024_1_1024_200_10',
        'ConvVAE_on_anime/512_32_200',
        'ConvVAE_ConvDisc_LeakyReLU_on_anime/256_16_16_200_10',
        'ConvVAE_ResNet_on_anime/256_16_200_10']}
COLUMNS = ('run', 'solo_epochs', 'combo_epochs', 'vae_loss', 'disc_loss', 'val_loss',
           'mean_squared_error', 'sharpness', 'noise', 'seconds')  # of the last epoch
# Beside the published rows: the same net on images that were made channel-first rightly
TRANSPOSED = 'ConvVAE_on_anime/512_32_200_seeded'


def at_scale(row: Experiment) -> Experiment:
    """The row, reduced."""
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


def rows() -> list[Experiment]:
    """What is trained: each configuration once, and the one that is not published."""
    names = dict.fromkeys(name for study in STUDIES.values() for name in study)
    first = dict.fromkeys(registry.canonical(EXPERIMENTS[name]) for name in names)
    return [*map(at_scale, first), replace(at_scale(EXPERIMENTS[TRANSPOSED]),
                                           layout='transpose')]


def layouts() -> list[Experiment]:
    """The two rows that differ in nothing but how images were made channel-first."""
    row = at_scale(EXPERIMENTS[TRANSPOSED])
    return [row, replace(row, layout='transpose')]


def markdown(lines: list[dict]) -> str:
    """The README's part: of each study the originals, a table and the strips."""
    return '\n'.join(block(title, lines) for title in STUDIES)


def block(title: str, lines: list[dict]) -> str:
    """The README's part of one study; lines are those of gallery.csv."""
    by_run = {line['run']: line for line in lines}
    header = ['experiment', 'nets', 'solo + combo epochs', 'VAE loss', 'disc loss',
              'KL + pixel, held out', 'squared error', 'sharpness', 'noise']
    cells, strips = [header], []
    for name in STUDIES[title]:
        row = at_scale(registry.canonical(EXPERIMENTS[name]))
        run = naming.run_name(row)
        line, folder = by_run[run], f'results/images/{run}'
        nets = name.split('_on_')[0].replace('_', ' + ', 1).replace('_', ' ')
        cells.append([f'[{name.split("/")[1]}]({folder}/README.md)', nets,
                      f'{line["solo_epochs"]}+{line["combo_epochs"]}',
                      tables.number(line['vae_loss'], 0), tables.number(line['disc_loss'], 3),
                      tables.number(line['val_loss'], 0),
                      tables.number(line['mean_squared_error'], 4),
                      tables.number(line['sharpness']), tables.number(line['noise'])])
        shown = 'Ten faces and what the net made of them' if row.encodes else 'Ten samples'
        strips.append(f'{naming.caption(row)}\n\n![{shown}]({folder}/strip.png)\n')
    originals = naming.originals_name(EXPERIMENTS[STUDIES[title][0]])
    return '\n'.join([f'![The ten originals](results/images/{originals}/strip.png)\n',
                      tables.markdown_table(cells), *strips])
