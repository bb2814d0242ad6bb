"""Numbers in the prose of READMEs: what a sentence says is what was recorded.

A sentence is found by some words of it, the anchor; all numbers behind that are compared with the
records, in their order. Tables that commands and studies write are compared elsewhere
(test_results.py, test_readmes.py). Numbers that define something, such as how many latents a net
has, stand as they are; so do those of which there is no record.
"""
import functools
import math
import re
from collections.abc import Callable, Iterable
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
NUMBER = re.compile(r'(?<![\w.-])\d[\d,]*(?:\.\d+)?(?!\w)')
REACH = 250  # characters from one number of a sentence to the next, at most


class Record(dict):
    """Numbers by name, as attributes, too."""
    __getattr__ = dict.__getitem__


@functools.cache
def in_one_line(document: str) -> str:
    return ' '.join((ROOT / document).read_text().split())


def check(text: str, anchor: str, *expected: float | str) -> None:
    """Whether behind the anchor, which stands there once, come these numbers and words.

    A number of the text has to be the expected one, rounded to as many digits. None is passed
    over.
    """
    assert text.count(anchor) == 1, f'not once: {anchor}'
    at = text.index(anchor) + len(anchor)
    for value in expected:
        number = NUMBER.search(text, at, at + REACH)
        if isinstance(value, str):
            found = re.compile(rf'\b{re.escape(value)}\b').search(text, at, at + REACH)
            right = found and not (number and number.start() < found.start())
        else:
            found, digits = number, number and number[0].strip(',').replace(',', '')
            right = number and f'{value:.{len(digits.partition(".")[2])}f}' == digits
        assert right, f'{anchor}.. expected {value} in: {text[at:at + 60]}'
        at = found.end()


def says(document: str) -> Callable[..., None]:
    return lambda *sentence: check(in_one_line(document), *sentence)


readme, results, learned, benchmarks = map(says, (
    'README.md', 'results/README.md', 'results/learned_similarity.md',
    'tests/benchmarks/README.md'))


SENTENCE = 'One lr2 is 1,234, or 0.50: half of 0.31. No 0.33.'


@pytest.mark.parametrize('expected', [
    (1235, 0.5, 'half', 0.31), (1234, 0.51, 'half', 0.31), (1234, 0.5, 'third', 0.31),
    (1234, 'half'), (1234, 0.5, 'half', 0.3151), (1234, 0.5, 'hal'), (1234, 0.31)])
def test_a_wrong_sentence_is_an_error(expected):
    check(SENTENCE, 'One', 1234, 0.5, 'half', 0.314, 0.33)
    with pytest.raises(AssertionError):
        check(SENTENCE, 'One', *expected)


# What was recorded

def config(run: str) -> dict:
    return run_folder.read_config(IMAGES / run)


def evaluation(run: str) -> dict:
    return run_folder.read_evaluation(IMAGES / run)


def measures(run: str) -> Record:
    return Record(evaluation(run)['measures'])


@functools.cache
def epochs(run: str) -> list[Record]:
    return [*map(Record, read_statistics(IMAGES / run))]


def minutes(*runs: str) -> float:
    return sum(line.seconds for run in runs for line in epochs(run)) / 60


def updates(run: str) -> float:
    """Return how many batches a run was trained on."""
    batches = math.ceil(config(run)['n_train'] / config(run)['row']['batch_size'])
    return len(epochs(run)) * batches


def curve(run: str) -> dict[int, Record]:
    """Return the published losses of a run's experiment, by epoch."""
    return {int(line['epoch']): Record((loss, value and float(value))
                                       for loss, value in line.items() if loss.endswith('_loss'))
            for line in PUBLISHED[config(run)['name']]['curve']}


def table(study: str) -> dict[str, Record]:
    """Return the lines of a study's table, by run."""
    return {line['run']: Record(
        (column, value if value is None or column in ('run', 'nets') else float(value))
        for column, value in line.items()) for line in read_csv(RESULTS / STUDIES[study].table)}


def studied(study: str, *titles: str) -> dict[str, Record]:
    """Return the lines of comparisons, of all by default, by what the READMEs call the runs."""
    lines, compared = table(study), STUDIES[study].comparisons()
    return {label: lines[naming.run_name(row)]
            for title in titles or compared for label, row in compared[title].items()}


def column(lines: Iterable[Record] | dict[str, Record], name: str) -> list[float]:
    return [line[name] for line in (lines.values() if isinstance(lines, dict) else lines)]


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


def bounds(values: Iterable[float]) -> tuple[float, float]:
    values = [*values]
    return min(values), max(values)


def differences(title: str) -> dict[str, dict[str, Record]]:
    """Return by discriminator and measure what a VAE gains by it."""
    found = {}
    for line in claim.paired(title, [*studied('claim', title).values()]):
        found.setdefault(line['way'].split(' + ')[1], {})[line['measure']] = Record(
            alone=line['alone'].mean(), beside=line['with'].mean(), of_seeds=line['with'],
            interval=sorted(map(abs, line['interval'])), difference=abs(line['difference']),
            p=line['p_holm'], falls=line['alone'] - line['with'])
    return found


def settled(found: dict) -> list[tuple[str, str]]:
    """Return discriminators and measures whose corrected p is below 0.05."""
    return [(disc, measure) for disc, of in found.items() for measure, line in of.items()
            if line.p is not None and line.p < 0.05]


def n_tests(found: dict) -> str:
    return word(sum(line.p is not None for of in found.values() for line in of.values()))


# Digits

