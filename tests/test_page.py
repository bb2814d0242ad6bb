"""The page of all runs: its HTML, parsed; in a browser it is tested by test_browser.py."""
import itertools
import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from PIL import Image

from data import table
from training.commands import wiring
from training.evaluation.measures import in_tables
from training.experiments import naming
from training.experiments.registry import EXPERIMENTS, OURS
from training.experiments.row import Row
from training.reporting import explorer, page, pictures
from training.reporting.published import our_numbers, published_numbers
from training.storage import run_folder
from training.studies import compared

RESULTS = Path(__file__).resolve().parent.parent / 'results'
SOLO, PAPER = 'DenseVAE_on_MNIST/5_3_400_bce_50', 'VAEGAN_on_MNIST/paper_5_3_400_1_200_50'
VOID = {'meta', 'img', 'input', 'br', 'link'}


class Parsed(HTMLParser):
    """Elements as (tag, attributes), text by tag; every element must be closed."""

    def __init__(self, path: Path):
        super().__init__()
        self.elements, self.texts, self.stack, self.labelled = [], [], [], []
        self.feed(path.read_text())
        assert not self.stack

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in ('select', 'input') and 'label' in self.stack:
            self.labelled.append(dict(attributes))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and data.strip():
            self.texts.append((self.stack[-1], data.strip()))

    def all(self, tag: str) -> list[dict]:
        return [attributes for found, attributes in self.elements if found == tag]


def comparable(path: Path) -> list[dict[str, list[str]]]:
    """The names of runs that a page compares, by title: of studies, then of originals."""
    parsed = Parsed(path)
    cards = [card['data-name'] for card in parsed.all('article')]
    html = path.read_text()
    found = json.loads(re.search('id="comparable">(.*?)</script>', html)[1])
    options = re.search('name="among">(.*?)</select>', html, re.S)[1]
    titles = [unescape(title) for title in re.findall('<option>(.*?)</option>', options)]
    assert sorted(titles) == sorted(title for group in found.values() for title in group)
    return [{title: [cards[i] for i in found[heading][title]] for title in titles
             if title in found[heading]}
            for heading in ('Studies', 'All runs with the same originals')]


def articles(path: Path) -> tuple[dict[str, str], str]:
    """The HTML of each run, by name, and what is around them."""
    pattern = re.compile(r'<article class="card" id="([^"]+)"(.*?)</article>\n', re.DOTALL)
    text = path.read_text()
    return dict(pattern.findall(text)), pattern.sub('', text)


def original(path: Path, name: str) -> bytes | None:
    """The first line of pictures of a run's strip, if reconstructions stand below it."""
    with Image.open(path.parent / 'images' / name / pictures.STRIP) as strip:
        side = (strip.width + pictures.GAP) // 10 - pictures.GAP
        line = strip.crop((0, 0, strip.width, side)).tobytes()
        return None if strip.height == side else line


def row_of(path: Path, name: str) -> Row:
    folder = path.parent / 'images' / name
    return run_folder.row_of(run_folder.read_config(folder), folder)


def page_of_results(folder: Path) -> Path:
    """Write a page of its own to a copy of the committed results."""
    root = folder / 'results'
    shutil.copytree(RESULTS, root, ignore=shutil.ignore_patterns(
        '*.params', 'demo', f'*{run_folder.UNFINISHED}'))
    return page.write(root, root / 'images', compared(), wiring.published_rows(),
                      table.kinds())


@pytest.fixture(scope='module')
def committed(tmp_path_factory) -> Path:
    return page_of_results(tmp_path_factory.mktemp('page'))


@pytest.fixture
def report(cli, tmp_path):
    """Writes the page of the results in the test's folder, and returns its place."""
    def call() -> Path:
        status, _, err = cli(['report', '--results-root', str(tmp_path)])
        assert status == 0, err
        return tmp_path / page.NAME
    return call


def copied(name: str, root: Path) -> Path:
    """A copy of a committed run."""
    return shutil.copytree(RESULTS / 'images' / name, root / name)


def test_every_run_is_a_card_with_pictures_that_are_there(committed):
    parsed = Parsed(committed)
    names = [*run_folder.finished_runs(committed.parent / 'images')]
    cards = [card['data-name'] for card in parsed.all('article')]
    assert sorted(cards) == sorted(names) and len(names) > 30
    shown = parsed.all('img')
    assert len(shown) == 3 + sum(  # two are compared, and one is the chart of times
        (committed.parent / 'images' / name / picture).exists()
        for name in names for picture in (pictures.STRIP, *page.MORE))
    for image in shown:
        assert len(image['alt']) > 10
        with Image.open(committed.parent / unquote(image['src'])) as picture:
            assert picture.size == (int(image['width']), int(image['height']))


