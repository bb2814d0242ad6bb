"""Hostile files and command lines: one line and exit status 2, whatever is in them.

Every example goes through the command line in this process. None may crash the interpreter,
hang, take more than 2 GB or write outside the results root and the cache.
"""
import contextlib
import gzip
import io
import json
import os
import resource
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.conftest import write_mnist
from tests.small_pictures import encoded, noise, write_folder, write_zip
from training import __main__ as main
from training.commands import parser
from training.experiments import registry
from training.reporting import pictures
from training.reporting.statistics import CLASS_COLUMNS, STATISTICS
from training.storage import checkpoint_file, run_folder
from training.storage.unfinished import checkpoints_in

SOLO = 'DenseVAE_on_MNIST/5_3_400_bce_50'
FACES = 'DenseVAE_on_anime/512_5_1024_200_seeded'
SMALL = ['--limit', '8', '--set', 'batch_size=8', '--set', 'n_hnodes=4', '--set', 'n_latent=2',
         '--set', 'n_hlayers=1']
GOES_ON = ['run', SOLO, '--epochs', '2', *SMALL]
MOST_BYTES, MOST_SECONDS = 2 << 30, 20
NUMBERS = [0, 1, 2, 127, 128, 255, 256, 2 ** 15, 2 ** 16, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1,
           2 ** 40, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1]


class Sandbox:
    """Small data, finished runs and an unfinished one; nothing else may be written to."""

    def __init__(self, root: Path):
        self.root, self.data, self.results = root, root / 'data', root / 'results'
        self.data.mkdir()
        write_mnist(self.data, n_train=8, n_test=10)
        self.images = [encoded(noise(i, 16, 16), ('JPEG', 'PNG')[i % 2]) for i in range(50)]
        self.write_zip(self.images)
        self.where = ['--results-root', str(self.results), '--data-root', str(self.data),
                      '--ctx', 'cpu']
        for name in (SOLO, FACES):
            status, _, err = call(['run', name, '--epochs', '1', *SMALL, *self.where])
            assert status == 0, err
        self.solo, self.faces = sorted(run_folder.finished_runs(self.results).values())
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(ZeroDivisionError):
            patch.setattr(run_folder, 'finish', lambda *_: 1 / 0)
            call(GOES_ON + self.where)  # trained, and cut off before its pictures
        self.unfinished, = self.results.glob('*/*.unfinished')
        self.original = {p: p.read_bytes() for p in root.rglob('*') if p.is_file()}

    def write_zip(self, contents: list[bytes]) -> None:
        write_zip(self.data / 'anime_faces.zip',
                  {f'{i:03d}.png': content for i, content in enumerate(contents)})

    def restore(self) -> None:
        """All as it was."""
        for path in self.root.rglob('*'):
            if path.is_file() and path not in self.original:
                path.unlink()
        for path, content in self.original.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes() != content:
                path.write_bytes(content)

    def draw(self, folder: Path) -> list[str]:
        """The command that reads a run's configuration, parameters and data."""
        return ['strips', str(folder.relative_to(self.results)), *self.where]


def call(argv: list[str]) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command line."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main.main(argv)
        except SystemExit as stop:  # argparse's
            status = stop.code
    return status, out.getvalue(), err.getvalue()


written, watching = [], False