def test_digits():
    alone, both, squared = map(measures, (SOLO, COMBO, L2))
    dearer = part(both.mean_squared_error / alone.mean_squared_error - 1)
    readme('[sharper](#is-it-sharper):', both.sharpness, alone.sharpness, f'a {dearer} more')
    results('it can lose', f'{word(squared.latents - squared.active_latents)} of its '
                           f'{word(squared.latents)} latents')
    results('5_3_400_50` of its history,', curve(SOLO)[40].vae_loss)
    results('`python -m training evaluate --match "*_on_MNIST/*"` draws all',
            evaluation(SOLO)['images'])
    results('for four epochs, which names', 100 * alone.accuracy_of_originals)
    results('at the price of a', f'{dearer} more', both.accuracy, alone.accuracy)


def test_five_seeds():
    of = differences(claim.DIGITS)['DenseLogReg']
    gain, error, distance, accuracy = map(of.get, (
        'sharpness', 'mean_squared_error', 'frechet_reconstructions', 'accuracy'))
    assert max(line.p for line in of.values()) == accuracy.p < 0.05
    lines = [*studied('claim', claim.DIGITS).values()]
    time = [minutes(*(line.run for line in lines if line.nets == nets))
            for nets in (claim.ALONE, claim.WITH_DISC)]
    images, = {evaluation(line.run)['images'] for line in lines}
    n = word(len(claim.SEEDS[claim.DIGITS]))
    for say, where, yes in ((readme, 'of training): digits', 'On digits, yes'),
                            (results, 'alone and against DenseLogReg', 'Yes, it is sharper')):
        say(f'{where}, for', f'{n} seeds', claim.DIGITS_EPOCHS)
        say(f'**{yes}**: by', gain.difference, *gain.interval,
            f'a {part(gain.difference / (1 - gain.alone))} of what was missing',
            f'{part(distance.beside / distance.alone)} as far away',
            more(error.beside, error.alone), time[1] / time[0], accuracy.difference, accuracy.p)
    results('which is only just settled (p', accuracy.p,
            f'{word((accuracy.falls > 0).sum())} of {n} seeds')
    results('study claim`,', f'{word(sum(time))} minutes', images)


def test_weights_of_kl():
    lines = studied('kl')
    least, one, heavy, heaviest = map(lines.get, ('0.1', '1', '3', '10'))
    better = [line for label, line in lines.items() if float(label) < 1
              and all(line[measure] < one[measure] for measure in (
                  'mean_squared_error', 'frechet_reconstructions', 'frechet_samples'))
              and all(line[measure] > one[measure] for measure in ('sharpness', 'accuracy'))]
    best = min(lines, key=lambda label: lines[label].frechet_samples)
    results('DenseVAE was trained for', kl.EPOCHS, f'{word(len(lines))} weights',
            sum(column(lines, 'minutes')))
    results('samples of each net](kl.png)', {2: 'Both weights'}[len(better)], 1, 1, 0.1,
            least.kl - one.kl, 1, -more(least.mean_squared_error, one.mean_squared_error),
            float(best), lines[best].frechet_samples, one.frechet_samples, 1)
    results('latents go out one after the other: at 3', f'{word(5 - heavy.active_latents)} of',
            10, f'all but {word(heaviest.active_latents)}',
            f'{part(1 - heaviest.accuracy)} of the digits', heaviest.accuracy)


# Faces over seeds

def seeds_needed(falls: np.ndarray) -> int:
    """How many settle a difference, if all have the mean and spread of those that there are."""
    t = abs(falls.mean()) / falls.std(ddof=1)
    return next(n for n in range(2, 1000)
                if 2 * 10 * stats.t.sf(t * n ** 0.5, n - 1) < 1 - seeds.CONFIDENCE)


def power(falls: np.ndarray) -> float:
    """How probable it is that so many settle it."""
    n, effect = seeds_needed(falls), abs(falls.mean()) / falls.std(ddof=1)
    least = stats.t.isf((1 - seeds.CONFIDENCE) / 10 / 2, n - 1)
    return stats.nct.sf(least, n - 1, effect * n ** 0.5)


def p_of_logarithms(title: str) -> dict[tuple[str, str], float]:
    """Holm's p of the tested differences, by discriminator and measure.

    Of logarithms where a measure cannot be below 0 and has no upper bound.
    """
    lines, p = [*studied('claim', title).values()], {}
    alone = [line for line in lines if '+' not in line.nets]
    for disc in ('ConvDisc', 'ResNet'):
        beside = [line for line in lines if disc in line.nets]
        for name in set(claim.OF_FACES) - set(claim.UNTESTED):
            scale = (lambda x: x) if name in ('psnr', 'ssim') else np.log
            p[disc, name] = stats.ttest_rel(scale(column(beside, name)),
                                            scale(column(alone, name))).pvalue
    corrected, last = {}, 0
    for i, test in enumerate(sorted(p, key=p.get)):
        corrected[test] = last = max(last, min(1, (len(p) - i) * p[test]))
    return corrected


def both_ways(of: dict[str, Record], *names: str) -> list[float]:
    """Return measures beside the discriminator and alone."""
    return [value for name in names for value in (of[name].beside, of[name].alone)]


NEARER = 'sharpness', 'frechet_reconstructions'


