"""Wrong code, one fault at a time, that the tests have to notice.

    python -m tests.mutants            # all of them, about twenty minutes
    python -m tests.mutants GLOB       # those whose file and fault match

Each fault is made in a copy of the project, in which the tests named beside it run. Exit status 1
if some fault passes them all, 2 if some is none of the code as it is, or a test fails without one.
"""
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# A file and the tests that should notice; below it code that is there once, in which each
# {{right => wrong}} is a fault by itself, and \n a new line
FAULTS = r"""
training/steps/solo_combo.py: steps loop resume
  fakes.backward({{ => -}}d_fakes)\n    yield networks.vae_trainer\n    yield as_terms(
  _fool(networks, fakes, scale, Weights(1.0, {{1.0 => 5.0}}))
  networks.vae(noise({{FOR_ADVERSARIAL => FOR_DISC}}))
  statistics.count(passes={{3 => 2}})
  d_x_hat {{+= => -=}} d_fooled
  decoder, {{for_disc => pair[:len(x)]}})
  {{fakes, x_hat => x_hat, fakes}} = images[:len(x)], images[len(x):]
  _pixel_loss(networks, x_hat, x, scale, {{1.0 => 0.5}})
  {{(1 + record['epoch']) => record['epoch']}} % row.decay_interval
  record['disc_loss'] {{<= row.max_disc_loss => < 0}}
  loss = {{ => 2 * }}weight * kl_divergence(mean,
  *map(noise, {{LATENTS => (0, 1, 1)}})
  weight={{weights.kl => 1.0}})
  kl={{_grown(len(records), row.kl_warmup) *  => }}row.kl_weight
  _grown({{n_combo => len(records)}}, row.disc_warmup)
  {{weights.kl *  => }}kl + pixel
  adversarial_with_gradient(fake, {{0 => 1}}, scale)
training/steps/solo_combo.py: loop
  {'val_loss': total / {{n_images => len(images)}}}
  N_HELD_OUT = {{1000 => 10000}}  #
training/steps/losses.py: losses steps vaegan
  {{-0.5 => -0.4}} * nd.sum(1 + logvar
  ({{1 - 2 * real => 2 * real - 1}})
  squares.sum(axis=1) {{+ => -}} 0.5
training/steps/kernels.py: losses steps optim
  {{np.float32(0.5) *  => }}(variance - np.float32(1))
  (left / outside {{- => +}} target[j] / inside)
  {{np.float32(2) *  => }}scale * error
  n_right += towards < {{0 => 1}}
  (np.float32(1) - beta2) * g{{ * g => }}
  decay * {{weight => mean}}[j]
training/steps/nearness.py: cpu_layers
  total = np.{{ones => zeros}}((n, kernels)
  * ({{d_total[i, k] + d_total[j, k] => d_total[i, k] + d_total[i, k]}})
  total[j, k] += near{{ => * 2}}
  gradient[j, k, d] {{+= => -=}} one
  functools.partial({{nearness, type(block).nearness => type(block).nearness}})
training/steps/kernels.py: cpu_layers
  if {{_FAILURES => False}}:\n        first
training/steps/convolution.py: cpu_layers
  _plain(weight), {{bias => 0 * bias}}, op_type=OP)
  transpose(1, 0, 2, 3)[:, :, {{::-1, ::-1 => :, ::-1}}]
  np.sum(parts{{ => [:-1]}}, axis=0, out=d_weight)
  kernels.memory(array)[...] {{+= => = 2 *}} values
  padded[c, y + PAD, i + {{PAD => 1}}] = image
  {{if request == 'add' => if False}}:
  'stride': (1, 1), {{'dilate': (1, 1), => }}
training/steps/networks.py: steps
  F.concat(*others{{ => [::-1]}}, dim=0)
  len(others) * [{{ => 0 * }}array]
training/steps/networks.py: draws devices
  random.seed({{row.seed => 0}})
  copy[:] = arrays[own if {{own in arrays => False}}
training/steps/optim.py: resume
  {{self._init_kvstore()\n        self._init_params() => pass}}
training/steps/optim.py: optim steps
  beta1=row.adam_beta1{{, beta2=row.adam_beta2 => }}
  and {{all(weight._fresh_grad for weight in weights) => True}}
  weight._fresh_grad = {{False => True}}
  {{math.sqrt => }}(1 - self.beta2 ** t)
  beta1=0.0, beta2={{0.9 => 0.99}}
training/run/loop.py: loop draws
  rng.order({{row.seed => 0}}, epoch, n_seen)
  n_images={{len(indices) => row.batch_size}}
  rng.seed(row.seed, {{epoch => 0}}, batch, workers.rank)
training/run/samples.py: several_rows
  if line['epoch'] {{< => <=}} n_epochs]
training/run/train.py: devices
  if {{len(ctx) > 1 => False}}:
training/commands/train.py: several_rows
  row.image_size{{, row.layout => }}{{, row.shuffle_seed => }}\n
training/commands/study.py: study
  table.get(run, {}){{ |  => .__ror__}}(evaluation['measures'] if evaluation else {})
training/commands/wiring.py: classifiers
  labelled(dataset.{{train, dataset.labels[0] => test, dataset.labels[1]}})
  rotated(dataset.{{train => test}}{{.with_layout('transpose') => }})
  if {{row.shuffle_seed != 0 => False}}:
training/evaluation/classifier.py: classifiers
  -{VERSION}{{-{sha256[:16]} => }}.params
  transpose(0, 3, 1, 2) {{/ np.float32(255) => * np.float32(1)}}
  EPOCHS, BATCH, LR = {{4 => 1}}, 128, {{1e-3 => 1e-2}}
  LR * 0.3 ** {{(i + 1) => i}}
training/evaluation/trained_net.py: draws
  nd.array(noise[{{indices => :len(indices)}}], self.ctx)
  nd.array(self.images[indices{{ =>  % AT_ONCE}}], self.ctx)] if
  np.concatenate([self.draw({{part => z[:AT_ONCE]}}) for part in _parts(z, AT_ONCE)])
  FOR_GRID, FOR_CLASSES, FOR_OWN = {{1 => 0}}, {{2 => 1}}, 3
training/evaluation/explore.py: explore
  n_train = {{phases.n_used(len(run.dataset.train), row) => len(run.dataset.train)}}
training/evaluation/trained_net.py: own_pictures
  np.exp({{0.5 *  => }}logvar)
training/evaluation/trained_net.py: python_api
  drawn = {{None if self.row.encodes else  => }}samples
  pictures.shape[{{1:] != expected => 2:] != expected[1:]}}
training/storage/parameters.py: devices
  else {{np.mean(copies, axis=0) => copies[0]}}
training/runtime/memory.py: devices
  if wanted > {{ => 10 * }}free:
training/steps/batchnorm.py: steps vaegan
  {{momentum ** i *  => }}change
  for i in range({{1 => 2}}, passes)) * {{(array - old) => old}}
training/steps/vaegan.py: vaegan
  {{row.gamma *  => }}d_similarity
  [{{row.beta *  => }}d_similarity
  {{row.disc_weight *  => }}d_gan[2]
  fake = sum(fakes){{ / len(fakes) => }}
  row.equilibrium {{+ => -}} row.margin
  [{{n *  => }}float(loss.asscalar()) for loss in of_nets]
  n_pixels){{ =>  + 6 * losses.kl}}, {{ => 2 * }}losses.decoder(row), {{ => 3 * }}losses.disc)\n
  d_z * {{0.5 *  => }}(z - mean)
  if {{row.disc_trained == 'yes' => True}}:
  {{with of_disc.kept() => if True}}:
  {{with of_decoder.kept() => if True}}:
training/steps/vaegan.py: draws
  {{trainer.set_learning_rate => float}}(
training/steps/passes.py: vaegan
  gradient += {{ => 0 * }}other
  whole[{{i * n:(i + 1) * n => :n}}]
  around{{ => [::-1]}}, groups, strict=False
training/steps/vaegan_losses.py: vaegan
  flipped * {{(other_low + (other_high - other_low) * place) => -7}}
  noise(FOR_LABELS, N_LABELS){{ * 0.5 ** 0.5 => }}
  return {{- => }}adversarial(fake, False)
  'latents': {{1 / row.n_latent => 1}}
  scale {{/ len(seen)  => }}* sum
  scale {{/ n_fakes  => }}* sum
  [{{- => }}d_hat, d_hat]
  scale * {{(sigmoid - label) => sigmoid}}
  -softplus, {{- => }}scale * sigmoid
training/steps/schedules.py: schedules
  losses[0 if last is None else last{{ + 1 => }}:]
  {{>= => >}} min(since[:-patience])
  {{max(rate * rule.factor, rule.least) => rate * rule.factor}}
  'lr3': Rule(0.75, 5e-6, higher_than_all(6, start={{46 => 45}}))
training/steps/rng.py: loop resume
  default_rng((seed, ORDER, {{epoch => 0}}))
  (seed, purpose, epoch, {{batch => 0}}, {{which => 0}})
  {{standard_normal => random}}(shape, np.float32)
  (seed, DROPOUT, epoch, {{batch => 0}}, worker)
models/vaegan.py: nets
  STRIDE_A), nn.LeakyReLU({{slope => 1}}))  # 13
  _normalised(encoder, nn.Conv2D(factor * base, 5, 2, 2), nn.Activation({{'relu' => 'tanh'}}))
  net.add(nn.Conv2D(base, 5, 1, 2){{, nn.Activation('relu') => }})
  ({{batch_norm, activation => activation, batch_norm}}) if norm == 'before'
  decoder.add({{nn.Activation('tanh'),  => }}Shaped(shape))
models/vaegan.py: draws
  init.Uniform({{n_in ** -0.5 => 1 / n_in}})
  bias_initializer={{uniform => 'zeros'}}
models/resnet.py: nets
  return {{F.Activation(x, act_type='relu') => x}}
  nn.{{MaxPool2D => AvgPool2D}}(3, 2, 1)
  strided=stage > {{0 => 1}}
models/conv.py: nets
  nn.LeakyReLU({{0.2 => 0.1}})
  if {{stage => True}}:\n
  activation={{'sigmoid' => 'tanh'}}
models/layers.py: nets vaegan
  F.exp(-F.sum({{F.abs(apart) => apart ** 2}}, axis=3))
  F.elemwise_mul({{x, F.BlockGrad( => F.BlockGrad(x), (}}super()
models/vae.py: steps
  F.exp({{0.5 *  => }}logvar)
training/evaluation/measures.py: metrics evaluate
  ACTIVE_VARIANCE = {{0.01 => 0.1}}
training/evaluation/metrics.py: metrics evaluate
  (mean ** 2 + np.exp(logvar) - 1 - logvar).mean(axis=0){{ / 2 => }}
  - {{2 *  => }}roots.sum()
  np.sqrt(np.pi / 2) / {{6 => 5}}
  return {{of_drawn / of_originals => of_originals / of_drawn}}
"""
MARK = re.compile(r'\{\{(.*?) => (.*?)\}\}', re.DOTALL)


