"""The READMEs: their links, and the blocks of them that a command prints.

    <!-- python -m training list --match "VAEGAN*" --markdown -->
    ...
    <!-- end -->

`python -m tests.readmes` puts what such commands print now between their markers. A command is one
for a shell: `| grep -E PATTERN` behind it chooses lines of what it prints, and a comment
`# TITLE` what stands below that heading.
"""
import contextlib
import functools
import importlib
import io
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from training import __main__ as training_command
from training.experiments import registry

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / 'results' / 'images'
FOLDERS = ('models', 'data', 'training', 'tests')
BLOCK = re.compile(r'(?<=<!-- )(python -m [^\n]+?)( -->\n)(.*?)(?=<!-- end -->)', re.DOTALL)
FENCE = re.compile(r'^```.*?^```', re.DOTALL | re.MULTILINE)
HEADING = re.compile(r'^#{1,6} +(.+?) *$', re.MULTILINE)
LINK = re.compile(r'\]\(([^()\s]+)\)|\b(?:src|href)="([^"]+)"')


class BlockError(ValueError):
    """A block whose command does not print it."""


def documents() -> list[Path]:
    """Return every README of the project but those of result folders."""
    return sorted([*ROOT.glob('*.md'), *(ROOT / 'results').glob('*.md'),
                   *(path for folder in FOLDERS for path in (ROOT / folder).rglob('*.md'))])


def plain(text: str) -> str:
    """Return a document without its code, in which nothing is a link or a heading."""
    return re.sub(r'`[^`\n]*`', '', FENCE.sub('', text))


def anchors(text: str) -> set[str]:
    """Return what `#...` may name in a document: its headings, as GitHub spells them."""
    found = set()
    for heading in HEADING.findall(FENCE.sub('', text)):
        words = re.sub(r'\[([^]]*)\]\([^)]*\)', r'\1', heading).lower()
        anchor = base = re.sub(r'[^\w\- ]', '', words).replace(' ', '-')
        n = 0
        while anchor in found:
            anchor = f'{base}-{(n := n + 1)}'
        found.add(anchor)
    return found


def broken_links(document: Path) -> list[str]:
    """Return the document's links to files and headings that are not there."""
    found = []
    for link in map(''.join, LINK.findall(plain(document.read_text()))):
        if re.match(r'[a-z]+:', link):
            continue
        name, _, anchor = link.partition('#')
        path = document.parent / name if name else document
        there = path.exists() and (not anchor or anchor in anchors(path.read_text()))
        found += [] if there else [link]
    return found


def commands(text: str) -> list[str]:
    """Return the lines of a document's code that are commands of the project.

    Code below `<!-- example -->` is left out: it is of things that have to be added first.
    """
    code = ''.join(FENCE.findall(re.sub(r'<!-- example -->\n```.*?```', '', text,
                                        flags=re.DOTALL)))
    return re.findall(r'^python -m training .*', code, re.MULTILINE)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Yield the command and the content of each block of a document."""
    for command, _, content in BLOCK.findall(text):
        yield command, content


def renewed(text: str) -> str:
    """Return a document with what its blocks' commands print now."""
    return BLOCK.sub(lambda block: f'{block[1]}{block[2]}{printed(block[1])}', text)


def printed(command: str) -> str:
    """Return what a block's command prints, as a part of a document."""
    words = shlex.split(command, comments=True)
    n = words.index('|') if '|' in words else len(words)
    text = _without_others(_output(tuple(words[2:n])))
    title = command.partition(' # ')[2]
    if title:
        text = _section(text, title)
    if words[n:n + 3] == ['|', 'grep', '-E'] and len(words) == n + 4:
        text = '\n'.join(line for line in text.splitlines() if re.search(words[n + 3], line))
    elif words[n:]:
        raise BlockError(f'{command}: expected nothing behind it, or | grep -E PATTERN')
    if not text.strip():
        raise BlockError(f'{command}: prints nothing')
    return text.strip('\n') + '\n'


@functools.cache
def _output(words: tuple[str, ...]) -> str:
    """Return what `python -m <words>` prints, run in this process."""
    module, *arguments = words
    out = io.StringIO()
    with contextlib.redirect_stdout(out), mock.patch.object(sys, 'argv', [module, *arguments]):
        status = (training_command.main(arguments) if module == 'training' else
                  importlib.import_module(module).main())
    if status:
        raise BlockError(f'{shlex.join(words)}: exit status {status}')
    return out.getvalue()


def _without_others(text: str) -> str:
    """Return a table without finished runs and added rows that no document links: a user's own."""
    linked = ''.join(path.read_text() for path in documents())
    return ''.join(line for line in text.splitlines(keepends=True) if not (
        (run := re.match(r'\| (\S+/\S+) \|', line))
        and (run[1] in registry.OURS or (IMAGES / run[1]).is_dir())
        and f'images/{run[1]}/' not in linked))


def _section(text: str, title: str) -> str:
    """Return what stands below a heading, up to the next one."""
    parts = re.split(HEADING, text)
    if title not in parts[1::2]:
        raise BlockError(f'no heading {title!r}: expected one of {", ".join(parts[1::2])}')
    return parts[2 * parts[1::2].index(title) + 2]


if __name__ == '__main__':
    for _ in range(2):  # runs that the first pass links to have lines in other tables
        for path in documents():
            old = path.read_text()
            if (new := renewed(old)) != old:
                path.write_text(new)
                print(path.relative_to(ROOT))