def test_faces_of_three_seeds():
    found = differences(claim.FACES)
    assert settled(found) == [('ConvDisc', measure) for measure in (*NEARER, 'frechet_samples')]
    flawed, resnet = found['ConvDisc'], found['ResNet']['frechet_reconstructions']
    falls, fallen = flawed['frechet_reconstructions'].falls, resnet.falls
    readme('with the flaws of the original sharpness is', *both_ways(flawed, *NEARER),
           flawed['psnr'].difference)
    results('**Against ConvDisc, yes**: faces have', *both_ways(flawed, *NEARER),
            flawed['psnr'].difference, *both_ways(flawed, 'noise'), f'the {n_tests(found)} tests')
    results('**Against ResNet** nothing is settled: the distance fell by', fallen[0],
            resnet.of_seeds[0], *fallen[1:], *resnet.of_seeds[1:], *bounds(falls))
    # Without the flaws of ConvVAE
    found, lines = differences(claim.SOUND), [*studied('claim', claim.SOUND).values()]
    assert {disc for disc, _ in settled(found)} == {'ConvDisc'}
    of = found['ConvDisc']
    psnr, noise, distance = map(of.get, ('psnr', 'noise', 'frechet_reconstructions'))
    n, n_epochs = word(len(lines) / 3), len(epochs(lines[0].run))
    first, *others = found['ResNet']['frechet_reconstructions'].falls
    needed = [word(seeds_needed(found['ResNet'][measure].falls)) for measure in (
        'frechet_reconstructions', 'frechet_samples', 'sharpness', 'psnr')]
    readme('beside ConvDisc: a Frechet distance of',
           *both_ways(of, 'frechet_reconstructions'), psnr.difference)
    readme('`python -m training study claim`,',
           f'{word(sum(column(table("claim"), "minutes")) / 60)} hours')
    readme('and all faces, for', f'{n} seeds', n_epochs)
    readme('**Without its flaws** sharpness is', *both_ways(of, *NEARER), *distance.interval,
           psnr.difference, *psnr.interval, *both_ways(of, 'frechet_samples'))
    readme('**Against ResNet nothing is settled**: all', f'{n} seeds came nearer', first,
           distance.falls[0], fallen[0], falls[0], *bounds([*others, *fallen[1:]]))
    results('was trained on all 18,375 faces for', n_epochs)
    results('**Yes.** Against ConvDisc faces have', *both_ways(of, *NEARER, 'frechet_samples'),
            *both_ways(flawed, 'frechet_samples'), psnr.difference, of['ssim'].difference,
            noise.difference, flawed['noise'].difference, noise.alone, flawed['noise'].alone)
    results('with one of three the distance fell by', first, distance.falls[0], *others,
            *distance.falls[1:], f'spreads, {needed[0]} of', f'{needed[1]} that',
            f'{needed[2]} sharpness', f'{needed[3]} PSNR', 0.05, f'for {n_tests(found)} tests')
    results('[noise rises as much](#three-seeds-of-faces), but from', noise.alone)
    falls = [found['ResNet'][measure].falls for measure in (
        'frechet_reconstructions', 'frechet_samples', 'sharpness', 'psnr')]
    assert [round(10 * bound(map(power, falls))) for bound in (min, max)] == [6, 8]
    sound, published = map(p_of_logarithms, (claim.SOUND, claim.FACES))
    results('below 0, sharpness stays settled (p', *(
        of['ConvDisc', measure] for measure in (*NEARER, 'frechet_samples')
        for of in (sound, published)))
    results('strided encoder, linear head;', sum(column(lines, 'minutes')),
            f'its {word(len(lines))} runs')


# Faces at a reduced scale

def faces(title: str) -> list[Record]:
    return [*studied('anime', f'Faces: {title}').values()]


def by_weight() -> dict[int, Record]:
    """Return ConvVAE against ResNet, by ResNet's weight."""
    return {int(label.split('_')[-2]): line for label, line in studied(
        'anime', 'Faces: weight of the discriminator').items()}


def of_three_seeds(measure: str) -> list[float]:
    """Return a measure of ConvVAE against ResNet with seeds 0, 1 and 2."""
    row = [*STUDIES['anime'].comparisons()['Faces: nets'].values()][4]
    return [measures(naming.run_name(replace(row, seed=seed)))[measure] for seed in range(3)]


def test_reduced_nets():
    dense, logreg, conv, convdisc, resnet, _ = nets = faces('nets')
    oldest = faces('the first version, split in name order')
    for five in (oldest, nets[:5]):
        by_sharpness, by_noise, by_error = (
            sorted(range(5), key=column(five, name).__getitem__)
            for name in ('sharpness', 'noise', 'mean_squared_error'))
        assert {*by_sharpness[:2]} == {*by_noise[:2]} == {0, 1}
        assert by_error[0] == 2 and by_sharpness[-1] == by_noise[-1] == 3
    smallest = measures('ConvVAE_on_anime/512_32_16_n_latent-64_vae_base_channels-8')
    assert all(0.75 < smallest[name] / oldest[4][name] < 1 for name in ('sharpness', 'noise'))
    convs = conv, resnet, convdisc
    swing, stalled = (column(epochs(line.run), 'val_loss') for line in convs[1:])
    results('At weight 10 sharpness of ConvVAE is', *column(convs, 'sharpness'), 1,
            by_weight()[1].sharpness, dense.sharpness, logreg.sharpness,
            *column(convs, 'frechet_reconstructions'), *column(convs, 'noise'))
    results('with 1 the held-out loss was', swing[12], 12, swing[15], 15)
    results('Against ConvDisc the held-out loss is at', stalled[3], 3, min(stalled),
            stalled.index(min(stalled)), max(stalled[3:]), conv.val_loss)
    results('So small a VAE alone already has a sharpness of', smallest.sharpness, smallest.noise,
            oldest[4].sharpness, oldest[4].noise)