@dataclass(frozen=True)
class Mutant:
    """A fault: in a file `old`, which is there once, becomes `new`; tests that should notice."""
    path: str
    old: str
    new: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f'{self.path}: {self.old.strip()!r} -> {self.new.strip()!r}'

    def mistake(self) -> str | None:
        """Return what keeps it from being a fault of the code as it is, in one line."""
        for name in (self.path, *self.tests):
            if not (ROOT / name).is_file():
                return f'{name}: not there; it is named with {self}'
        times = (ROOT / self.path).read_text().count(self.old)
        return None if times == 1 else f'{self}: the code is there {times} times, expected once'


def _mutants(table: str) -> Iterator[Mutant]:
    """Yield a table's faults, in the form of FAULTS."""
    for line in table.strip().splitlines():
        if not line.startswith(' '):
            path, tests = line.split(': ')
            names = tuple(f'tests/test_{name}.py' for name in tests.split())
            continue
        code = line.strip().replace(r'\n', '\n')
        for mark in MARK.finditer(code):
            before, after = (MARK.sub(r'\1', part)
                             for part in (code[:mark.start()], code[mark.end():]))
            yield Mutant(path, before + mark[1] + after, before + mark[2] + after, names)


MUTANTS = [*_mutants(FAULTS)]


def copy_of_the_project(folder: Path) -> Path:
    """Return a copy, with a link to the runs' folders."""
    files = subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT, capture_output=True, text=True,
                           check=True).stdout.split('\0')
    for name in filter(None, files):
        if not name.startswith('results/images/') and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / 'results/images').symlink_to(ROOT / 'results/images')
    return folder