def test_runs_are_in_the_published_order_and_reduced_ones_follow(committed):
    places, published = [*EXPERIMENTS], {}
    for section in committed.read_text().split('<section class="runs">')[1:]:
        data, which = re.search('<h2>(.*?): (.*?)</h2>', section).groups()
        rows = [row_of(committed, name) for name in re.findall('class="card" id="(.*?)"', section)]
        by_kind = [(kind, [places.index(row.name) for row in those]) for kind, those in
                   itertools.groupby(rows, lambda row: EXPERIMENTS[row.name].kind.name)]
        assert len({kind for kind, _ in by_kind}) == len(by_kind)
        assert all(order == sorted(order) for _, order in by_kind)
        changed = {bool(naming.changes(row).keys() - naming.EPOCHS - {'step'} - row.of_pictures()
                        or row.name in OURS) for row in rows}
        assert changed == {which == 'reduced or changed'}
        published.setdefault(data, []).append(which == 'published nets')
    assert sum(map(len, published.values())) > 4
    assert all(order == sorted(order, reverse=True) for order in published.values())


def test_labels_say_what_differs(committed):
    """In a card nothing but labels tells a reduced run, so each change has to have one."""
    for name, html in articles(committed)[0].items():
        row = row_of(committed, name)
        changed = naming.changes(row).keys() - row.of_pictures()
        labels = re.findall(r'<li>(.*?)</li>', html)
        assert len(labels) == len(changed - naming.EPOCHS) + bool(changed & naming.EPOCHS)
        assert ('the whole experiment' in html) == (not changed)
        assert html.index('class="strip"') < html.index('<h3>') < html.index('class="labels"')


def test_table_has_a_line_a_run_with_its_measures_and_each_is_explained_once(committed):
    text = committed.read_text()
    head, body = re.search(r'<thead>(.*?)</thead>.*?<tbody>(.*?)</tbody>', text, re.S).groups()
    headers = re.findall(r'<button type="button">(.*?)</button>', head)
    lines = re.findall(r'<tr data-name="([^"]+)">(.*?)</tr>', body, re.S)
    assert [name for name, _ in lines] == [
        card['data-name'] for card in Parsed(committed).all('article')]
    assert headers[:2] == ['run', 'data'] and len(headers) > 10
    for header in headers[2:]:
        _, explanation = text.split(f'<strong>{header}</strong>: ')
        assert '{' not in explanation.split('</p>')[0]
    for name, line in lines:
        cells = re.findall(r'<td>(.*?)</td>', line, re.S)
        assert len(cells) == len(headers) and f'href="#{quote(name)}"' in cells[0]
        evaluation = run_folder.read_evaluation(committed.parent / 'images' / name)
        for k, of in in_tables().items():
            if evaluation and k in evaluation['measures']:
                shown = cells[headers.index(of.header)]
                assert float(shown) == pytest.approx(evaluation['measures'][k], rel=1e-3)


def assert_local_and_labelled(path: Path) -> None:
    """Whether a page needs no network, and each of its controls has a label."""
    parsed, text = Parsed(path), path.read_text()
    assert not [word for word in ('http://', 'https://', '//cdn', '@import', 'url(')
                if word in text]
    assert not parsed.all('link') and not [s for s in parsed.all('script') if 'src' in s]
    assert len(parsed.labelled) == len(parsed.all('select') + parsed.all('input')) > 5


def test_controls_have_labels_and_offer_what_the_runs_are(committed):
    assert_local_and_labelled(committed)
    parsed = Parsed(committed)
    options = [text for tag, text in parsed.texts if tag == 'option']
    cards = {card['data-name']: card for card in parsed.all('article')}
    for card in cards.values():
        assert card['data-data'] in options and card['data-net'] in options
    studies, _ = comparable(committed)
    there = {title: [name for name in names if name in cards]
             for title, names in compared().items()}
    assert studies == {title: names for title, names in there.items() if len(names) > 1}
    assert [*studies.values()] != [*map(sorted, studies.values())]  # the order is a study's own
    assert all(options.count(title) == 2 for title in studies)  # to compare, to filter


def test_all_runs_with_the_same_originals_are_comparable_and_no_others(committed):
    studies, originals = comparable(committed)
    above = {title: {original(committed, name) for name in names} - {None}
             for title, names in originals.items()}
    assert [len(found) for found in above.values()] == [1] * 4
    assert len(set.union(*above.values())) == 4
    assert sorted(sum(originals.values(), [])) == sorted(articles(committed)[0])
    for names in studies.values():
        assert any(set(names) <= set(those) for those in originals.values())


def test_other_images_of_the_same_name_are_kept_apart(tmp_path, report):
    names = [f'{PAPER}{suffix}' for suffix in (
        '', '_beta-1.0', '_beta-10.0', '_beta-100.0', '_margin-0.35')]
    for name, checksum in zip(names, ('5b', 'aa', 'aa', '5b', 'cc'), strict=True):
        folder = shutil.copytree(RESULTS / 'images' / PAPER, tmp_path / name)
        config = run_folder.read_config(folder)
        data = config['data'] | {'sha256': 32 * checksum}
        run_folder.write_config(folder, config | {'run': name, 'data': data})
    assert comparable(report())[1] == {
        'MNIST test images 5b5b5b5b': [names[0], names[3]],
        'MNIST test images aaaaaaaa': names[1:3]}