def test_weights_of_the_losses():
    weights, noise, sharp = by_weight(), of_three_seeds('noise'), of_three_seeds('sharpness')
    pixel = faces('weight of the pixel loss, and its decay')
    light, heaviest = weights[1], weights[50]
    assert all(heaviest[name] == max(column(weights, name))
               for name in ('val_loss', 'mean_squared_error', 'sharpness', 'noise'))
    assert max(noise[1:]) < weights[20].noise and max(sharp[1:]) < weights[20].sharpness
    alone = [line for line in studied('claim', claim.FACES).values() if line.nets == 'ConvVAE']
    results('Weights 1, 10, 20, 50 give noise', *(weights[n].noise for n in (1, 10, 20, 50)),
            1.2, 1, 0.8, 0.5, *column(pixel[:4], 'noise'))
    results('that both series share, with weights 10 and 1, has', *noise[1:],
            max(noise) - min(noise), 1, 50)
    results('sharpness of the first row is', *sharp[1:])
    results('At 1 noise', light.noise, *bounds(column(alone, 'noise')),
            light.sharpness, *bounds(column(alone, 'sharpness')),
            light.frechet_reconstructions, *bounds(column(alone, 'frechet_reconstructions')))
    results("20 lies between 1 and 10: there the discriminator's loss is between",
            *bounds(column(epochs(weights[20].run), 'disc_loss')), 10,
            *bounds(column(epochs(weights[10].run), 'disc_loss')))
    some = [pixel[0], *pixel[2:4]]
    results('the constant weights 1.2, 0.8 and 0.5 the error grows',
            *column(some, 'mean_squared_error'), *column(some, 'frechet_reconstructions'))
    results('have still more error:', *column(pixel[4:], 'mean_squared_error'))


def test_mixes_of_epochs():
    conv, sharp = faces('nets')[2], of_three_seeds('sharpness')
    lines = first, *middle, last = faces('mixes of solo and combo epochs')
    assert max(abs(line.sharpness - sharp[0]) for line in lines) < min(
        sharp[0] - other for other in sharp[1:])
    assert min(lines, key=lambda line: line.mean_squared_error) is last and len(middle) == 2
    assert all(line[name] > first[name] for line in middle
               for name in ('mean_squared_error', 'sharpness', 'noise'))
    assert all(line.frechet_reconstructions < first.frechet_reconstructions for line in middle)
    results('after twelve solo ones bring sharpness to', last.sharpness, first.sharpness,
            conv.sharpness, *(conv.frechet_reconstructions - line.frechet_reconstructions
                              for line in (last, first)))


def test_layouts():
    reshape, transpose = map(studied('anime', anime.LAYOUTS).get, ('reshape', 'transpose'))
    results('gives a held-out squared error of', *(
        line[name] for name in (
            'mean_squared_error', 'noise', 'sharpness', 'frechet_reconstructions')
        for line in (transpose, reshape)))
    learned('(README.md#faces-at-a-reduced-scale):', reshape.mean_squared_error)


def test_more_latents():
    convdisc, resnet, slow, deep = faces('more latents, deeper nets')
    alone, half = faces('nets')[2:4]
    solo = [[of for of in epochs(line.run) if of.phase == 'solo'][-1].val_loss
            for line in (slow, resnet)]
    shown = 'mean_squared_error', 'sharpness', 'noise', 'frechet_reconstructions'
    results('channels, and solo epochs: squared error', *map(convdisc.get, shown),
            *map(half.get, shown), deep.noise)
    results('in the last epoch its loss is below',
            math.ceil(1e3 * max(resnet.disc_loss, slow.disc_loss)) / 1e3,
            *(line[name] for name in shown[:3] for line in (resnet, slow)),
            *map(alone.get, shown[:3]))
    results('after the eight solo epochs the held-out loss is', *solo)


# Published nets on all faces

def losses(run: str) -> dict[int, tuple[float, float]]:
    """Return the published VAE loss and ours, by epoch."""
    published = curve(run)
    return {epoch: (published[epoch].vae_loss, line.vae_loss)
            for epoch, line in enumerate(epochs(run)) if epoch in published}


def above(*runs: str) -> tuple[float, float]:
    """Return by how many percent our losses are above the published ones, least and most."""
    return bounds(more(ours, published) for run in runs
                  for published, ours in losses(run).values())


def test_losses_on_all_faces():
    runs = CONV, RESNET, CONVDISC, LOGREG, DENSE
    of = {run: losses(run) for run in runs}
    orders = {epoch: [sorted(runs, key=lambda run: of[run][epoch][which]) for which in range(2)]
              for epoch in of[CONVDISC]}
    alike = [epoch for epoch, (published, ours) in orders.items()
             if published == ours and ours[:3] == [*runs[:3]]]
    gaps = [np.subtract(of[run][5], of[CONV][5]) for run in runs[1:]]
    readme('#published-nets-on-all-faces) ours are', *above(*runs))
    results('follow the published curves,', *above(CONV, CONVDISC, RESNET))
    results('At each of the epochs', *alike, 'the order of the five losses is the published one: '
            'ConvVAE, then ConvVAE against ResNet, against ConvDisc, and the two dense rows',
            5, *np.ravel(gaps), 2, 5, *(of[CONVDISC][epoch][which] for which in range(2)
                                        for epoch in (2, 5)),
            9, curve(RESNET)[9].disc_loss, epochs(RESNET)[9].disc_loss)


def test_losses_along_the_epochs():
    def shown(line: dict) -> str:
        return ', '.join(f'{line[loss]:.{digits}f}' for loss, digits in (
            ('vae_loss', 2), ('disc_loss', 4)) if line.get(loss)) or '-'

    both = [of for run in (CONV, CONVDISC, RESNET)
            for of in (curve(run), dict(enumerate(epochs(run))))]
    results(' '.join(f'| {epoch} | {" | ".join(shown(of.get(epoch, {})) for of in both)} |'
                     for epoch in range(10)))


def test_measures_on_all_faces():
    conv, *others = map(measures, (CONV, CONVDISC, RESNET))
    best = min(epochs(DENSE), key=lambda line: line.val_loss).epoch
    results('The measures are over all', evaluation(CONV)['images'])
    results('faces of ConvVAE are sharper', *column(others, 'sharpness'), conv.sharpness,
            *(more(net.mean_squared_error, conv.mean_squared_error) for net in others))
    results('DenseVAE alone is at its best on held-out faces at epoch', best)