def _watch(event: str, arguments: tuple) -> None:
    if not watching:
        return
    if event == 'open' and isinstance(arguments[0], (str, bytes)) and arguments[2] & (
            os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        written.append(os.fsdecode(arguments[0]))
    elif event in ('os.mkdir', 'os.remove', 'os.rmdir', 'os.truncate'):
        written.append(os.fsdecode(arguments[0]))
    elif event in ('os.rename', 'os.link', 'os.symlink'):
        written.append(os.fsdecode(arguments[1]))


sys.addaudithook(_watch)


@pytest.fixture(scope='module')
def sandbox(tmp_path_factory) -> Sandbox:
    return Sandbox(tmp_path_factory.mktemp('sandbox'))


def hang(*_) -> None:
    raise TimeoutError(f'more than {MOST_SECONDS} s')


# Strategies


@st.composite
def mutated(draw, content: bytes) -> bytes:
    """Bytes with a few changes, more often at the beginning."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.one_of(st.integers(0, min(64, len(data))), st.integers(0, len(data))))
        match draw(st.sampled_from(['byte', 'number', 'cut', 'insert', 'delete', 'repeat'])):
            case 'byte':
                data[at:at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 'number':
                size = draw(st.sampled_from([2, 4, 8]))
                number = draw(st.sampled_from(NUMBERS)) % 2 ** (8 * size)
                data[at:at + size] = number.to_bytes(size, draw(st.sampled_from(
                    ['little', 'big'])))
            case 'cut':
                del data[at:]
            case 'insert':
                data[at:at] = draw(st.binary(max_size=20))
            case 'delete':
                del data[at:at + draw(st.integers(1, 40))]
            case 'repeat':
                data[at:at] = data[at:at + 100] * draw(st.integers(1, 20))
    return bytes(data)


FLOATS = st.floats(allow_subnormal=False)  # denormals count as zero: training/runtime/process.py
VALUES = st.recursive(
    st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.integers(-5, 5) | FLOATS
    | st.text(max_size=8) | st.sampled_from(['MNIST', 'DenseVAE', 'ConvVAE', 'gluoncv:vgg11',
                                             'a' * 5000, '../../x', '\n', '-1', '1e400']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner,
                                                                max_size=3), max_leaves=6)


@st.composite
def changed(draw, tree):
    """A JSON value with one part of it replaced, removed or added to."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    if not keys:
        return draw(VALUES)
    tree, key = tree.copy(), draw(st.sampled_from(keys))
    if isinstance(tree[key], (dict, list)) and draw(st.booleans()):
        tree[key] = draw(changed(tree[key]))
        return tree
    match draw(st.sampled_from(['replace', 'replace', 'remove', 'add'])):
        case 'replace':
            tree[key] = draw(VALUES)
        case 'remove':
            del tree[key]
        case 'add' if isinstance(tree, dict):
            tree[draw(st.text(max_size=5))] = draw(VALUES)
        case _:
            tree.append(draw(VALUES))
    return tree


WORDS = st.one_of(
    st.text(st.characters(exclude_characters='\0', codec='utf-8'), max_size=12),
    st.sampled_from(['', '-', '--', '--help', '*', '[', '[!', '**', '..', '/', '/dev/null', '~',
                     '\udcff', SOLO, FACES, SOLO + '/', 'cpu', 'gpu:9999', 'cpu:0,cpu:0', '-1',
                     '0', '1', 'nan', '1e999', '9' * 400, '50+150', '+', 'a' * 5000, '\u0661']))
OPTIONS = ['--match', '--epochs', '--limit', '--step', '--layout', '--seed', '--set', '--kvstore',
           '--force', '--fresh', '--checkpoint-minutes', '--ctx', '--json', '--markdown',
           '--data-root', '--names', '--hosts']
FIELDS = list(registry.get(SOLO).configuration())
TRAIN_OR_FETCH = 'collect', 'demo', 'study', 'time'
COMMANDS = [name for name in parser.COMMANDS if name not in TRAIN_OR_FETCH]
ASSIGNMENTS = st.one_of(WORDS, st.builds('{}={}'.format, st.sampled_from(FIELDS), st.one_of(
    WORDS, st.sampled_from(NUMBERS).map(str), FLOATS.map(str), st.just('none'))))


# What is made of an example: the files, and the command that meets them


def of_file(name: str, folder: str, run: str):
    def prepare(box: Sandbox, content: bytes) -> list[str]:
        (getattr(box, folder) / name).write_bytes(content)
        return box.draw(getattr(box, run))
    return prepare


def gzipped(box: Sandbox, content: bytes) -> list[str]:
    """A damaged gzip file in place of a plain one."""
    (box.data / LABELS).unlink()
    (box.data / f'{LABELS}.gz').write_bytes(content)
    return box.draw(box.solo)


def member(box: Sandbox, content: bytes) -> list[str]:
    """A whole zip, of one image that is not."""
    box.write_zip([*box.images[:49], content])
    return box.draw(box.faces)


def image(box: Sandbox, content: bytes) -> list[str]:
    """A folder of images, one of them damaged."""
    (box.data / 'anime_faces.zip').unlink()
    write_folder(box.data / 'anime_faces', {
        f'{i}.png': whole for i, whole in enumerate(box.images[:49])} | {'odd.jpg': content})
    return box.draw(box.faces)


def verified(box: Sandbox, case: tuple[str, bytes]) -> list[str]:
    (box.solo / case[0]).write_bytes(case[1])
    return ['verify', *box.where]


def listed(box: Sandbox, case: tuple[str, bytes]) -> list[str]:
    verified(box, case)
    return ['list', '--match', SOLO, *box.where[:2]]


CLASSES = (','.join(CLASS_COLUMNS)
           + '\n1,3,0,4,0,0,0,1,1,1,0\n4,2,1,1,1,1,1,1,1,1,0\n').encode()
EVALUATION = {'protocol': 'All.', 'images': 20, 'samples': 20, 'seed': 0, 'measures': {
    'psnr': 17.5, 'kl': 3.0, 'kl_per_latent': [1.0, 2.0], 'latents': 2, 'active_latents': 1,
    'accuracy_of_originals': 0.98, 'accuracy': 0.95}}


def checkpoint(box: Sandbox, content: bytes) -> list[str]:
    for path in checkpoints_in(box.unfinished):
        path.write_bytes(content)
    return GOES_ON + box.where


CHANGES = {'nothing': lambda array: array, 'shape': lambda array: array[..., np.newaxis],
           'type': lambda array: array.astype(np.float64),
           'nan': lambda array: np.full_like(array, np.nan)}


def state(box: Sandbox, case: tuple) -> list[str]:
    """A checkpoint whose checksum is right, and whose content is not."""
    new_state, number, new_name, change = case
    text = json.dumps(new_state)
    *older, path = checkpoints_in(box.unfinished)
    with safe_open(path, 'numpy') as file:
        arrays = {key: file.get_tensor(key) for key in file.keys()}
    name = sorted(arrays)[number % len(arrays)]
    array = arrays.pop(name)
    if new_name is not None:  # else it is not there
        arrays[name + new_name] = CHANGES[change](array)
    for each in (*older, path):
        each.unlink()
    save_file(arrays, path, {'state': text, 'sha256': checkpoint_file.digest(text, arrays)})
    return GOES_ON + box.where


def assignment(box: Sandbox, texts: list[str]) -> list[str]:
    return ['run', SOLO, '--dry-run', *(word for text in texts for word in ('--set', text))]


def command(box: Sandbox, case: tuple[str, list[str]]) -> list[str]:
    """Any words, in a command that trains nothing and is of these results."""
    first, words = case
    last = {'run': ['--dry-run'], 'launch': ['stop']}.get(first, [])
    return [first, *words, *last, *([] if first == 'launch' else box.where[:2])]


def of_bytes(folder: str, name: str):
    """What is made of a file's bytes."""
    return lambda box: mutated((getattr(box, folder) / name).read_bytes())


def any_of(*names: str):
    """The name of a file of the run on digits, and what is made of its bytes."""
    return lambda box: st.sampled_from(names).flatmap(
        lambda name: st.tuples(st.just(name), of_bytes('solo', name)(box)))


def config(box: Sandbox):
    return changed(run_folder.read_config(box.solo)).map(lambda tree: json.dumps(tree).encode())


def measures(_):
    evaluation = changed(EVALUATION).map(lambda tree: json.dumps(tree).encode())
    return st.one_of(st.tuples(st.just(run_folder.EVALUATION), evaluation),
                     st.tuples(st.just(pictures.CLASSES), mutated(CLASSES)))


def states(box: Sandbox):
    with safe_open(checkpoints_in(box.unfinished)[-1], 'numpy') as file:
        known = json.loads(file.metadata()['state'])
    return st.tuples(changed(known), st.integers(0, 50), st.sampled_from(['', '', '', 'x', None]),
                     st.sampled_from(['nothing'] * 3 + [*CHANGES]))


def one_image(box: Sandbox):
    return st.sampled_from(box.images[:2]).flatmap(mutated)


IMAGES, LABELS, ZIP = 'train-images-idx3-ubyte', 't10k-labels-idx1-ubyte', 'anime_faces.zip'
KINDS = {  # examples in the fast and the slow tier, box -> strategy, what to do with an example
    'idx': (40, 900, of_bytes('data', IMAGES), of_file(IMAGES, 'data', 'solo')),
    'gzip': (30, 700, lambda box: mutated(gzip.compress((box.data / LABELS).read_bytes())),
             gzipped),
    'zip': (50, 1000, of_bytes('data', ZIP), of_file(ZIP, 'data', 'faces')),
    'member of a zip': (40, 800, one_image, member),
    'image': (40, 800, one_image, image),
    'params': (60, 1200, of_bytes('solo', run_folder.PARAMETERS),
               of_file(run_folder.PARAMETERS, 'solo', 'solo')),
    'config': (30, 1000, config, of_file(run_folder.CONFIG, 'solo', 'solo')),
    'tables': (20, 400, any_of(run_folder.CONFIG, STATISTICS), listed),
    'verify': (30, 600, any_of(run_folder.CONFIG, STATISTICS, run_folder.SUMS, 'README.md',
                               pictures.STRIP, '3.png', 'vae.params'), verified),
    'measures': (40, 800, measures, verified),
    'checkpoint': (30, 700, lambda box: mutated(checkpoints_in(box.unfinished)[-1].read_bytes()),
                   checkpoint),
    'state': (40, 800, states, state),
    'set': (60, 1000, lambda _: st.lists(ASSIGNMENTS, min_size=1, max_size=3), assignment),
    'command': (60, 1000, lambda _: st.tuples(st.sampled_from(COMMANDS), st.lists(
        st.one_of(st.sampled_from(OPTIONS), WORDS), max_size=6)), command)}


@pytest.mark.parametrize('tier', ['fast', pytest.param('slow', marks=pytest.mark.slow)])
@pytest.mark.parametrize('kind', KINDS)
def test_hostile_input_is_one_line(kind, tier, sandbox):
    global watching
    fast, slow, strategy, prepare = KINDS[kind]
    n_examples, seen = fast if tier == 'fast' else slow, []

    @settings(max_examples=n_examples, deadline=None, database=None, derandomize=True,
              suppress_health_check=list(HealthCheck))
    @given(strategy(sandbox))
    def check(example):
        global watching
        argv = prepare(sandbox, example)
        seen.append(argv)
        signal.alarm(MOST_SECONDS)
        watching = True
        try:
            status, out, err = call(argv)
        finally:
            watching = False
            signal.alarm(0)
            sandbox.restore()
        lines = [line for line in err.splitlines() if line.startswith('error: ')]
        assert status in (0, 2) and 'Traceback' not in err
        assert len(lines) == (status == 2) and (status == 0 or err.endswith(f'{lines[0]}\n'))

    old, before = signal.signal(signal.SIGALRM, hang), resource.getrusage(resource.RUSAGE_SELF)
    written.clear()
    try:
        check()
    finally:
        signal.signal(signal.SIGALRM, old)
    assert len(seen) >= n_examples
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before.ru_maxrss
    assert 1024 * taken < MOST_BYTES
    allowed = sandbox.root, Path(os.environ['XDG_CACHE_HOME'])
    outside = [path for path in written if path != os.devnull and not any(
        Path(os.path.abspath(path)).is_relative_to(root) for root in allowed)]
    assert not outside
