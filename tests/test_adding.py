"""What training/README.md says of adding things, done in a copy of the project."""
import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.conftest import write_mnist
from tests.processes import ROOT, python
from training.reporting.statistics import read_statistics

README = (ROOT / 'training' / 'README.md').read_text().split('## Adding things')[1]
EXAMPLE = re.compile(r'<!-- example(?:: (\S+?)(?:, (below|above|in place of) (.*?))?)? -->\n'
                     r'```\w*\n(.*?)```', re.DOTALL)
COMBO = 'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'
MOST_PLACES = {'row': 1, 'field of the row': 4, 'discriminator': 3,
               'kind of combo step': 3, 'measure': 2}


def add(root: Path, file: str, how: str, anchor: str, code: str) -> None:
    path = root / 'training' / file
    if not how:
        assert not path.exists()
        path.write_text(code)
        return
    text, code = path.read_text(), code if how != 'in place of' else code.rstrip('\n')
    assert text.count(anchor) == 1, (file, anchor)
    path.write_text(text.replace(anchor, {
        'below': f'{anchor}\n{code.rstrip(chr(10))}', 'above': code + anchor,
        'in place of': code}[how]))


@pytest.mark.parametrize('title, most', MOST_PLACES.items())
def test_few_places_are_touched(title, most):
    section = README.split(f'**A {title}.**')[1].split('\n**')[0].split('\nThen, for')[0]
    assert 0 < len(EXAMPLE.findall(section)) <= most


@pytest.mark.slow
def test_all_are_added_as_the_readme_says(tmp_path):
    """Every test of the fast tier passes then, and what was added is used by all commands."""
    root = shutil.copytree(ROOT, tmp_path / 'project', ignore=shutil.ignore_patterns(
        '.git', '.venv', '__pycache__', 'demo', '*.unfinished'))
    *code, (_, _, _, commands) = EXAMPLE.findall(README)  # file, how, anchor, code
    for example in code:
        add(root, *example)
    write_mnist(tmp_path, n_train=700)

    def call(*words: str, **environment: str) -> str:
        done = python('-m', *words, cwd=root, **environment)
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
        return done.stdout

    call('pytest', '-q', '-p', 'no:cacheprovider', '--numprocesses', '2', '--dist', 'loadfile',
         OMP_NUM_THREADS='1')
    images, data = tmp_path / 'images', {'VAEGAN_DATA': str(tmp_path)}
    where = '--results-root', str(images)
    for line in commands.splitlines():
        out = call(*shlex.split(line)[2:], '--ctx', 'cpu', *where, **data)
    assert '| brightness |' in out  # the table of the last command
    runs = [f'{path.parent.name}/{path.name}' for path in images.glob('*_on_MNIST/*')]
    # The folders' names also say that these images are not MNIST's
    assert sorted(re.sub('_images-[0-9a-f]{8}', '', run) for run in runs) == sorted([
        'DenseVAE_on_MNIST/20_3_400_bce_1_n640',
        'DenseVAE_on_MNIST/5_3_400_bce_3_n640_kl_cycle-2_kl_warmup-2',
        'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_1_n640_disc-Pooled_disc_hlayers-None',
        'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_1_n640_alone'])
    assert any(
        'Brightness is the mean' in (images / run / 'README.md').read_text() for run in runs)
    listed = ' '.join(call('training', 'list', *where).split())
    assert '1 epoch, 640 images, on other images: at epoch 0: VAE loss' in listed
    assert call('training', 'verify', *where, **data).count(': ok') == 4
    cycled, = images.glob('DenseVAE_on_MNIST/*kl_cycle-2_kl_warmup-2*')
    assert [line['weight_kl'] for line in read_statistics(cycled)] == [0.5, 1.0, 0.5]
    call('training', 'report', *where)
    timed = call('training', 'time', '--match', COMBO, '--step', 'alone', '--steps', '1', *where)
    assert '| alone |' in timed