def test_distances_of_damaged_faces():
    found = {(line['damage'], line['strength']): float(line['frechet'])
             for line in read_csv(RESULTS / 'damage.csv')}
    of = {name: [found[name, f'{strength:g}'] for strength in damaged.strengths]
          for name, damaged in damage.DAMAGES.items()}
    assert all(sorted(distances) == distances for distances in of.values())
    least, *_, most = sorted(of, key=lambda name: of[name][0])
    results('(damage.csv)), and is', found[damage.HALVES, None])
    results('Of the mildest damage of each kind it minds', f'{most} most', of['blur'][0],
            f'{least} least', 12, 255, of['seams'][0], 8, of['noise'][0])
    results('seams of 96 cost', of['seams'][-1], 64, of['noise'][-1])
    results('The mean face in place of every face is at', found[damage.MEAN, None])


# What the flaws of ConvVAE cost

def test_flaws_of_convvae():
    lines = studied('repairs', repairs.ONE_BY_ONE)
    published, equal, repaired, smaller, smaller_equal, strided, small, transposed = map(
        lines.get, ('as published', 'all three, equal epochs', 'all three', 'all three, smaller',
                    'all three, smaller, equal epochs', 'strided encoder', 'smaller',
                    'transposed'))

    def gain(line: Record) -> float:
        return line.psnr - published.psnr

    def pace(line: Record) -> float:
        return line.minutes / line.solo_epochs

    def latents(line: Record) -> tuple[float, ...]:
        """Return how many latents: all, quiet ones; epochs; nats of quiet ones, of all."""
        found = measures(line.run)
        quiet = [nats for nats in found.kl_per_latent if nats < 0.2]
        return found.latents, len(quiet), line.solo_epochs, sum(quiet), found.kl

    n, n_quiet, *rest = latents(repaired)
    results('(*linear head*). It was trained on', config(published.run)['row']['limit'])
    results('study repairs`,', sum(column(lines, 'minutes')), evaluation(published.run)['images'])
    results('**What the flaws cost**:', gain(equal), updates(equal.run), published.psnr,
            equal.psnr, gain(repaired), f'{word(published.minutes)} minutes', repaired.psnr,
            updates(repaired.run))
    results('The smaller net without them is', gain(smaller), smaller.psnr, updates(smaller.run),
            gain(smaller_equal), f'a {part(pace(smaller_equal) / pace(published))} of the time',
            smaller_equal.psnr)
    results('stride 2 alone gains', gain(strided), pace(published) / pace(strided), gain(small),
            gain(transposed), published.sharpness, transposed.sharpness)
    results('two epochs are too few for either head', *(
        lines[label].psnr for label in ('linear head, learning rate 1e-4', 'learning rate 1e-4')))
    results("Of the repaired net's", n, n_quiet, 0.2, *rest, *latents(smaller))


def test_flaws_of_convvae_on_all_faces():
    lines = studied('repairs', repairs.ALL_FACES)
    published, first = lines['as published'], lines['all three, smaller, seed 0']
    flawed, repaired = (np.array([lines[f'{kind}, seed {seed}'].psnr for seed in range(3)])
                        for kind in ('smaller', 'all three, smaller'))
    worth = stats.ttest_rel(repaired, flawed).confidence_interval(seeds.CONFIDENCE)
    seconds, n = column(epochs(published.run), 'seconds'), word(len(repaired))
    gain = repaired.mean() - published.psnr
    readme('draws faces', gain, first.minutes, published.minutes)
    results('The published net had', f'{word(published.solo_epochs)} epochs', published.minutes,
            published.psnr, updates(first.run), first.minutes, repaired.mean(), f'{n} seeds',
            *bounds(repaired), gain, flawed.mean(), *bounds(flawed), (repaired - flawed).mean(),
            *worth, 95, f'{n} pairs', np.mean(seconds[:6]) / 60, np.mean(seconds[6:]) / 60)


def test_recommended_nets():
    grid = studied('recommended', recommended.GRID)
    tried = [line for label, line in grid.items() if label != recommended.WITHOUT]
    row, without = registry.EXPERIMENTS[recommended.BESIDE], grid[recommended.WITHOUT]
    assert recommended.chosen(grid) == f'{row.disc_weight:g}, {row.epochs} epochs'
    light, chosen, heavy, longer = tried
    hours = sum(column([*grid.values(), *studied('recommended', recommended.NETS).values()],
                       'minutes')) - chosen.minutes
    weights = recommended.WEIGHTS
    results('16 base channels, alone for', registry.EXPERIMENTS[recommended.ALONE].epochs,
            recommended.GRID_SEED, recommended.MOST_LOST, recommended.EPOCHS, *weights,
            longer.combo_epochs - chosen.combo_epochs, hours / 60)
    results('<!-- end --> With weight', weights[1], chosen.frechet_samples, light.frechet_samples,
            weights[0], heavy.frechet_samples, weights[2], without.psnr - chosen.psnr,
            longer.psnr - chosen.psnr, longer.frechet_samples)


# A learned similarity

def by_way(setting: ways.Setting) -> tuple[dict, dict, dict]:
    """Return values of seeds and their means by measure and way, corrected p by measure and pair.

    Ways: in place, beside, pixels, control.
    """
    lines = [*table('ways').values()]
    tests = seeds.paired(ways.values(setting, lines), ways.PAIRS, claim.UNTESTED)
    measured = setting.measured | {'mean_squared_error': ('', 4)}
    found = {measure: Record((way.replace(' ', '_'), of) for way, of in samples.items())
             for measure, samples in ways.values(replace(setting, measured=measured),
                                                 lines).items()}
    means = {measure: Record((way, sample.mean()) for way, sample in of.items())
             for measure, of in found.items()}
    return found, means, {(line['measure'], line['way'], line['from']): line['p_holm']
                          for line in tests}