def test_numbers_are_ours_beside_published(committed):
    text = committed.read_text()
    numbers = our_numbers(RESULTS / 'images' / SOLO, EXPERIMENTS[SOLO],
                          published_numbers()[SOLO]['curve'])
    assert (f'VAE loss, epoch 40</td><td>{numbers["our_vae_loss"]:.2f}</td><td>108.19</td>'
            in text)
    assert 'at epoch 199 of the whole)' in text
    others = [html for name, html in articles(committed)[0].items() if '_kl_weight-' in name]
    assert others and not [html for html in others if 'of the whole)' in html]  # another loss


@pytest.mark.parametrize('known', [True, False])
def test_no_published_loss_stands_beside_a_run_on_ones_own_pictures(tmp_path, cli, data_root,
                                                                    report, request, known):
    if not known:  # as any pictures but those of the shown results
        request.getfixturevalue('known_images')
    assert cli(['run', 'DenseVAE_on_anime/512_5_1024_200', '--epochs', '1', '--limit', '16',
                '--set', 'n_hnodes=4', '--set', 'n_latent=2', '--data-root', str(data_root),
                '--ctx', 'cpu', '--results-root', str(tmp_path)])[0] == 0
    text = report().read_text()
    assert ('on other images' in text) == (not known)
    assert ('of the whole)' in text) == ('Published losses' in text) == known


def test_page_of_one_run(tmp_path, report, committed):
    """Of few images, of markup in a command, and of the page of nets where that is there."""
    folder = copied(SOLO, tmp_path)
    run_folder.write_evaluation(folder, run_folder.read_evaluation(folder) | {'images': 500})
    run_folder.write_config(folder, run_folder.read_config(folder) | {
        'command': '<script>alert(1)</script>'})
    text, whole, link = report().read_text(), committed.read_text(), f'href="{explorer.NAME}"'
    assert 'of fewer than 1,000 images mean little' in text and 'mean little' not in whole
    assert '<script>alert' not in text and 'Side by side' not in text and 'Side by side' in whole
    assert link not in text
    (tmp_path / explorer.NAME).write_text('')
    assert link in report().read_text()


@pytest.mark.parametrize('name, content, message', [
    (run_folder.CONFIG, b'{', 'not JSON'),
    *((pictures.STRIP, content, 'expected a PNG or GIF picture, found none')
      for content in (b'', b'no picture', None))])
def test_damaged_run_leaves_the_page_as_it_was(tmp_path, cli, name, content, message):
    (tmp_path / page.NAME).write_text('before')
    damaged = copied(SOLO, tmp_path) / name
    damaged.unlink()
    if content is not None:
        damaged.write_bytes(content)
    status, _, err = cli(['report', '--results-root', str(tmp_path)])
    line, = err.splitlines()
    assert status == 2 and line.startswith(f'error: {damaged}: {message}')
    assert (tmp_path / page.NAME).read_text() == 'before'


def test_page_of_a_folder_named_from_where_one_stands(tmp_path, cli, monkeypatch):
    copied(SOLO, tmp_path / 'results/images')
    monkeypatch.setattr(wiring, 'RESULTS', tmp_path / 'results')
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'link').symlink_to('results')
    for root in ('results/images', 'link/images'):
        status, out, err = cli(['report', '--results-root', root])
        assert status == 0 and out.strip() == str(tmp_path / 'results' / page.NAME), err
    images = Parsed(tmp_path / 'results' / page.NAME).all('img')
    assert images and all((tmp_path / 'results' / unquote(image['src'])).is_file()
                          for image in images)


def test_folder_without_runs_is_refused_and_not_made(tmp_path, cli):
    status, _, err = cli(['report', '--results-root', str(tmp_path / 'typo')])
    assert status == 2 and err.startswith(f'error: {tmp_path / "typo"}: no finished runs')
    assert not [*tmp_path.iterdir()]


def test_committed_page_is_that_of_the_committed_runs(committed):
    """Those that the READMEs show at the least; a user's own runs may stand beside them."""
    (fresh, around), (found, found_around) = articles(committed), articles(RESULTS / page.NAME)
    assert len(found) > 30 and found.keys() <= fresh.keys()
    for name, html in found.items():
        assert html == fresh[name], name
    shown = ''.join(path.read_text() for path in RESULTS.glob('*.md'))
    assert {name for name in fresh if f'images/{name}/{pictures.STRIP}' in shown} <= found.keys()
    if found.keys() == fresh.keys():
        assert found_around == around