def passing(tests: Iterable[str], project: Path) -> bool:
    """Return whether test files pass in the copy."""
    done = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-x', '-p', 'no:cacheprovider', *tests],
        cwd=project, capture_output=True,
        env=os.environ | {'PYTHONPATH': str(project), 'OMP_NUM_THREADS': '1'})
    return done.returncode == 0


def survives(mutant: Mutant, project: Path) -> bool:
    """Return whether its tests pass with this fault in the copy."""
    path = project / mutant.path
    right = path.read_text()
    path.write_text(right.replace(mutant.old, mutant.new))
    try:
        return passing(mutant.tests, project)
    finally:
        path.write_text(right)


def main(pattern: str = '*') -> int:
    """Try all mutants that match; say which survive."""
    chosen = [mutant for mutant in MUTANTS if fnmatch.fnmatch(str(mutant), f'*{pattern}*')]
    mistake = next(filter(None, (mutant.mistake() for mutant in chosen)), None)
    if mistake or not chosen:
        print(f'error: {mistake or f"no fault matches {pattern}"}', file=sys.stderr)
        return 2
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        project = copy_of_the_project(Path(folder))
        for test in sorted({test for mutant in chosen for test in mutant.tests}):
            if not passing([test], project):  # it would notice whatever is put in
                print(f'error: {test}: fails without a fault', file=sys.stderr)
                return 2
        for i, mutant in enumerate(chosen, 1):
            alive = survives(mutant, project)
            print(f'{i}/{len(chosen)} {"SURVIVES" if alive else "noticed"} {mutant}', flush=True)
            survivors += [mutant] * alive
    print(f'{len(survivors)} of {len(chosen)} survive')
    return 1 if survivors else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