def test_digits_in_place():
    _, means, p = by_way(ways.DIGITS)
    distance, error, right = map(means.get, (
        'frechet_reconstructions', 'mean_squared_error', 'accuracy'))
    times, recognised = error.in_place / error.beside, (100 * right.in_place, 100 * right.beside)
    learned('in place of pixels, reconstructions are a little nearer in Frechet distance,',
            distance.in_place, distance.beside,
            p['frechet_reconstructions', ways.IN_PLACE, ways.BESIDE], times, *recognised,
            p['frechet_samples', ways.IN_PLACE, ways.PIXELS], 100 * right.control)
    readme('digits come a little nearer to the originals, but', *recognised)
    readme('come a little nearer still in Frechet distance', distance.in_place, distance.beside,
           times)


def test_faces_in_place():
    found, means, p = by_way(ways.FACES)
    settled_in_place = {(measure, other) for (measure, way, other), value in p.items()
                        if way == ways.IN_PLACE and value is not None and value < 0.05}
    assert settled_in_place == {('ssim', ways.PIXELS), ('ssim', ways.BESIDE)}
    assert all(p['ssim', ways.IN_PLACE, other] < 0.01 for other in (ways.PIXELS, ways.BESIDE))
    for measure in ('frechet_reconstructions', 'frechet_samples', 'noise', 'mean_squared_error'):
        assert (found[measure].in_place > found[measure].beside).all()
    for measure in ('psnr', 'ssim'):
        assert (found[measure].in_place < found[measure].beside).all()
    error, noise, ssim, distance = map(means.get, (
        'mean_squared_error', 'noise', 'ssim', 'frechet_reconstructions'))
    of_seeds, times = found['frechet_reconstructions'], error.in_place / error.beside
    layer, gamma = ways.FACES.chosen
    chosen = ways.grids(ways.FACES)[ways.FACES.grid][f'{layer}, {gamma:g}']
    learned('than beside in every distance and error, with', times, noise.in_place, noise.beside,
            sum(value is not None for value in p.values()))
    learned("the control's Frechet distances are", *of_seeds.control, *of_seeds.in_place, 4,
            table('ways')[naming.run_name(chosen)].frechet_reconstructions)
    readme('%; faces have', f'{word(times)} times')
    readme('Faces have a Frechet distance of', distance.in_place, distance.beside,
           distance.pixels, error.in_place, error.beside, ssim.in_place, ssim.beside)


def test_learned_similarity_on_digits():
    lines = studied('vaegan')
    alone, both, similar = map(lines.get, (
        'pixel loss', 'pixel loss + discriminator', 'learned similarity'))
    latents = measures(similar.run)
    times, dearer = (line.mean_squared_error / alone.mean_squared_error
                     for line in (similar, both))
    once = {line.run: line.minutes for line in lines.values()}
    learned('compares all runs of this part', sum(once.values()) / 60)
    learned('Measures are over all', evaluation(similar.run)['images'])
    learned('by the learned similarity are as sharp as the originals', similar.sharpness,
            alone.sharpness, both.sharpness,
            *column((similar, alone, both), 'frechet_reconstructions'),
            f'nearly { {2: "twice"}[round(times)]} the',
            f'{word(latents.latents - latents.active_latents)} of {word(latents.latents)} latents',
            100 * similar.accuracy, 100 * alone.accuracy)
    learned('buys most of the looks for a', f'{part(dearer - 1)} more', both.frechet_samples,
            similar.frechet_samples)


def test_system_b():
    lines = studied('vaegan')
    first, *_, last = epochs(lines['gradients routed'].run)
    added = epochs(lines['gradients accumulated, as published'].run)
    rise, = {word(last[loss] / first[loss]) for loss in ('enc_loss', 'dec_loss')}
    plotted = PUBLISHED['VAEGAN_on_MNIST/B_20_50_as_published']['curve']
    learned('losses of encoder and decoder have risen', f'{rise}fold', *(
        line[loss] for loss in ('enc_loss', 'dec_loss') for line in (first, last)))
    learned('nothing from the discriminator, which is right about', *(
        100 * added[1][f'disc_{images}_accuracy'] for images in ('real', 'fake')),
        added[0].disc_loss, added[-1].disc_loss)
    learned("B's plots show losses of the discriminator of",
            *bounds(float(line['disc_loss']) for line in plotted),
            *bounds(float(line['dec_loss']) / float(line['enc_loss']) for line in plotted))


# System A

OF_A_FEATURE = math.log(2 * math.pi) / 2  # the constant of a Gaussian
ON_FACES = 4 * 6272  # features: of 64 channels, for 16 at a quarter of the width


def test_system_a_on_digits():
    run = studied('vaegan')['A'].run
    lines, row = epochs(run), config(run)['row']
    classes = [[n for digit, n in line.items() if digit != 'epoch']
               for line in read_classes(IMAGES / run / 'classes.csv')]
    constant, at_our_scale, on_faces = (n * OF_A_FEATURE * row['beta']
                                        for n in (3200, ON_FACES / 4, ON_FACES))
    learned('## System A on digits', len(lines), 100,
            {3: 'an hour and a half'}[round(minutes(run) / 30)])
    learned('the constant of its Gaussian,', OF_A_FEATURE, constant, on_faces, at_our_scale)
    learned("an easier time. Of the encoder's loss", constant, OF_A_FEATURE, 3200, 4096,
            *(of[19].enc_loss - constant for of in (lines, curve(run))), 19)
    learned("(the encoder's on faces has a constant of", on_faces, at_our_scale)
    learned('is kept: KL falls to', lines[-1].kl)
    learned('Here none does in', len(lines), row['n_classified'], *bounds(classes[-1]),
            min(map(min, classes)))


def validation_losses(name: str) -> list[list[float]]:
    """Return A's own losses of encoder, decoder and discriminator with rates of that name."""
    lines = [line for line in read_csv(RESULTS / 'peer_a_validation_losses.csv')
             if line['rates'] == name]
    return [[*map(float, column(lines, net))] for net in ('encoder', 'decoder', 'discriminator')]


