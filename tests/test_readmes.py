"""The READMEs say what is there: links, headings, and all that a command prints."""
import shlex
from pathlib import Path

import pytest

from tests import readmes
from training.commands import parser

ROOT, DOCUMENTS = readmes.ROOT, readmes.documents()
BLOCKS = [pytest.param(path, command, content, id=f'{path.relative_to(ROOT)}: {command}')
          for path in DOCUMENTS for command, content in readmes.blocks(path.read_text())]
EXAMPLES = sorted({line for path in DOCUMENTS for line in readmes.commands(path.read_text())})
MOST_LINES = 199


@pytest.mark.parametrize('path', DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_pictures_are_there_and_markers_come_in_pairs(path):
    assert not readmes.broken_links(path)
    text = path.read_text()
    shown = readmes.plain(text)
    assert shown.count('<!-- python ') == shown.count('<!-- end -->') == len(
        [*readmes.blocks(text)])


@pytest.mark.parametrize('path, command, content', BLOCKS)
def test_block_is_what_its_command_prints(path, command, content):
    assert readmes.printed(command) == content


def test_readme_is_short():
    assert len((ROOT / 'README.md').read_text().splitlines()) <= MOST_LINES


def test_every_command_is_shown():
    text = (ROOT / 'training/README.md').read_text()
    assert [name for name in parser.COMMANDS if f'python -m training {name}' not in text] == []


@pytest.mark.parametrize('line', EXAMPLES)
def test_example_is_a_command_that_is_understood(cli, line, tmp_path, monkeypatch):
    """Rows to train, with their changes, are resolved as well."""
    monkeypatch.chdir(tmp_path)
    Path('my_faces').mkdir()
    words = shlex.split(line, comments=True)[3:]
    args = parser.parser().parse_args(words)
    job = args.job if args.name_of_command == 'launch' else words
    if job[0] == 'run':
        status, out, err = cli([*job, '--dry-run'])
        assert status == 0 and out, err


def test_broken_links_are_found(tmp_path):
    (tmp_path / 'other.md').write_text('# One `a.b`: two\n```\n# no\n```\n# Twice\n# Twice\n')
    document = tmp_path / 'document.md'
    document.write_text('# Here\n[a](other.md#one-ab-two) [b](other.md) [c](#here) `[d](e)`\n'
                        '[e](other.md#twice-1) [f](https://example.org/x) ![g](other.md)\n')
    assert readmes.broken_links(document) == []
    document.write_text('[a](gone.md) ![b](gone.png) [c](#gone) [d](other.md#no)\n'
                        '[![e](gone.gif)](other.md#twice-2) <img src="gone.svg">\n')
    assert readmes.broken_links(document) == ['gone.md', 'gone.png', '#gone', 'other.md#no',
                                              'gone.gif', 'other.md#twice-2', 'gone.svg']


def test_blocks_are_renewed_and_nothing_else(monkeypatch):
    monkeypatch.setattr(readmes, '_output', lambda words: {
        ('training', 'list'): '## A\n\n| a |\n| b |\n\n## B\n| c |\n'}[words])
    text = ('before\n<!-- python -m training list{} -->\nold\n<!-- end -->\nafter\n'
            '<!-- python -m training list -->\nno end\n').format
    for choice, new in {" | grep -E '^. [bc]'": '| b |\n| c |\n', ' # A': '| a |\n| b |\n',
                        ' | grep -E a # A': '| a |\n'}.items():
        assert readmes.renewed(text(choice)) == text(choice).replace('old\n', new)


def test_runs_of_a_user_are_no_part_of_a_block(monkeypatch, tmp_path):
    table = '| experiment |\n| DenseVAE_on_MNIST/5_3_400_bce_50 | 1 |\n'
    for run in ('5_3_400_bce_50', 'own'):  # the READMEs link the first
        (tmp_path / 'DenseVAE_on_MNIST' / run).mkdir(parents=True)
    monkeypatch.setattr(readmes, 'IMAGES', tmp_path)
    monkeypatch.setattr(readmes, '_output', lambda _: f'{table}| DenseVAE_on_MNIST/own | 2 |\n')
    assert readmes.printed('python -m training list') == table


@pytest.mark.parametrize('command', [
    'python -m training list | sort', 'python -m training gone', 'python -m training list # Gone',
    'python -m training list --markdown | grep -E nothing_like_this'])
def test_command_that_prints_no_block_is_an_error(command):
    with pytest.raises((readmes.BlockError, SystemExit)):
        readmes.printed(command)
