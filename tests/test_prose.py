"""Numbers in the prose of READMEs: what a sentence says is what was recorded.

An entry is a fragment of a document, as it stands there, with a field in place of each number, and
a function that computes the fields from the records. Tables that commands and studies write are
compared elsewhere (test_results.py, test_readmes.py). Numbers that define something, such as how
many latents a net has, stand as they are; so do those of which there is no record.
"""
import functools
import math
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
from scipy import stats

from tests.benchmarks import report
from tests.readmes import IMAGES, ROOT
from training.experiments import naming, registry
from training.reporting.published import RESULTS, published_numbers
from training.reporting.statistics import read_classes, read_csv, read_statistics
from training.steps import schedules
from training.storage import run_folder
from training.studies import (
    STUDIES,
    anime,
    claim,
    damage,
    kl,
    mixes,
    recommended,
    repairs,
    seeds,
    vaegan,
    ways,
)
from training.studies.seeds import CONFIDENCE

README, ON_RESULTS = 'README.md', 'results/README.md'
LEARNED, BENCHMARKS = 'results/learned_similarity.md', 'tests/benchmarks/README.md'
PUBLISHED = published_numbers()
SOLO, L2 = 'DenseVAE_on_MNIST/5_3_400_bce_50', 'DenseVAE_on_MNIST/5_3_400_l2_50'
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
CONV = 'ConvVAE_on_anime/512_32_10_seeded'
CONVDISC = 'ConvVAE_ConvDisc_LeakyReLU_on_anime/512_32_32_7_10_seeded'
RESNET = 'ConvVAE_ResNet_on_anime/512_32_10_10_seeded'
DENSE = 'DenseVAE_on_anime/512_5_1024_90_seeded'
LOGREG = 'DenseVAE_DenseLogReg_on_anime/512_5_1024_1_1024_30_10_seeded'
NETS = 'enc', 'dec', 'disc'  # of a VAE/GAN, in its statistics
FALLING = 'lr2', 'lr3', 'lr4'  # system A's rules for learning rates
WORDS = ('no one two three four five six seven eight nine ten eleven twelve thirteen '
         'fourteen').split()
PARTS = {2: 'half', 3: 'third', 4: 'quarter', 5: 'fifth', 8: 'eighth', 10: 'tenth',
         20: 'twentieth'}
ENTRIES = []


def said(document: str, *fragments: str) -> Callable:
    """Enter fragments of a document, whose fields are what the decorated function returns."""
    def enter(values: Callable[[], dict]) -> Callable:
        values = functools.cache(values)
        ENTRIES.extend(pytest.param(document, fragment, values, id=f'{document}: {fragment}')
                       for fragment in fragments)
        return values
    return enter


# What was recorded

def config(run: str) -> dict:
    return run_folder.read_config(IMAGES / run)


def evaluation(run: str) -> dict:
    return run_folder.read_evaluation(IMAGES / run)


def measures(run: str) -> dict:
    return evaluation(run)['measures']


def epochs(run: str) -> list[dict]:
    return read_statistics(IMAGES / run)


def minutes(*runs: str) -> float:
    return sum(line['seconds'] for run in runs for line in epochs(run)) / 60