def test_system_a_on_faces_at_full_size():
    run = studied('vaegan')['A at full size'].run
    lines, logged, row = epochs(run), curve(run), config(run)['row']
    constant = ON_FACES * OF_A_FEATURE * row['beta']
    ours, theirs = (lines[0], lines[4]), (logged[0], logged[4])
    learned('A_2048_100_lr1 --epochs 5`,', minutes(run), config(run)['n_train'],
            evaluation(run)['images'], updates(run) / len(lines))
    learned('What is left of ours is', *(line.enc_loss - constant for line in (*ours, *theirs)),
            *(row['beta'] * line.similarity - constant for line in ours), *column(ours, 'kl'),
            row['n_latent'], *column((*ours, *theirs), 'dec_loss'),
            *column((*ours, *theirs), 'disc_loss'), *bounds(column(lines, 'val_enc_loss')),
            *bounds(validation_losses('lr1')[0][:5]))


def test_system_a_on_faces_at_a_quarter_of_the_width():
    lines = studied('vaegan', vaegan.QUARTER_TITLE)
    with_it, after, without, without_150, with_150 = map(lines.get, (
        'lr1', 'BatchNorm after the activation', 'without minibatch discrimination',
        'without it, batches of 150', 'with it, batches of 150'))
    row = config(with_it.run)['row']
    learned("At a quarter of A's width", row['n_latent'], row['vae_base_channels'],
            row['n_hnodes'], config(with_it.run)['n_train'], 100, updates(with_it.run),
            updates(with_150.run), 150)
    learned("that run's encoder loss cannot be compared. A run took",
            *bounds(column(lines, 'minutes')))
    learned('Their Frechet distances are', with_it.frechet_samples, without.frechet_samples,
            studied('vaegan')['A at full size'].frechet_samples)
    learned('probability of a third (its loss of', after.disc_loss, after.diversity)
    assert after.diversity < min(column([without, with_it], 'diversity')) / 4
    learned('but they vary (diversity', without.diversity, 50, without_150.diversity, 150,
            with_it.diversity, with_150.diversity)
    learned('brings samples nearer to photographs (Frechet distance', *(
        of.frechet_samples for of in (with_it, without, with_150, without_150)))
    learned('further from their originals (squared error', *(
        of.mean_squared_error for of in (with_it, without, with_150, without_150)), *(
        measures(of.run).kl for of in (with_it, with_150, without, without_150)))
    learned('Smaller batches: no.** Batches of', 150,
            f'{part(updates(with_150.run) / updates(with_it.run))} of')
    for large, small in ((with_150, with_it), (without_150, without)):
        assert large.frechet_samples < small.frechet_samples
        assert large.diversity > small.diversity


def test_samples_by_rates():
    lines = studied('vaegan', vaegan.QUARTER_TITLE)
    constant, *falling = (lines[name] for name in vaegan.RATES)
    documented, logged = ([lines[name].frechet_samples for name in vaegan.RATES[1:]
                           if name.endswith('_as_logged') == is_logged]
                          for is_logged in (False, True))
    assert constant.frechet_samples < min(documented + logged)
    kept = [measures(line.run).kl for line in falling]
    assert min(kept) > measures(constant.run).kl
    rates = [line.dec_lr for line in epochs(lines['lr4_as_logged'].run)]
    least = schedules.RULES['as_logged']['lr4'].least
    learned('nearest to photographs with constant rates (Frechet distance',
            constant.frechet_samples, *documented, *logged)
    learned('But more of an', *bounds(kept), measures(constant.run).kl)
    early = [max(line[f'{net}_lr'] for net in NETS) for line in epochs(lines['lr4'].run)]
    learned('early losses are noisy, and all rates', f'are at {rate(least)} from',
            early.index(least))
    learned('the mark of a net that learns', f'is at {rate(least)} from', rates.index(least))


def their_falls(name: str) -> list[int]:
    """Return how often the rate of each net falls by A's rule of that name."""
    rule = schedules.RULES['as_logged'][name]
    return [len(schedules.changes(5e-4, rule, of)) for of in validation_losses(name)]


def our_falls(name: str) -> list[int]:
    """Return how often each net's rate fell before an epoch that was trained with it."""
    lines = epochs(studied('vaegan')[f'{name}_as_logged'].run)
    rates = ([line[f'{net}_lr'] for line in lines] for net in NETS)
    return [sum(a != b for a, b in zip(of, of[1:], strict=False)) for of in rates]


def test_falls_of_rates():
    (lr2, lr3, lr4), (a_lr2, a_lr3, a_lr4) = (map(falls, FALLING)
                                              for falls in (our_falls, their_falls))
    assert all(len({*each}) == 1 for each in (lr4, a_lr3, a_lr4))
    learned('the second kind gives all', sum((*a_lr2, *a_lr3, *a_lr4)))
    learned('rates of encoder, decoder and discriminator fell', *lr2, *lr3, lr4[0], *a_lr2,
            a_lr3[0], a_lr4[0])


def test_losses_on_faces():
    theirs = {name: PUBLISHED[f'VAEGAN_on_adult/A_2048_100_{name}{suffix}']['curve'][-1]
              for name, suffix in (('lr1', ''), *((name, '_as_logged') for name in FALLING))}
    lines = studied('vaegan', vaegan.QUARTER_TITLE)
    last, logged = epochs(lines['lr1'].run)[-1], curve(studied('vaegan')['A at full size'].run)
    constant = ON_FACES / 4 * OF_A_FEATURE * config(lines['lr1'].run)['row']['beta']
    learned("With lr1 the decoder's loss at the end is", last.dec_loss, last.disc_loss,
            logged[99].dec_loss, logged[99].disc_loss, constant, last.enc_loss - constant,
            *(logged[epoch].enc_loss - 4 * constant for epoch in (9, 99)))
    assert min(logged, key=lambda epoch: logged[epoch].enc_loss) == 9  # of those that are logged
    ours = {name: lines[name].enc_loss for name in ('lr1', *(f'{name}_as_logged'
                                                             for name in FALLING))}
    (lowest, first), (_, second), (_, third), (highest, end) = sorted(
        (float(line['enc_loss']), name) for name, line in theirs.items())
    worst, best = max(ours, key=ours.get), min(ours, key=ours.get)
    learned("A's ended lowest", f'with {first}', lowest, f'{second}, {third}, {end}', highest,
            f'highest with {worst.removesuffix("_as_logged")}', ours[worst],
            f'with {best}', ours[best])
    learned("at the end (the discriminator's loss rose to", *(
        float(theirs[name]['val_disc_loss']) for name in ('lr2', 'lr3')),
        max(epochs(lines[name].run)[-1].val_disc_loss for name in vaegan.RATES))


FEATURES = 64 * 8 * 8  # of conv4, of the paper's nets reduced


def test_the_papers_nets():
    lines = studied('vaegan')
    usual, other = lines['as its authors weighed it'], lines['a larger gamma, a falling rate']
    row, changed = (Record(config(line.run)['row']) for line in (usual, other))
    learned('batches of 64, and its equilibrium: once', rate(row.lr))
    learned("and its authors' gamma, once", 24, 200, updates(usual.run),
            f'a {part(usual.minutes / 60)} of an hour', row.limit)
    (similarity, gan), (its_similarity, its_gan) = (
        (of.gamma * (last.similarity - 0.5 * math.log(2 * math.pi) * FEATURES), abs(last.gan))
        for of, last in ((row, epochs(usual.run)[-1]), (changed, epochs(other.run)[-1])))
    learned("With the authors' gamma,", rate(row.gamma), similarity, gan)
    learned('colours of their own; the squared error is', usual.mean_squared_error,
            changed.gamma, its_similarity, its_gan, other.mean_squared_error)
    learned('The Frechet distance of its reconstructions is', *(
        line[name] for name in ('frechet_reconstructions', 'frechet_samples')
        for line in (other, usual)))
    learned('which is a part of their sharpness', usual.sharpness, other.sharpness)
    larger = lines['half the channels, all faces']
    of, last = Record(config(larger.run)['row']), epochs(larger.run)[-1]
    n_features = 8 * of.disc_base_channels * 8 ** 2
    runs = [f'{path.parent.parent.name}/{path.parent.name}'
            for path in IMAGES.glob('*_on_anime/*/evaluation.json')]
    samples = {run: measures(run).frechet_samples for run in runs
               if 'frechet_samples' in measures(run)}
    assert min(samples, key=samples.get) == larger.run
    readme('of all runs here (', larger.frechet_samples, 'one seed')
    learned('A third run had all faces for', of.combo_epochs, updates(larger.run),
            larger.minutes / 60, of.n_latent)
    learned('four of them behind coloured dots. Their Frechet distance is', larger.frechet_samples,
            sorted(samples.values())[1], larger.frechet_reconstructions)
    learned('nine have blue eyes and coloured dots: the squared error is',
            larger.mean_squared_error, of.gamma,
            of.gamma * (last.similarity - 0.5 * math.log(2 * math.pi) * n_features), -last.gan)


# Speed

def test_solo_epoch_beside_combo_epoch():
    lines = [*map(Record, read_csv(RESULTS / 'timing.csv'))]
    full = {line.step: float(line.solo_epoch_seconds) / float(line.combo_epoch_seconds)
            for line in lines if line.kind == mixes.ESTIMATE}
    measured = [line for line in lines if line.kind == mixes.MEASUREMENT]
    solo, combo = (np.mean([*map(float, filter(None, column(measured, f'{kind}_epoch_seconds')))])
                   for kind in ('solo', 'combo'))
    of_all = [*map(float, column(measured, 'published_seconds'))]
    results('costs beside a combo epoch: published',
            *bounds(1 - 4 / i * (1 - of_all[i] / of_all[0]) for i in (1, 2, 3)),
            full['published'], full['shared'], solo / combo)


def test_speed():
    cases = report.cases(read_csv(RESULTS / 'throughput.csv'))
    over_original = {nets: median(report.ratios(case['original'], case['ours']))
                     for (nets, kind), case in cases.items()
                     if kind != 'vaegan' for nets in [f'{nets}, {kind}']}
    found = {case: median(report.over_pytorch(of)) for case, of in cases.items()}
    dense, conv = ([ratio for (nets, kind), ratio in found.items() if family in nets]
                   for family in ('Dense', 'Conv'))
    of = {nets: ratio for (nets, kind), ratio in found.items() if kind == 'vaegan'}
    readme('On a CPU a step is', *bounds(over_original.values()), *bounds(conv), *bounds(dense),
           *bounds(of.values()))
    smallest = cases['DenseVAE 5-3-400', 'solo']
    ours, other = (report.quartiles(smallest[name])[1] for name in ('ours', 'PyTorch, compiled'))
    assert max(of.values()) < report.BAR
    benchmarks('Published steps of all but the smallest nets are', *bounds(
        ratio for (nets, kind), ratio in found.items()
        if kind == 'published' and ' 5-3-400' not in nets), *bounds(
        ratio for (nets, kind), ratio in found.items() if kind != 'published' and 'Conv' in nets),
        more(ours, other))
    benchmarks('on faces at full size ours is', *map(of.get, (
        'A on faces', 'paper on faces', 'A on faces, reduced', 'paper on faces, reduced',
        'A on digits', 'B', 'paper on digits')), report.BAR)