def bounds(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def updates(run: str) -> float:
    """Return how many batches a run was trained on."""
    batches = math.ceil(config(run)['n_train'] / config(run)['row']['batch_size'])
    return len(epochs(run)) * batches


def curve(run: str) -> dict[int, dict]:
    """Return the published losses of a run's experiment, by epoch."""
    return {int(line['epoch']): {loss: value and float(value) for loss, value in line.items()
                                 if loss.endswith('_loss')}
            for line in PUBLISHED[config(run)['name']]['curve']}


def table(study: str) -> dict[str, dict]:
    """Return the lines of a study's table, by run."""
    return {line['run']: {column: value if value is None or column in ('run', 'nets')
                          else float(value) for column, value in line.items()}
            for line in read_csv(RESULTS / STUDIES[study].table)}


def studied(study: str, *titles: str) -> dict[str, dict]:
    """Return the lines of comparisons, of all by default, by what the READMEs call the runs."""
    lines, compared = table(study), STUDIES[study].comparisons()
    return {label: lines[naming.run_name(row)]
            for title in titles or compared for label, row in compared[title].items()}


def claimed(title: str) -> list[dict]:
    """Return the lines of a comparison over seeds."""
    return [*studied('claim', title).values()]


# How it is said

def more(value: float, base: float) -> float:
    """Return by how many percent a value is larger."""
    return 100 * (value / base - 1)


def part(share: float) -> str:
    """Return the nearest of the parts that have a name."""
    return PARTS[min(PARTS, key=lambda n: abs(share - 1 / n))]


def word(number: float) -> str:
    return WORDS[round(number)]


def rate(value: float) -> str:
    return f'{value:.0e}'.replace('e-0', 'e-')


# Digits

FIVE_SEEDS = (
    'for {seeds} seeds of {epochs} epochs each',
    "by {gain:.3f} of the originals' sharpness ({low:.3f} to {high:.3f}), a {part} of what was "
    'missing.',
    'It costs {dearer:.1f} % more squared error and {longer:.1f} times the time.')


@said(README,
      "{pair[sharpness]:.2f} of the originals' sharpness instead of {alone[sharpness]:.2f}, for "
      'a {dearer} more squared error')
@said(ON_RESULTS,
      'it can lose {lost} of its {latents} latents in the first epochs and never find it again, '
      'as ours did',
      '{published:.2f} as published',
      'draws all {images:,} test digits again',
      'names {recognised:.2f}% of the originals correctly',
      'at the price of a {dearer} more squared error; they are recognised about as often '
      '({pair[accuracy]:.4f} and {alone[accuracy]:.4f}).')
def digits():
    alone, pair, squared = map(measures, (SOLO, COMBO, L2))
    return {'alone': alone, 'pair': pair,
            'dearer': part(pair['mean_squared_error'] / alone['mean_squared_error'] - 1),
            'lost': word(squared['latents'] - squared['active_latents']),
            'latents': word(squared['latents']), 'published': curve(SOLO)[40]['vae_loss'],
            'images': evaluation(SOLO)['images'],
            'recognised': 100 * alone['accuracy_of_originals']}


@said(README, *FIVE_SEEDS, 'Pictures are {nearer} as far away in Frechet distance.',
      'Accuracy rises by {recognised:.3f}, which is only just settled (p {p:.3f}).')
@said(ON_RESULTS, *FIVE_SEEDS, '{nearer} as far away in Frechet distance. It',
      'Accuracy rises by {recognised:.3f}, which is only just settled (p {p:.3f}; {otherwise} of '
      '{seeds} seeds shows the opposite).',
      'over all {images:,} test digits', '`python -m training study claim`, {minutes} minutes')
def five_seeds():
    lines = claimed(claim.DIGITS)
    found = claim.values(claim.DIGITS, lines)
    alone, pair = found['sharpness'].values()
    low, high = stats.ttest_rel(pair, alone).confidence_interval(CONFIDENCE)
    error, frechet = ([sample.mean() for sample in found[measure].values()]
                      for measure in ('mean_squared_error', 'frechet_reconstructions'))
    time = [minutes(*(line['run'] for line in lines if line['nets'] == nets))
            for nets in (claim.ALONE, claim.WITH_DISC)]
    images, = {evaluation(line['run'])['images'] for line in lines}
    tests = {line['measure']: line for line in claim.paired(claim.DIGITS, lines)}
    assert max(line['p_holm'] for line in tests.values()) == tests['accuracy']['p_holm'] < 0.05
    accuracy = tests['accuracy']
    return {'recognised': accuracy['difference'], 'p': accuracy['p_holm'],
            'otherwise': word((accuracy['with'] < accuracy['alone']).sum()),
            'seeds': word(len(alone)), 'epochs': claim.DIGITS_EPOCHS,
            'minutes': word(sum(time)),
            'images': images,
            'gain': (pair - alone).mean(), 'low': low, 'high': high,
            'part': part((pair - alone).mean() / (1 - alone.mean())),
            'dearer': more(error[1], error[0]), 'longer': time[1] / time[0],
            'nearer': part(frechet[1] / frechet[0])}


@said(ON_RESULTS,
      'for {epochs} epochs with each of {weights} weights (field `kl_weight`; `python -m training '
      'study kl`, {minutes:.0f} minutes of training)',
      '{better} weights below 1 are better than 1 in error, sharpness, accuracy and both '
      'distances; the price is nats: at 0.1 the latents hold {nats:.1f} more than at 1, for '
      '{nearer:.0f} % less squared error. Samples are nearest to digits at {best} (Frechet '
      'distance {samples[0.3]:.1f}; {samples[as published]:.1f} at 1)',
      'at 3 {off} of five is off, at 10 all but {active}, and {part} of the digits are no longer '
      'recognised (accuracy {accuracy:.2f})')
def weights_of_kl():
    lines = studied('kl')
    samples = {'as published' if label == '1' else label: line['frechet_samples']
               for label, line in lines.items()}
    above = 'mean_squared_error', 'frechet_reconstructions', 'frechet_samples'
    better = [weight for weight in ('0.1', '0.3')
              if all(lines[weight][measure] < lines['1'][measure] for measure in above)
              and all(lines[weight][measure] > lines['1'][measure] for measure in (
                  'sharpness', 'accuracy'))]
    return {'epochs': kl.EPOCHS, 'weights': word(len(lines)),
            'better': {2: 'Both'}[len(better)],
            'minutes': sum(line['minutes'] for line in lines.values()),
            'nats': lines['0.1']['kl'] - lines['1']['kl'],
            'nearer': -more(lines['0.1']['mean_squared_error'], lines['1']['mean_squared_error']),
            'best': min(samples, key=samples.get), 'samples': samples,
            'off': word(5 - lines['3']['active_latents']),
            'active': word(lines['10']['active_latents']),
            'part': part(1 - lines['10']['accuracy']), 'accuracy': lines['10']['accuracy']}


def of_faces(title: str) -> dict:
    """Return by measure and discriminator what a VAE gains by it."""
    found = {}
    for line in claim.paired(title, claimed(title)):
        found.setdefault(line['measure'], {})[line['way'].split(' + ')[1]] = {
            'alone': line['alone'].mean(), 'with': line['with'].mean(), 'seeds': line['with'],
            'least': min(map(abs, line['interval'])), 'most': max(map(abs, line['interval'])),
            'difference': abs(line['difference']), 'p': line['p_holm'],
            'falls': line['alone'] - line['with']}
    return found


def settled(found: dict) -> list[tuple[str, str]]:
    """Return measures and discriminators whose corrected p is below 0.05."""
    return [(measure, disc) for measure, of in found.items() for disc, line in of.items()
            if line['p'] is not None and line['p'] < 0.05]


def falls_of_distance(found: dict) -> dict:
    """Return by how much the Frechet distance falls with each seed, by discriminator."""
    return {disc: line['falls'] for disc, line in found['frechet_reconstructions'].items()}


def against_convdisc(title: str) -> dict:
    found = of_faces(title)
    return {name: found[measure]['ConvDisc'] for name, measure in (
        ('sharpness', 'sharpness'), ('noise', 'noise'), ('psnr', 'psnr'), ('ssim', 'ssim'),
        ('frechet', 'frechet_reconstructions'), ('samples', 'frechet_samples'))}


@said(README, 'with the published ConvVAE sharpness is {sharpness[with]:.2f} instead of '
              '{sharpness[alone]:.2f} and the Frechet distance {frechet[with]:.0f} instead of '
              '{frechet[alone]:.0f}, for {psnr[difference]:.1f} dB of PSNR',
      'and {part} as much with them ({falls[ResNet][0]:.0f} of {falls[ConvDisc][0]:.0f}).')
@said(ON_RESULTS, "have {sharpness[with]:.2f} of the originals' sharpness instead of "
                  '{sharpness[alone]:.2f}, and a Frechet distance of {frechet[with]:.0f} instead '
                  'of {frechet[alone]:.0f}. They are {psnr[difference]:.1f} dB further',
      '(as published {samples[with]:.0f} and {samples[alone]:.0f})',
      "noise is {noise[with]:.2f} of the originals' instead of {noise[alone]:.2f} (it was not "
      'among the {tests} tests, and has no p)',
      'the distance fell by {falls[ResNet][0]:.0f} with one of three seeds (to {resnet[0]:.0f}), '
      'by {falls[ResNet][1]:.0f} and {falls[ResNet][2]:.0f} with the others (to {resnet[1]:.0f} '
      'and {resnet[2]:.0f}), whereas against ConvDisc it fell by {least:.0f} to {most:.0f}.')
def faces_by_the_published_vae():
    found = of_faces(claim.FACES)
    assert settled(found) == [(measure, 'ConvDisc') for measure in (
        'sharpness', 'frechet_reconstructions', 'frechet_samples')]
    falls = falls_of_distance(found)
    return against_convdisc(claim.FACES) | {
        'falls': falls, 'least': falls['ConvDisc'].min(), 'most': falls['ConvDisc'].max(),
        'part': {3: 'three quarters'}[round(4 * falls['ResNet'][0] / falls['ConvDisc'][0])],
        'tests': word(sum(line['p'] is not None for of in found.values()
                          for line in of.values())),
        'resnet': found['frechet_reconstructions']['ResNet']['seeds']}


def seeds_needed(falls: np.ndarray, n_tests: int) -> int:
    """How many settle a difference, if all have the mean and spread of those that there are."""
    t = abs(falls.mean()) / falls.std(ddof=1)
    return next(n for n in range(2, 1000)
                if 2 * n_tests * stats.t.sf(t * n ** 0.5, n - 1) < 1 - CONFIDENCE)


@said(README, 'beside ConvDisc: a Frechet distance of {frechet[with]:.0f} instead of '
              '{frechet[alone]:.0f}, for {psnr[difference]:.1f} dB.',
      '`python -m training study claim`, {hours} hours of training',
      'for {seeds} seeds of {epochs} epochs each, by ConvVAE',
      'sharpness is {sharpness[with]:.2f} instead of {sharpness[alone]:.2f} and the Frechet '
      'distance {frechet[with]:.0f} instead of {frechet[alone]:.0f} ({frechet[least]:.1f} to '
      '{frechet[most]:.1f} less), for {psnr[difference]:.1f} dB of PSNR ({psnr[least]:.1f} to '
      '{psnr[most]:.1f}), and that of samples {samples[with]:.0f} instead of '
      '{samples[alone]:.0f}.',
      'one seed of {seeds} came as much nearer without the flaws ({falls[ResNet][0]:.0f})')
@said(ON_RESULTS, 'for {epochs} epochs, at the [scale',
      "have {sharpness[with]:.2f} of the originals' sharpness instead of {sharpness[alone]:.2f}, "
      'and a Frechet distance of {frechet[with]:.0f} instead of {frechet[alone]:.0f}, samples '
      '{samples[with]:.0f} instead of {samples[alone]:.0f} (as published',
      'It costs {psnr[difference]:.1f} dB of PSNR and {ssim[difference]:.2f} of SSIM',
      'Noise rises as it does with the flaws, by {noise[difference]:.2f} and {flawed:.2f}, but '
      'from {noise[alone]:.2f} instead of {from_flawed:.2f}.',
      'with one of three the distance fell by {falls[ResNet][0]:.0f}, nearly as far as against '
      'ConvDisc ({falls[ConvDisc][0]:.0f}), with two by {falls[ResNet][1]:.0f} and '
      '{falls[ResNet][2]:.0f} ({falls[ConvDisc][1]:.0f} and {falls[ConvDisc][2]:.0f})',
      'it takes {needed[frechet_reconstructions]} of them for the Frechet distance of '
      'reconstructions, {needed[frechet_samples]} for that of samples, {needed[sharpness]} for '
      'sharpness and {needed[psnr]} for PSNR (p below 0.05, corrected for {tests} tests)',
      'Without the flaws of ConvVAE [noise rises as much](#three-seeds-of-faces), but from '
      '{noise[alone]:.2f}.',
      '{of_faces:.0f} minutes of training for its {runs} runs')
def faces_by_a_vae_without_flaws():
    found, lines = of_faces(claim.SOUND), claimed(claim.SOUND)
    assert {disc for _, disc in settled(found)} == {'ConvDisc'}
    flawed = against_convdisc(claim.FACES)['noise']
    return against_convdisc(claim.SOUND) | {
        'seeds': word(len(lines) / 3), 'epochs': len(epochs(lines[0]['run'])),
        'falls': falls_of_distance(found), 'flawed': flawed['difference'],
        'tests': word(sum(line['p'] is not None for of in found.values()
                          for line in of.values())),
        'needed': {measure: word(seeds_needed(of['ResNet']['falls'], 10))
                   for measure, of in found.items() if measure in (
                       'frechet_reconstructions', 'frechet_samples', 'sharpness', 'psnr')},
        'from_flawed': flawed['alone'], 'runs': word(len(lines)),
        'hours': word(sum(line['minutes'] for line in table('claim').values()) / 60),
        'of_faces': sum(line['minutes'] for line in lines)}


@said(ON_RESULTS,
      'At weight 10 sharpness of ConvVAE is {conv[sharpness]:.2f} alone, '
      '{resnet[sharpness]:.2f} against ResNet, {convdisc[sharpness]:.2f} against ConvDisc; at '
      'weight 1 of ResNet it is {light[sharpness]:.2f}.',
      'Sharpness of DenseVAE is {dense[sharpness]:.2f} alone, {logreg[sharpness]:.2f} against '
      'DenseLogReg.',
      '({conv[frechet_reconstructions]:.0f}, {resnet[frechet_reconstructions]:.0f}, '
      '{convdisc[frechet_reconstructions]:.0f}), where squared error and noise '
      '({conv[noise]:.2f}, {resnet[noise]:.2f}, {convdisc[noise]:.2f}) rise',
      'Weights 1, 10, 20, 50 give noise {weights[1]:.2f}, {weights[10]:.2f}, {weights[20]:.2f}, '
      '{weights[50]:.2f}. Pixel weights 1.2, 1, 0.8, 0.5 give {pixel[0]:.2f}, {pixel[1]:.2f}, '
      '{pixel[2]:.2f}, {pixel[3]:.2f}.',
      'has {noise[1]:.2f} and {noise[2]:.2f} with [two other seeds]',
      "Where one row's seeds are {apart:.2f} apart, only 1 against 50 stands out.",
      'sharpness of the first row is {sharp[1]:.2f} and {sharp[2]:.2f} with [two other seeds]'
      '(#three-seeds-of-faces), further away than any of these.',
      'At 1 noise ({light[noise]:.2f}) is within what three seeds of [ConvVAE '
      'alone](#three-seeds-of-faces) have ({alone[noise][0]:.2f} to {alone[noise][1]:.2f}), '
      'sharpness ({light[sharpness]:.2f}; {alone[sharpness][0]:.2f} to '
      '{alone[sharpness][1]:.2f}) and Frechet distance ({light[frechet_reconstructions]:.0f}; '
      '{alone[frechet_reconstructions][0]:.0f} to {alone[frechet_reconstructions][1]:.0f}) are '
      'just outside',
      "the discriminator's loss is between {disc[20][0]:.2f} and {disc[20][1]:.2f} over the "
      'epochs, at 10 between {disc[10][0]:.2f} and {disc[10][1]:.2f}.',
      'the smaller has more error ({error[0]:.4f}, {error[2]:.4f}, {error[3]:.4f}) and is nearer '
      'in Frechet distance ({frechet[0]:.0f}, {frechet[2]:.0f}, {frechet[3]:.0f})',
      'are further out still: {error[4]:.4f} and {error[5]:.4f}.',
      'held-out loss was {swing[12]:.0f} after epoch 12 and {swing[15]:.0f} after epoch 15.',
      'is at {stalled[3]:.0f} after epoch 3, and from there on between {lowest:.0f} (epoch {at}) '
      'and {highest:.0f} (the last); alone it falls to {conv[val_loss]:.0f}.',
      'bring sharpness to {mixes[3][sharpness]:.2f} ({mixes[0][sharpness]:.2f} after sixteen; '
      '{conv[sharpness]:.2f} alone), but only {gains[3]:.0f} of the {gains[0]:.0f} by which '
      'sixteen bring the Frechet distance down',
      'squared error of {transpose[mean_squared_error]:.4f} instead of '
      '{reshape[mean_squared_error]:.4f}, and noise of {transpose[noise]:.2f} instead of '
      '{reshape[noise]:.2f}, but with less noise also less sharpness ({transpose[sharpness]:.2f}; '
      '{reshape[sharpness]:.2f}) and a larger Frechet distance '
      '({transpose[frechet_reconstructions]:.0f}; {reshape[frechet_reconstructions]:.0f}).',
      'VAE alone has a sharpness of {smallest[sharpness]:.2f} and a noise of '
      '{smallest[noise]:.2f}, with ResNet {small[sharpness]:.2f} and {small[noise]:.2f}, one seed')
def reduced_faces():
    lines = {line['run']: line for line in studied('anime').values()}
    compared = STUDIES['anime'].comparisons()
    of = {title: {name: lines[naming.run_name(row)] for name, row in rows.items()}
          for title, rows in compared.items()}
    dense, logreg, conv, convdisc, resnet, _ = of['Faces: nets'].values()
    pixel = of['Faces: weight of the pixel loss, and its decay'].values()
    row = [*compared['Faces: nets'].values()][4]
    seeds = [measures(naming.run_name(replace(row, seed=seed))) for seed in range(3)]
    noise, sharp = ([of_seed[name] for of_seed in seeds] for name in ('noise', 'sharpness'))
    weights = {int(name.split('_')[-2]): line for name, line in
               of['Faces: weight of the discriminator'].items()}
    heaviest = weights[50]
    assert all(heaviest[name] == max(line[name] for line in weights.values())
               for name in ('val_loss', 'mean_squared_error', 'sharpness', 'noise'))
    assert max(noise[1:]) < weights[20]['noise'] and max(sharp[1:]) < weights[20]['sharpness']
    alone = [line for line in claimed(claim.FACES) if line['nets'] == 'ConvVAE']
    stalled = [line['val_loss'] for line in epochs(convdisc['run'])]
    mixes = [*of['Faces: mixes of solo and combo epochs'].values()]
    assert max(abs(line['sharpness'] - sharp[0]) for line in mixes) < min(
        sharp[0] - other for other in sharp[1:])
    assert min(mixes, key=lambda line: line['mean_squared_error']) is mixes[3]
    assert all(line[name] > mixes[0][name] for line in mixes[1:3]
               for name in ('mean_squared_error', 'sharpness', 'noise'))
    assert all(line['frechet_reconstructions'] < mixes[0]['frechet_reconstructions']
               for line in mixes[1:3])
    oldest = [*of['Faces: the first version, split in name order'].values()]
    for nets in (oldest, [dense, logreg, conv, convdisc, resnet]):
        by_sharpness, by_noise, by_error = (sorted(range(5), key=lambda i: nets[i][name])
                                            for name in ('sharpness', 'noise',
                                                         'mean_squared_error'))
        assert {*by_sharpness[:2]} == {*by_noise[:2]} == {0, 1}
        assert by_error[0] == 2 and by_sharpness[-1] == by_noise[-1] == 3
    smallest = measures('ConvVAE_on_anime/512_32_16_n_latent-64_vae_base_channels-8')
    assert all(0.75 < smallest[name] / oldest[4][name] < 1 for name in ('sharpness', 'noise'))
    return {'dense': dense, 'logreg': logreg, 'conv': conv, 'convdisc': convdisc,
            'resnet': resnet, **of[anime.LAYOUTS], 'smallest': smallest,
            'weights': {weight: line['noise'] for weight, line in weights.items()},
            'light': weights[1], 'noise': noise, 'sharp': sharp,
            'apart': max(noise) - min(noise),
            'alone': {name: bounds([line[name] for line in alone]) for name in (
                'noise', 'sharpness', 'frechet_reconstructions')},
            'disc': {weight: bounds([line['disc_loss'] for line in epochs(weights[weight]['run'])])
                     for weight in (10, 20)},
            'small': oldest[-1],
            'pixel': [line['noise'] for line in pixel],
            'error': [line['mean_squared_error'] for line in pixel],
            'frechet': [line['frechet_reconstructions'] for line in pixel],
            'swing': [line['val_loss'] for line in epochs(resnet['run'])],
            'stalled': stalled, 'lowest': min(stalled), 'at': stalled.index(min(stalled)),
            'highest': max(stalled[3:]), 'mixes': mixes,
            'gains': [conv['frechet_reconstructions'] - line['frechet_reconstructions']
                      for line in mixes]}


@said(ON_RESULTS,
      'squared error {convdisc[mean_squared_error]:.4f}, sharpness {convdisc[sharpness]:.2f}, '
      'noise {convdisc[noise]:.2f}, Frechet distance {convdisc[frechet_reconstructions]:.0f}, '
      'where the [smaller pair](#nets) has {half[mean_squared_error]:.4f}, '
      '{half[sharpness]:.2f}, {half[noise]:.2f} and {half[frechet_reconstructions]:.0f}.',
      'The deep pair has less noise than that ({deep[noise]:.2f})',
      'in the last epoch its loss is below {won:.3f}',
      'with squared errors of {resnet[mean_squared_error]:.4f} and '
      '{slow[mean_squared_error]:.4f}, sharpness {resnet[sharpness]:.2f} and '
      '{slow[sharpness]:.2f} and noise {resnet[noise]:.2f} and {slow[noise]:.2f}; ConvVAE alone, '
      'with half the latents, has {alone[mean_squared_error]:.4f}, {alone[sharpness]:.2f} and '
      '{alone[noise]:.2f}.',
      'after the eight solo epochs the held-out loss is {slow_solo:.0f}, and {solo:.0f} with the '
      'other.')
def more_latents():
    convdisc, resnet, slow, deep = studied('anime', 'Faces: more latents, deeper nets').values()

    def after_solo(line: dict) -> float:
        return [of for of in epochs(line['run']) if of['phase'] == 'solo'][-1]['val_loss']

    won = max(line['disc_loss'] for line in (resnet, slow))
    return {'convdisc': convdisc, 'resnet': resnet, 'slow': slow, 'deep': deep,
            'half': [*studied('anime', 'Faces: nets').values()][3],
            'alone': [*studied('anime', 'Faces: nets').values()][2],
            'won': math.ceil(1e3 * won) / 1e3, 'solo': after_solo(resnet),
            'slow_solo': after_solo(slow)}


# Published nets on all faces

def above(*runs: str) -> dict:
    """Return by how many percent VAE losses are above the published ones, over all epochs."""
    found = [more(line['vae_loss'], curve(run)[epoch]['vae_loss'])
             for run in runs for epoch, line in enumerate(epochs(run)) if epoch in curve(run)]
    return {'least': min(found), 'most': max(found)}


@said(README, 'ours are {least:.1f} to {most:.1f} % above the published ones')
def losses_of_all_nets():
    return above(CONV, CONVDISC, RESNET, DENSE, LOGREG)


@said(ON_RESULTS, 'follow the published curves, {least:.1f} to {most:.1f} % above them')
def losses_of_convolutional_nets():
    return above(CONV, CONVDISC, RESNET)


@said(ON_RESULTS, *(f'| {epoch} | {{epochs[{epoch}]}} |' for epoch in range(10)))
def losses_along_the_epochs():
    def shown(line: dict) -> str:
        return ', '.join(f'{line[loss]:.{digits}f}' for loss, digits in (
            ('vae_loss', 2), ('disc_loss', 4)) if line.get(loss)) or '-'

    both = [losses for run in (CONV, CONVDISC, RESNET)
            for losses in (curve(run), dict(enumerate(epochs(run))))]
    return {'epochs': [' | '.join(shown(losses.get(epoch, {})) for losses in both)
                       for epoch in range(10)]}


def vae_losses(epoch: int) -> list[dict]:
    """Return the published VAE losses after an epoch, and ours, by net."""
    runs = {'conv': CONV, 'resnet': RESNET, 'convdisc': CONVDISC, 'logreg': LOGREG, 'dense': DENSE}
    return [{net: of(run)[epoch]['vae_loss'] for net, run in runs.items()}
            for of in (curve, epochs)]


@said(ON_RESULTS,
      'At each of the epochs {alike[0]}, {alike[1]}, {alike[2]} and {alike[3]} the order of the '
      'five losses is the published one: ConvVAE, then ConvVAE against ResNet, against ConvDisc, '
      'and the two dense rows.')
def order_of_nets():
    known = [epoch for epoch in range(len(epochs(CONVDISC))) if epoch in curve(CONVDISC)]
    orders = {epoch: [sorted(losses, key=losses.get) for losses in vae_losses(epoch)]
              for epoch in known}
    return {'alike': [epoch for epoch, (published, ours) in orders.items()
                      if published == ours and ours[:3] == ['conv', 'resnet', 'convdisc']]}


@said(ON_RESULTS,
      'at epoch 5 ConvVAE against ResNet is {resnet[0]:.0f} above ConvVAE alone as published and '
      '{resnet[1]:.0f} here, ConvVAE against ConvDisc {convdisc[0]:.0f} and {convdisc[1]:.0f}, '
      'DenseVAE against DenseLogReg {logreg[0]:.0f} and {logreg[1]:.0f}, DenseVAE {dense[0]:.0f} '
      'and {dense[1]:.0f}.')
def gaps_between_nets():
    both = vae_losses(5)
    return {net: [losses[net] - losses['conv'] for losses in both] for net in both[0]}


@said(ON_RESULTS,
      'gets no better from epoch 2 to epoch 5 ({second[0]:.0f} to {fifth[0]:.0f}, ours '
      '{second[1]:.0f} to {fifth[1]:.0f}).')
def losses_against_convdisc():
    return {name: [losses['convdisc'] for losses in vae_losses(epoch)]
            for name, epoch in (('second', 2), ('fifth', 5))}


@said(ON_RESULTS,
      'has won (a loss of {published:.4f}), ours nearly ({ours:.2f}).',
      'The measures are over all {images:,} held-out faces',
      "({convdisc[sharpness]:.2f} and {resnet[sharpness]:.2f} of the originals' sharpness instead "
      'of {conv[sharpness]:.2f}) and further from the originals (squared error '
      '{further[0]:.0f} % and {further[1]:.0f} % larger)',
      'DenseVAE alone is at its best on held-out faces at epoch {best:.0f}.')
def nets_on_all_faces():
    conv, convdisc, resnet = map(measures, (CONV, CONVDISC, RESNET))
    return {'published': curve(RESNET)[9]['disc_loss'], 'ours': epochs(RESNET)[9]['disc_loss'],
            'images': evaluation(CONV)['images'],
            'conv': conv, 'convdisc': convdisc, 'resnet': resnet,
            'further': [more(net['mean_squared_error'], conv['mean_squared_error'])
                        for net in (convdisc, resnet)],
            'best': min(epochs(DENSE), key=lambda line: line['val_loss'])['epoch']}


@said(ON_RESULTS,
      'and is {halves:.2f} between two halves of the faces.',
      'Of the mildest damage of each kind it minds {mildest[3]} most ({blur:.1f}, of half a '
      'pixel) and {mildest[0]} least: a step of 12 of 255 costs {seams[12]:.2f}, noise of 8 costs '
      '{noise[8]:.2f}.',
      'seams of 96 cost {seams[96]:.0f}, noise of 64 costs {noise[64]:.0f}.',
      'The mean face in place of every face is at {mean:.0f}.')
def distances_of_damaged_faces():
    found = {(line['damage'], line['strength']): float(line['frechet'])
             for line in read_csv(RESULTS / 'damage.csv')}
    strengths = {name: [f'{strength:g}' for strength in of.strengths]
                 for name, of in damage.DAMAGES.items()}
    of = {name: {int(strength): found[name, strength] for strength in strengths[name]}
          for name in ('seams', 'noise')}
    for name in strengths:
        assert sorted(rising := [found[name, strength] for strength in strengths[name]]) == rising
    return {'halves': found[damage.HALVES, None], 'mean': found[damage.MEAN, None], **of,
            'blur': found['blur', strengths['blur'][0]],
            'mildest': sorted(strengths, key=lambda name: found[name, strengths[name][0]])}


# What the flaws of ConvVAE cost

@said(ON_RESULTS,
      'was trained on {images:,} of 18,375 faces',
      '`python -m training study repairs`, {minutes:.0f} minutes of training), and measured '
      'over all {held_out:,} held-out faces',
      '{gains[all three, equal epochs]:.1f} dB in the same two epochs, which are '
      '{updates[all three, equal epochs]:,.0f} updates ({psnr[as published]:.2f} to '
      '{psnr[all three, equal epochs]:.2f}), and {gains[all three]:.1f} dB in the same '
      '{same_minutes} minutes ({psnr[all three]:.2f}), in which the net without them makes '
      '{updates[all three]:,.0f}.',
      'The smaller net without them is {gains[all three, smaller]:.1f} dB ahead '
      '({psnr[all three, smaller]:.2f}) in no more time, with '
      '{updates[all three, smaller]:,.0f} updates, and '
      '{gains[all three, smaller, equal epochs]:.1f} dB at equal epochs, in a {share} of the time '
      '({psnr[all three, smaller, equal epochs]:.2f})',
      'The encoder with stride 2 alone gains {gains[strided encoder]:.1f} dB, because an epoch '
      'takes {strided_pace:.1f} times less; being smaller gains {gains[smaller]:.1f} dB',
      '`transpose` alone gains {gains[transposed]:.1f} dB, and sharpness falls with the seams '
      '({sharpness[as published]:.2f} to {sharpness[transposed]:.2f})',
      'too few for either head ({psnr[linear head, learning rate 1e-4]:.2f} and '
      '{psnr[learning rate 1e-4]:.2f})',
      "Of the repaired net's {large[latents]} latents {large[quiet]} carry less than 0.2 nats "
      'each after its {trained[all three]:.0f} epochs, {large[of_quiet]:.0f} of its '
      "{large[kl]:.0f} nats in all, and bring their noise to the decoder; of the smaller one's "
      '{small[latents]}, {small[quiet]} do after {trained[all three, smaller]:.0f}, '
      '{small[of_quiet]:.0f} of {small[kl]:.0f}.')
def flaws_of_convvae():
    lines = studied('repairs', repairs.ONE_BY_ONE)
    published = lines['as published']

    def pace(label: str) -> float:
        return lines[label]['minutes'] / lines[label]['solo_epochs']

    def latents(label: str) -> dict:
        found = measures(lines[label]['run'])
        quiet = [kl for kl in found['kl_per_latent'] if kl < 0.2]
        return found | {'quiet': len(quiet), 'of_quiet': sum(quiet)}

    return {'images': config(published['run'])['row']['limit'],
            'held_out': evaluation(published['run'])['images'],
            'minutes': sum(line['minutes'] for line in lines.values()),
            'same_minutes': word(published['minutes']),
            'psnr': {label: line['psnr'] for label, line in lines.items()},
            'sharpness': {label: line['sharpness'] for label, line in lines.items()},
            'trained': {label: line['solo_epochs'] for label, line in lines.items()},
            'gains': {label: line['psnr'] - published['psnr'] for label, line in lines.items()},
            'updates': {label: updates(line['run']) for label, line in lines.items()},
            'share': part(pace('all three, smaller, equal epochs') / pace('as published')),
            'strided_pace': pace('as published') / pace('strided encoder'),
            'large': latents('all three'), 'small': latents('all three, smaller')}


@said(README, 'draws faces {gain:.1f} dB closer after {repaired_minutes:.0f} minutes than the '
              'published one after {minutes:.0f}')
@said(ON_RESULTS,
      'The published net had {epochs} epochs in {minutes:.0f} minutes, and reached '
      '{published[psnr]:.2f} dB; the smaller one without its flaws had {updates:,.0f} updates in '
      '{repaired_minutes:.1f} minutes, and reached {repaired:.2f} (a mean of {seeds} seeds, '
      '{repaired_least:.2f} to {repaired_most:.2f}): {gain:.1f} dB more.',
      'Of the same size and as many epochs, the net with its flaws reached {smaller:.2f} '
      '({smaller_least:.2f} to {smaller_most:.2f}): the repairs are worth {worth:.1f} dB, '
      '{worth_least:.2f} to {worth_most:.2f} (95 % interval of {seeds} pairs).',
      'took {first:.1f} minutes each, its last four {last:.1f}')
def flaws_of_convvae_on_all_faces():
    lines = studied('repairs', repairs.ALL_FACES)
    published = lines['as published']
    of = {kind: np.array([lines[f'{kind}, seed {seed}']['psnr'] for seed in range(3)])
          for kind in repairs.SEEDED.values()}
    smaller, repaired = of['smaller'], of['all three, smaller']
    interval = stats.ttest_rel(repaired, smaller).confidence_interval(CONFIDENCE)
    seconds = [line['seconds'] for line in epochs(published['run'])]
    return {'published': published, 'epochs': word(published['solo_epochs']),
            'minutes': published['minutes'],
            'repaired_minutes': lines['all three, smaller, seed 0']['minutes'],
            'updates': updates(lines['all three, smaller, seed 0']['run']),
            'seeds': word(len(repaired)), 'gain': repaired.mean() - published['psnr'],
            'repaired': repaired.mean(), 'repaired_least': repaired.min(),
            'repaired_most': repaired.max(), 'smaller': smaller.mean(),
            'smaller_least': smaller.min(), 'smaller_most': smaller.max(),
            'worth': (repaired - smaller).mean(), 'worth_least': interval[0],
            'worth_most': interval[1], 'first': np.mean(seconds[:6]) / 60,
            'last': np.mean(seconds[6:]) / 60}


@said(ON_RESULTS,
      'alone for {alone:.0f} epochs, and with ConvDisc beside the pixel loss',
      'were chosen on seed {seed}, which no other comparison uses',
      'that lose at most {most:.1f} dB of PSNR against the VAE alone after {epochs} epochs. '
      'Weights {weights[0]:g}, {weights[1]:g} and {weights[2]:g} were tried',
      '`python -m training study recommended`, {hours:.1f} hours of training',
      'With weight {weights[1]:g} samples come nearest to faces (a distance of {samples[1]:.1f}; '
      '{samples[0]:.1f} with weight {weights[0]:g}, {samples[2]:.1f} with weight {weights[2]:g}), '
      'for {lost:.1f} dB of PSNR.',
      'Sixteen more epochs win back {regained:.1f} dB of it and leave that distance where it was '
      '({samples[3]:.1f}); they were chosen.')
def recommended_nets():
    of_grid, nets = studied('recommended', recommended.GRID), studied('recommended',
                                                                     recommended.NETS)
    tried = [line for label, line in of_grid.items() if label != recommended.WITHOUT]
    row = registry.EXPERIMENTS[recommended.BESIDE]
    assert recommended.chosen(of_grid) == f'{row.disc_weight:g}, {row.epochs} epochs'
    first, longer = tried[1], tried[3]
    return {'alone': registry.EXPERIMENTS[recommended.ALONE].epochs, 'seed': recommended.GRID_SEED,
            'most': recommended.MOST_LOST, 'epochs': recommended.EPOCHS,
            'weights': recommended.WEIGHTS,
            'hours': (sum(line['minutes'] for line in of_grid.values()) - first['minutes']
                      + sum(line['minutes'] for line in nets.values())) / 60,
            'samples': [line['frechet_samples'] for line in tried],
            'lost': of_grid[recommended.WITHOUT]['psnr'] - first['psnr'],
            'regained': longer['psnr'] - first['psnr']}


# A learned similarity

def by_way(setting: ways.Setting) -> dict:
    """Return by measure and way the values of seeds."""
    lines = list(table('ways').values())
    found = ways.values(replace(setting, measured=setting.measured | {
        'mean_squared_error': ('', 4)}), lines)
    return {measure: {way.replace(' ', '_'): of for way, of in samples.items()}
            for measure, samples in found.items()}


def corrected_p(setting: ways.Setting) -> dict[tuple[str, str, str], float]:
    """Return the corrected p by measure and pair."""
    lines = list(table('ways').values())
    return {(line['measure'], line['way'], line['from']): line['p_holm'] for line in seeds.paired(
        ways.values(setting, lines), ways.PAIRS, claim.UNTESTED)}


@said(LEARNED,
      'are a little nearer in Frechet distance, {frechet[in_place]:.1f} where beside has '
      '{frechet[beside]:.1f} (p {p:.2f}), but with {times:.1f} times the squared error, and '
      '{right[in_place]:.0f} % of them are recognised where beside has {right[beside]:.0f} %; '
      'samples are no nearer than those of pixels (p {p_samples:.1f})',
      'nothing is drawn that a classifier tells apart ({right[control]:.0f} %)')
@said(README, '{right[in_place]:.0f} % of them are recognised instead of {right[beside]:.0f} %',
      'nearer still in Frechet distance ({frechet[in_place]:.1f}; beside {frechet[beside]:.1f}), '
      'but with {times:.1f} times the squared error')
def digits_in_place():
    found, p = by_way(ways.DIGITS), corrected_p(ways.DIGITS)
    error = found['mean_squared_error']
    return {'frechet': {way: of.mean() for way, of in found['frechet_reconstructions'].items()},
            'p': p['frechet_reconstructions', ways.IN_PLACE, ways.BESIDE],
            'p_samples': p['frechet_samples', ways.IN_PLACE, ways.PIXELS],
            'times': error['in_place'].mean() / error['beside'].mean(),
            'right': {way: 100 * of.mean() for way, of in found['accuracy'].items()}}


@said(LEARNED,
      '{times:.1f} times the squared error and noise of {noise[in_place]:.1f} where beside has '
      '{noise[beside]:.1f}. In {tests} tests of three seeds each',
      "the control's Frechet distances are {control[0]:.0f}, {control[1]:.0f} and "
      '{control[2]:.0f}, those in place {in_place[0]:.0f}, {in_place[1]:.0f} and '
      '{in_place[2]:.0f}.', 'by which weights were chosen that distance was {grid:.0f};')
@said(README, 'faces have {about} times the squared error and a screen of dots',
      'Faces have a Frechet distance of {frechet[in_place]:.0f} (beside {frechet[beside]:.0f}, '
      'pixels {frechet[pixels]:.0f}) and a squared error of {error[in_place]:.3f} (beside '
      '{error[beside]:.3f})', 'the loss of SSIM is settled, {ssim[in_place]:.2f} instead of '
      '{ssim[beside]:.2f} beside.')
def faces_in_place():
    found, p = by_way(ways.FACES), corrected_p(ways.FACES)
    settled_in_place = {(measure, other) for (measure, way, other), value in p.items()
                        if way == ways.IN_PLACE and value is not None and value < 0.05}
    assert settled_in_place == {('ssim', ways.PIXELS), ('ssim', ways.BESIDE)}
    assert all(p['ssim', ways.IN_PLACE, other] < 0.01 for other in (ways.PIXELS, ways.BESIDE))
    for measure in ('frechet_reconstructions', 'frechet_samples', 'noise', 'mean_squared_error'):
        assert (found[measure]['in_place'] > found[measure]['beside']).all()
    for measure in ('psnr', 'ssim'):
        assert (found[measure]['in_place'] < found[measure]['beside']).all()
    means = {measure: {way: of.mean() for way, of in samples.items()}
             for measure, samples in found.items()}
    error, frechet = means['mean_squared_error'], found['frechet_reconstructions']
    layer, gamma = ways.FACES.chosen
    chosen = ways.grids(ways.FACES)[ways.FACES.grid][f'{layer}, {gamma:g}']
    return {'times': error['in_place'] / error['beside'], 'noise': means['noise'],
            'about': word(error['in_place'] / error['beside']), 'ssim': means['ssim'],
            'tests': sum(value is not None for value in p.values()), 'error': error,
            'frechet': means['frechet_reconstructions'], 'control': frechet['control'],
            'in_place': frechet['in_place'],
            'grid': table('ways')[naming.run_name(chosen)]['frechet_reconstructions']}


@said(LEARNED, 'compares all runs of this part ({hours:.1f} hours on 2 cores).')
def all_vaegans():
    by_run = {line['run']: line['minutes'] for line in studied('vaegan').values()}
    return {'hours': sum(by_run.values()) / 60}


@said(LEARNED,
      'Measures are over all {images:,} test digits',
      'as sharp as the originals ({learned[sharpness]:.2f}; by pixels {alone[sharpness]:.2f}, '
      'with the discriminator {pair[sharpness]:.2f})',
      'in Frechet distance ({learned[frechet_reconstructions]:.1f}, '
      '{alone[frechet_reconstructions]:.1f}, {pair[frechet_reconstructions]:.1f}), but with '
      'nearly {times} the squared error, {unused} of {latents} latents unused, and '
      '{recognised[0]:.0f} % of them recognised as the right digit instead of '
      '{recognised[1]:.0f} %',
      'most of the looks for a {dearer} more squared error',
      '(Frechet distance {pair[frechet_samples]:.1f} and {learned[frechet_samples]:.1f})')
def learned_similarity_on_digits():
    alone, pair, learned = map(studied('vaegan').get, (
        'pixel loss', 'pixel loss + discriminator', 'learned similarity'))
    error = alone['mean_squared_error']
    of_learned = measures(learned['run'])
    return {'alone': alone, 'pair': pair, 'learned': learned,
            'images': evaluation(learned['run'])['images'],
            'times': {2: 'twice'}[round(learned['mean_squared_error'] / error)],
            'dearer': part(pair['mean_squared_error'] / error - 1),
            'unused': word(of_learned['latents'] - of_learned['active_latents']),
            'latents': word(of_learned['latents']),
            'recognised': [100 * line['accuracy'] for line in (learned, alone)]}


@said(LEARNED,
      'have risen {rise}fold ({first[enc_loss]:.1f} to {last[enc_loss]:.1f}, '
      '{first[dec_loss]:.1f} to {last[dec_loss]:.1f})')
def system_b_with_gradients_routed():
    first, *_, last = epochs(studied('vaegan')['gradients routed']['run'])
    rise, = {word(last[loss] / first[loss]) for loss in ('enc_loss', 'dec_loss')}
    return {'first': first, 'last': last, 'rise': rise}


@said(LEARNED,
      'is right about {right[0]:.1f} % of real and {right[1]:.1f} % of drawn images in the second '
      'epoch already (its loss falls from {loss[0]:.2f} to {loss[1]:.4f})')
def system_b_with_gradients_added_up():
    lines = epochs(studied('vaegan')['gradients accumulated, as published']['run'])
    return {'right': [100 * lines[1][f'disc_{images}_accuracy'] for images in ('real', 'fake')],
            'loss': [lines[i]['disc_loss'] for i in (0, -1)]}


@said(LEARNED,
      'losses of the discriminator of {discs[0]:.1f} to {discs[1]:.1f} all the time, and a '
      "decoder's loss of {ratios[0]:.0f} to {ratios[1]:.0f} times the encoder's")
def plots_of_system_b():
    lines = PUBLISHED['VAEGAN_on_MNIST/B_20_50_as_published']['curve']
    discs = [float(line['disc_loss']) for line in lines]
    ratios = [float(line['dec_loss']) / float(line['enc_loss']) for line in lines]
    return {'discs': (min(discs), max(discs)), 'ratios': (min(ratios), max(ratios))}


@said(LEARNED,
      "{epochs} of A's 100 epochs took about {half_hours}",
      '{of_a_feature:.4f} a feature, stands in its loss: '
      "{constant:.3f} of the encoder's on digits, {on_faces:.2f} on faces "
      '({on_few_channels:.2f} with the 3,136 features',
      "Of the encoder's loss {constant:.3f} is the constant of the Gaussian, {of_a_feature:.4f} "
      'for each of 3,200 features over 4,096; what is left is {left[0]:.2f} of ours and '
      "{left[1]:.3f} of A's at epoch 19",
      'has a constant of {on_faces:.2f} in full and of {on_few_channels:.2f} at our scale',
      'KL falls to {kl:.1f} nats a digit',
      'none does in {epochs} epochs: of {samples:,} samples after each, a classifier takes '
      '{at_the_end[0]:,} to {at_the_end[1]:,} for each digit at the end, and never fewer than '
      '{least:,} after any epoch.')
def system_a_on_digits():
    run = studied('vaegan')['A']['run']
    lines, row = epochs(run), config(run)['row']
    classes = [[n for digit, n in line.items() if digit != 'epoch']
               for line in read_classes(IMAGES / run / 'classes.csv')]
    of_a_feature = math.log(2 * math.pi) / 2
    constant, on_few_channels = (n * of_a_feature * row['beta'] for n in (3200, 3136))
    return {'epochs': len(lines),
            'half_hours': {3: 'an hour and a half'}[round(minutes(run) / 30)],
            'of_a_feature': of_a_feature, 'constant': constant,
            'on_few_channels': on_few_channels, 'on_faces': 8 * on_few_channels,  # of 64 for 8
            'left': [losses[19]['enc_loss'] - constant for losses in (lines, curve(run))],
            'kl': lines[-1]['kl'], 'samples': row['n_classified'],
            'at_the_end': (min(classes[-1]), max(classes[-1])), 'least': min(map(min, classes))}


# System A on faces

@said(LEARNED,
      '{minutes:.0f} minutes on one core with other work beside it',
      '{n_train:,} for training and {held_out:,} held out, so that an epoch has {updates:.0f} '
      'updates',
      'What is left of ours is {left[0]:.2f} in the first epoch and {left[1]:.2f} in the fifth, '
      "of A's {theirs[0]:.2f} and {theirs[1]:.2f}:",
      'distance between features ({apart[0]:.2f} and {apart[1]:.2f}), the rest is KL, '
      '{kl[0]:.0f} and {kl[1]:.0f} nats over {latents:,} latents',
      "decoder's loss is above A's all the time ({dec[0]:.2f} and {dec[1]:.2f}; {a_dec[0]:.2f} "
      "and {a_dec[1]:.2f}), the discriminator's below it ({disc[0]:.2f} and {disc[1]:.2f}; "
      '{a_disc[0]:.2f} and {a_disc[1]:.2f})',
      "the encoder's lies between {val[0]:.1f} and {val[1]:.1f} here, between {a_val[0]:.1f} and "
      "{a_val[1]:.1f} in A's logs")
def system_a_on_faces_at_full_size():
    run = studied('vaegan')['A at full size']['run']
    lines, logged, row = epochs(run), curve(run), config(run)['row']
    constant = 8 * 3136 * math.log(2 * math.pi) / 2 * row['beta']
    ends = lines[0], lines[4]
    logged_val = [float(line['encoder']) for line in read_csv(
        RESULTS / 'peer_a_validation_losses.csv') if line['rates'] == 'lr1'][:5]
    n = config(run)['n_train']
    return {'minutes': minutes(run), 'n_train': n, 'held_out': evaluation(run)['images'],
            'updates': updates(run) / 5, 'latents': row['n_latent'],
            'left': [line['enc_loss'] - constant for line in ends],
            'theirs': [logged[epoch]['enc_loss'] - constant for epoch in (0, 4)],
            'apart': [row['beta'] * line['similarity'] - constant for line in ends],
            'kl': [line['kl'] for line in ends],
            **{f'{a}{net}': [line[f'{net}_loss'] for line in of] for net in ('dec', 'disc')
               for a, of in (('', ends), ('a_', (logged[0], logged[4])))},
            'val': bounds([line['val_enc_loss'] for line in lines]), 'a_val': bounds(logged_val)}


def falls(name: str, losses_of_nets: list[list[float]]) -> list[int]:
    """Return how often the rate of each net falls by the logged rule of that name."""
    rule = schedules.RULES['as_logged'][name]
    return [len(schedules.changes(5e-4, rule, losses)) for losses in losses_of_nets]


def their_falls(name: str) -> list[int]:
    lines = read_csv(RESULTS / 'peer_a_validation_losses.csv')
    return falls(name, [[float(line[net]) for line in lines if line['rates'] == name]
                        for net in ('encoder', 'decoder', 'discriminator')])


def our_falls(name: str) -> list[int]:
    """How often each net's rate fell before an epoch that was trained with it."""
    lines = epochs(studied('vaegan')[f'{name}_as_logged']['run'])
    return [sum(a[f'{net}_lr'] != b[f'{net}_lr'] for a, b in zip(lines, lines[1:], strict=False))
            for net in NETS]


@said(LEARNED,
      'the second kind gives all {changes} logged changes to the epoch',
      'fell {ours[lr2][0]}, {ours[lr2][1]} and {ours[lr2][2]} times with lr2, {ours[lr3][0]}, '
      '{ours[lr3][1]} and {ours[lr3][2]} times with lr3, {ours[lr4][0]} times each with lr4; '
      "A's {theirs[lr2][0]}, {theirs[lr2][1]} and {theirs[lr2][2]}, {theirs[lr3][0]} each, "
      '{theirs[lr4][0]} each.')
def falls_of_rates():
    ours, theirs = ({name: of(name) for name in FALLING} for of in (our_falls, their_falls))
    for each in (ours['lr4'], theirs['lr3'], theirs['lr4']):
        assert len(set(each)) == 1
    return {'changes': sum(map(sum, theirs.values())), 'ours': ours, 'theirs': theirs}


@said(LEARNED,
      'The scale is {limit:,} of 6,545 training photographs in batches of {batch_size}, so that '
      'an epoch has {steps} updates',
      'losses of {n_validation} held-out photographs; all {combo_epochs} epochs are run',
      'A run takes {shortest} to {longest} minutes')
def scale_of_runs_on_faces():
    row = config(studied('vaegan')['lr1']['run'])['row']
    took = [studied('vaegan')[name]['minutes'] for name in vaegan.SCHEDULES]
    return row | {'steps': row['limit'] // row['batch_size'],
                  'shortest': word(min(took)), 'longest': word(max(took))}


@said(LEARNED,
      'also where rates fell to {lr3} (lr3).',
      'all rates are at {lr4} from epoch {documented} on.',
      'the decoder is at {lr4} from epoch {logged} on.')
def rates_on_faces():
    def rates(name: str) -> list[dict]:
        return [{net: line[f'{net}_lr'] for net in NETS}
                for line in epochs(studied('vaegan')[name]['run'])]

    least = schedules.RULES['documented']['lr4'].least
    documented = [max(of_nets.values()) for of_nets in rates('lr4')]
    logged = [of_nets['dec'] for of_nets in rates('lr4_as_logged')]
    return {'lr3': rate(min(rates('lr3')[-1].values())), 'lr4': rate(least),
            'documented': documented.index(least), 'logged': logged.index(least)}


@said(LEARNED,
      'ended lowest with {theirs[0][1]} ({theirs[0][0]:.2f}), then {theirs[1][1]}, '
      '{theirs[2][1]}, {theirs[3][1]} ({theirs[3][0]:.2f}), ours highest with lr4 '
      '({ours[lr4_as_logged]:.2f}, {ours[lr4]:.2f}) and lowest with {lowest} ({ours[lr1]:.2f})',
      "(the discriminator's loss rose to {diverged[lr2]:.1f} and {diverged[lr3]:.1f})",
      'little of an image is kept (lr1: {kl:.1f} nats')
def losses_on_faces():
    theirs = {name: PUBLISHED[f'VAEGAN_on_adult/A_2048_100_{row}']['curve'][-1]
              for name, row in (('lr1', 'lr1'), *((name, f'{name}_as_logged')
                                                  for name in FALLING))}
    lines = studied('vaegan')
    ours = {name: lines[name]['enc_loss'] for name in vaegan.SCHEDULES}
    assert sorted(ours, key=ours.get)[-2:] == ['lr4_as_logged', 'lr4']
    return {'theirs': sorted((float(line['enc_loss']), name) for name, line in theirs.items()),
            'ours': ours, 'lowest': min(ours, key=ours.get),
            'diverged': {name: float(line['val_disc_loss']) for name, line in theirs.items()},
            'kl': epochs(lines['lr1']['run'])[-1]['kl']}


@said(LEARNED,
      '(its loss of {after[disc_loss]:.2f} is that of such a constant, and the '
      "{after[diversity]:.2f} of diversity is the noise's)",
      'without it ({without[diversity]:.2f} in batches of 50, {without_150[diversity]:.2f} in '
      'batches of 150) as with it ({before[diversity]:.2f} and {with_150[diversity]:.2f})',
      'less squared error ({without[mean_squared_error]:.3f} against '
      '{before[mean_squared_error]:.3f} in batches of 50)',
      'get a {share} of the updates ({few:,.0f} for {many:,.0f}) in {epochs} epochs',
      'on held-out photographs runs up to {highest:.1f} in the last epochs')
def two_claims():
    lines = studied('vaegan')
    before, after, without, without_150, with_150 = map(lines.get, (
        'BatchNorm before, batches of 50, minibatch discrimination',
        'BatchNorm after the activation', 'without minibatch discrimination',
        'without it, batches of 150', 'with it, batches of 150'))
    few, many = updates(with_150['run']), updates(before['run'])
    return {'before': before, 'after': after, 'without': without, 'without_150': without_150,
            'with_150': with_150, 'few': few, 'many': many, 'share': part(few / many),
            'epochs': len(epochs(before['run'])),
            'highest': max(line['val_disc_loss'] for line in epochs(without_150['run'])[-10:])}


@said(LEARNED,
      '{combo_epochs} of 200 epochs ({updates:,.0f} updates, a {share} of an hour) on {limit:,} '
      'of 18,375 training faces',
      'after 9 epochs, or {after_9:.0f} updates',
      'which is a part of their sharpness ({sharpness:.2f})',
      'the squared error is {mean_squared_error:.3f}, where',
      'its rise from epoch {rising:.0f} on')
def the_papers_nets():
    line = studied('vaegan')['paper']
    run, row = line['run'], config(line['run'])['row']
    of_epochs = epochs(run)
    return line | row | {'updates': updates(run), 'share': part(line['minutes'] / 60),
                         'after_9': 9 * updates(run) / len(of_epochs),
                         'rising': 1 + min(of_epochs, key=lambda of: of['enc_loss'])['epoch']}


@said(LEARNED, 'on all faces](README.md#faces-at-a-reduced-scale) has {mean_squared_error:.3f}.')
def reduced_convvae():
    return studied('anime')['reshape']


# Speed

@said(ON_RESULTS,
      'published {published[0]:.2f} to {published[1]:.2f} of it (by the totals), in full on this '
      'CPU {full[published]:.2f} (published step) or {full[shared]:.2f} (shared step), at the '
      'scale of the gallery {reduced:.2f}.')
def solo_epoch_beside_combo_epoch():
    lines = read_csv(RESULTS / 'timing.csv')
    full = {line['step']: float(line['solo_epoch_seconds']) / float(line['combo_epoch_seconds'])
            for line in lines if line['kind'] == mixes.ESTIMATE}
    means = [[float(line[f'{kind}_epoch_seconds']) for line in lines
              if line['kind'] == mixes.MEASUREMENT and line[f'{kind}_epoch_seconds']]
             for kind in ('solo', 'combo')]
    solo, combo = (np.mean(seconds) for seconds in means)
    of_all = [float(line['published_seconds']) for line in lines
              if line['kind'] == mixes.MEASUREMENT]
    published = [1 - 4 / i * (1 - of_all[i] / of_all[0]) for i in (1, 2, 3)]
    return {'full': full, 'reduced': solo / combo, 'published': (min(published), max(published))}


def steps() -> dict[tuple, dict]:
    return report.cases(read_csv(RESULTS / 'throughput.csv'))


def least_and_most(ratios: Callable[[dict], list[float]], *words: str) -> tuple[float, float]:
    """Return the least and the most of ratios' medians, of steps that a word is in."""
    found = [median(ratios(case)) for (nets, kind), case in steps().items()
             if any(word in f'{nets}, {kind}' for word in words or ('',))]
    return min(found), max(found)


@said(README,
      "On a CPU a step is {original[0]:.1f} to {original[1]:.1f} times as fast as the original's "
      "code, and {conv[0]:.1f} to {conv[1]:.1f} times as fast as PyTorch's with convolutional "
      'nets, {dense[0]:.2f} to {dense[1]:.1f} times with dense ones, {vaegan[0]:.2f} to '
      '{vaegan[1]:.1f} times with VAE/GANs.')
def speed():
    return {'original': least_and_most(lambda case: report.ratios(
                case['original'], case['ours']), 'Dense', 'Conv'),
            'conv': least_and_most(report.over_pytorch, 'Conv'),
            'dense': least_and_most(report.over_pytorch, 'Dense'),
            'vaegan': least_and_most(report.over_pytorch, ', vaegan')}


@said(BENCHMARKS,
      'Published steps of all but the smallest nets are {published[0]:.1f} to {published[1]:.1f} '
      "times as fast as PyTorch's faster way, solo and shared steps of the convolutional nets "
      '{others[0]:.1f} to {others[1]:.1f} times.',
      "The smallest net's solo step takes {longer:.0f} % longer than PyTorch's compiled one.")
def speed_beside_pytorch():
    smallest = steps()['DenseVAE 5-3-400', 'solo']
    other = report.quartiles(smallest['PyTorch, compiled'])[1]
    found = {case: median(report.over_pytorch(of)) for case, of in steps().items()}
    published = [ratio for (nets, kind), ratio in found.items()
                 if kind == 'published' and ' 5-3-400' not in nets]
    others = [ratio for (nets, kind), ratio in found.items()
              if kind != 'published' and 'Conv' in nets]
    return {'published': (min(published), max(published)), 'others': (min(others), max(others)),
            'longer': more(report.quartiles(smallest['ours'])[1], other)}


@said(BENCHMARKS,
      'At full size ours is {of[A on faces]:.2f} (A) and {of[paper on faces]:.2f} times (the '
      'paper) as fast as the fastest of these, every other step is slower: '
      '{of[A on digits]:.2f} of its '
      "pace for A on digits, {of[paper on faces, reduced]:.2f} for the paper's nets reduced, "
      "{of[B]:.2f} for B, {of[paper on digits]:.2f} for the paper's losses on the smallest dense "
      'nets, {of[A on faces, reduced]:.2f} for A reduced. None reaches 1.5.')
def vae_gans_beside_pytorch():
    found = {nets: median(report.over_pytorch(of)) for (nets, kind), of in steps().items()
             if kind == 'vaegan'}
    assert max(found.values()) < report.BAR
    return {'of': found}


@pytest.mark.parametrize('document, fragment, values', ENTRIES)
def test_prose_says_what_was_recorded(document, fragment, values):
    text, expected = (ROOT / document).read_text(), fragment.format(**values())
    in_one_line = ' '.join(text.split())
    assert expected != fragment, 'an entry without a number'
    assert in_one_line.count(expected) == 1, expected
