"""Wrong code, one fault at a time, that the tests have to notice.

    python -m tests.mutants            # all of them, about twenty minutes
    python -m tests.mutants GLOB       # those whose file and fault match

Each fault is made in a copy of the project, in which the tests named beside it run. Exit status 1
if some fault passes them all.
"""
import fnmatch
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEPS, CONV, VAEGAN, NETS, SCHEDULES, METRICS, EVALUATE, KERNELS, OPTIM, LOSSES, LOOP, RESUME = (
    f'tests/test_{name}.py' for name in (
        'steps', 'conv_step', 'vaegan', 'nets', 'schedules', 'metrics', 'evaluate', 'kernels',
        'optim', 'losses', 'loop', 'resume'))
DRAWS, CLASSIFIERS, DEVICES, ROWS, OWN, EXPLORE, STUDY, PYTHON = (
    f'tests/test_{name}.py' for name in (
        'draws', 'classifiers', 'devices', 'several_rows', 'own_pictures', 'explore', 'study',
        'python_api'))


@dataclass(frozen=True)
class Mutant:
    """A fault: in a file `old`, which is there once, becomes `new`; tests that should notice."""
    path: str
    old: str
    new: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f'{self.path}: {self.old.strip()!r} -> {self.new.strip()!r}'


def _in(path: str, tests: tuple[str, ...], *faults: tuple[str, str]) -> list[Mutant]:
    return [Mutant(path, old, new, tests) for old, new in faults]


MUTANTS = [
    *_in('training/steps/solo_combo.py', (STEPS, LOOP, RESUME),
         ('fakes.backward(d_fakes)\n    yield networks.vae_trainer\n    yield as_terms(',
          'fakes.backward(-d_fakes)\n    yield networks.vae_trainer\n    yield as_terms('),
         ('_fool(networks, fakes, scale, Weights(1.0, 1.0))',
          '_fool(networks, fakes, scale, Weights(1.0, 5.0))'),
         ('networks.vae(noise(FOR_ADVERSARIAL))', 'networks.vae(noise(FOR_DISC))'),
         ('statistics.count(passes=3)', 'statistics.count(passes=2)'),
         ('d_x_hat += d_fooled', 'd_x_hat -= d_fooled'),
         ('decoder, for_disc)', 'decoder, pair[:len(x)])'),
         ('fakes, x_hat = images[:len(x)], images[len(x):]',
          'x_hat, fakes = images[:len(x)], images[len(x):]'),
         ('_pixel_loss(networks, x_hat, x, scale, 1.0)',
          '_pixel_loss(networks, x_hat, x, scale, 0.5)'),
         ('(1 + record[\'epoch\']) % row.decay_interval',
          "record['epoch'] % row.decay_interval"),
         ("record['disc_loss'] <= row.max_disc_loss", "record['disc_loss'] < 0"),
         ('loss = (weight * kl_divergence(mean,', 'loss = (2 * weight * kl_divergence(mean,'),
         ('*map(noise, LATENTS)', '*map(noise, (0, 1, 1))'),
         ('weight=weights.kl)', 'weight=1.0)'),
         ('kl=_grown(len(records), row.kl_warmup) * ', 'kl='),
         ('_grown(n_combo, row.disc_warmup)', '_grown(len(records), row.disc_warmup)'),
         ('weights.kl * kl + pixel', 'kl + pixel'),
         ('adversarial_with_gradient(fake, 0, scale)',
          'adversarial_with_gradient(fake, 1, scale)')),
    *_in('training/steps/losses.py', (LOSSES, KERNELS, STEPS, VAEGAN),
         ('-0.5 * nd.sum(1 + logvar', '-0.4 * nd.sum(1 + logvar'),
         ('(1 - 2 * real)', '(2 * real - 1)'),
         ('squares.sum(axis=1) + 0.5', 'squares.sum(axis=1) - 0.5')),
    *_in('training/steps/kernels.py', (KERNELS, STEPS, OPTIM),
         ('np.float32(0.5) * (variance - np.float32(1))', '(variance - np.float32(1))'),
         ('(left / outside - target[j] / inside)', '(left / outside + target[j] / inside)'),
         ('np.float32(2) * scale * error', 'scale * error'),
         ('n_right += towards < 0', 'n_right += towards < 1'),
         ('(np.float32(1) - beta2) * g * g', '(np.float32(1) - beta2) * g'),
         ('decay * weight[j]', 'decay * mean[j]')),
    *_in('training/steps/networks.py', (STEPS, CONV),
         ('F.concat(*others, dim=0)', 'F.concat(*others[::-1], dim=0)'),
         ('len(others) * [array]', 'len(others) * [0 * array]')),
    *_in('training/steps/networks.py', (DRAWS, DEVICES),
         ('random.seed(row.seed)', 'random.seed(0)'),
         ('copy[:] = arrays[own if own in arrays', 'copy[:] = arrays[own if False')),
    *_in('training/steps/optim.py', (RESUME,),
         ('        self._init_kvstore()\n        self._init_params()\n', '')),
    *_in('training/steps/solo_combo.py', (LOOP,),
         ("{'val_loss': total / n_images}", "{'val_loss': total / len(images)}"),
         ('N_HELD_OUT = 1000 ', 'N_HELD_OUT = 10000 ')),
    *_in('training/run/loop.py', (LOOP, DRAWS),
         ('rng.order(row.seed, epoch, n_seen)', 'rng.order(0, epoch, n_seen)'),
         ('n_images=len(indices)', 'n_images=row.batch_size'),
         ('rng.seed(row.seed, epoch, batch, workers.rank)',
          'rng.seed(row.seed, 0, batch, workers.rank)')),
    *_in('training/run/samples.py', (ROWS,),
         ("if line['epoch'] < n_epochs]", "if line['epoch'] <= n_epochs]")),
    *_in('training/run/train.py', (DEVICES,), ('if len(ctx) > 1:', 'if False:')),
    *_in('training/commands/train.py', (ROWS,),
         ('row.image_size, row.layout, row.shuffle_seed\n', 'row.image_size, row.layout\n'),
         ('row.image_size, row.layout, row.shuffle_seed\n',
          'row.image_size, row.shuffle_seed\n')),
    *_in('training/commands/study.py', (STUDY,),
         ("table.get(run, {}) | (evaluation['measures'] if evaluation else {})",
          "(evaluation['measures'] if evaluation else {}) | table.get(run, {})")),
    *_in('training/commands/wiring.py', (CLASSIFIERS,),
         ('labelled(dataset.train, dataset.labels[0])',
          'labelled(dataset.test, dataset.labels[1])'),
         ("rotated(dataset.train.with_layout('transpose'))",
          "rotated(dataset.test.with_layout('transpose'))"),
         ("rotated(dataset.train.with_layout('transpose'))", 'rotated(dataset.train)'),
         ('if row.shuffle_seed != 0:', 'if False:')),
    *_in('training/evaluation/classifier.py', (CLASSIFIERS,),
         ('-{VERSION}-{sha256[:16]}.params', '-{VERSION}.params'),
         ('transpose(0, 3, 1, 2) / np.float32(255)', 'transpose(0, 3, 1, 2) * np.float32(1)'),
         ('EPOCHS, BATCH, LR = 4, 128, 1e-3', 'EPOCHS, BATCH, LR = 4, 128, 1e-2'),
         ('EPOCHS, BATCH, LR = 4, 128, 1e-3', 'EPOCHS, BATCH, LR = 1, 128, 1e-3'),
         ('LR * 0.3 ** (i + 1)', 'LR * 0.3 ** i')),
    *_in('training/evaluation/trained_net.py', (DRAWS,),
         ('nd.array(noise[indices], self.ctx)', 'nd.array(noise[:len(indices)], self.ctx)'),
         ('[nd.array(self.images[indices], self.ctx)]',
          '[nd.array(self.images[indices % AT_ONCE], self.ctx)]'),
         ('np.concatenate([self.draw(part) for part in _parts(z, AT_ONCE)])',
          'np.concatenate([self.draw(z[:AT_ONCE]) for part in _parts(z, AT_ONCE)])[:n]'),
         ('FOR_CLASSES, FOR_OWN = 1, 2, 3', 'FOR_CLASSES, FOR_OWN = 1, 1, 3'),
         ('FOR_CLASSES, FOR_OWN = 1, 2, 3', 'FOR_CLASSES, FOR_OWN = 0, 2, 3')),
    *_in('training/evaluation/explore.py', (EXPLORE,),
         ('n_train = phases.n_used(len(run.dataset.train), row)',
          'n_train = len(run.dataset.train)')),
    *_in('training/evaluation/trained_net.py', (OWN,),
         ('np.exp(0.5 * logvar)', 'np.exp(logvar)')),
    *_in('training/evaluation/trained_net.py', (PYTHON,),
         ('drawn = None if self.row.encodes else samples', 'drawn = samples'),
         ('pictures.shape[1:] != expected', 'pictures.shape[2:] != expected[1:]')),
    *_in('training/storage/parameters.py', (DEVICES,),
         ('else np.mean(copies, axis=0)', 'else copies[0]')),
    *_in('training/runtime/memory.py', (DEVICES,),
         ('if wanted > free:', 'if wanted > 10 * free:')),
    *_in('training/steps/optim.py', (OPTIM, STEPS),
         ('beta1=row.adam_beta1, beta2=row.adam_beta2', 'beta1=row.adam_beta1'),
         ('and all(weight._fresh_grad for weight in weights)', 'and True'),
         ('weight._fresh_grad = False', 'weight._fresh_grad = True'),
         ('math.sqrt(1 - self.beta2 ** t)', '(1 - self.beta2 ** t)'),
         ('beta1=0.0, beta2=0.9', 'beta1=0.0, beta2=0.99')),
    *_in('training/steps/batchnorm.py', (STEPS, VAEGAN),
         ('for i in range(1, passes)', 'for i in range(2, passes)'),
         ('momentum ** i * change', 'change'),
         ('for i in range(1, passes)) * (array - old)', 'for i in range(1, passes)) * old')),
    *_in('training/steps/vaegan.py', (VAEGAN,),
         ('row.gamma * d_similarity', 'd_similarity'),
         ('[row.beta * d_similarity', '[d_similarity'),
         ('row.disc_weight * d_gan[2]', 'd_gan[2]'),
         ('fake = sum(fakes) / len(fakes)', 'fake = sum(fakes)'),
         ('row.equilibrium + row.margin', 'row.equilibrium - row.margin'),
         ('[n * float(loss.asscalar()) for loss in of_nets]',
         '[float(loss.asscalar()) for loss in of_nets]'),
         ('(losses.encoder(row, n_pixels), losses.decoder(row), losses.disc)',
          '(losses.encoder(row, n_pixels), 2 * losses.decoder(row), losses.disc)'),
         ('losses.decoder(row), losses.disc)', 'losses.decoder(row), 3 * losses.disc)'),
         ('(losses.encoder(row, n_pixels),', '(losses.encoder(row, n_pixels) + 6 * losses.kl,'),
         ('d_z * 0.5 * (z - mean)', 'd_z * (z - mean)'),
         ("if row.disc_trained == 'yes':", 'if True:'),
         ('with of_disc.kept():', 'if True:'), ('with of_decoder.kept():', 'if True:')),
    *_in('training/steps/passes.py', (VAEGAN,),
         ('gradient += other', 'gradient += 0 * other'),
         ('whole[i * n:(i + 1) * n]', 'whole[:n]'),
         ("around, groups, strict=False", "around[::-1], groups, strict=False")),
    *_in('training/steps/vaegan_losses.py', (VAEGAN,),
         ('flipped * (other_low + (other_high - other_low) * place)', 'flipped * -7'),
         ('noise(FOR_LABELS, N_LABELS) * 0.5 ** 0.5', 'noise(FOR_LABELS, N_LABELS)'),
         ('return -adversarial(fake, False)', 'return adversarial(fake, False)'),
         ("'latents': 1 / row.n_latent", "'latents': 1"),
         ('scale / len(seen) * sum', 'scale * sum'),
         ('scale / n_fakes * sum', 'scale * sum'), ('[-d_hat, d_hat]', '[d_hat, d_hat]'),
         ('scale * (sigmoid - label)', 'scale * sigmoid'),
         ('-softplus, -scale * sigmoid', '-softplus, scale * sigmoid')),
    *_in('training/steps/schedules.py', (SCHEDULES,),
         ('losses[0 if last is None else last + 1:]', 'losses[0 if last is None else last:]'),
         ('>= min(since[:-patience])', '> min(since[:-patience])'),
         ('max(rate * rule.factor, rule.least)', 'rate * rule.factor'),
         ("'lr3': Rule(0.75, 5e-6, higher_than_all(6, start=46))",
          "'lr3': Rule(0.75, 5e-6, higher_than_all(6, start=45))")),
    *_in('training/steps/rng.py', (LOOP, RESUME),
         ('default_rng((seed, ORDER, epoch))', 'default_rng((seed, ORDER, 0))'),
         ('(seed, purpose, epoch, batch, which)', '(seed, purpose, epoch, batch, 0)'),
         ('(seed, purpose, epoch, batch, which)', '(seed, purpose, epoch, 0, which)'),
         ('standard_normal(shape, np.float32)', 'random(shape, np.float32)'),
         ('(seed, DROPOUT, epoch, batch, worker)', '(seed, DROPOUT, epoch, 0, worker)')),
    *_in('models/vaegan.py', (NETS,),
         ('STRIDE_A), nn.LeakyReLU(slope))  # 13', 'STRIDE_A), nn.LeakyReLU(1))  # 13'),
         ("_normalised(encoder, nn.Conv2D(factor * base, 5, 2, 2), nn.Activation('relu'))",
          "_normalised(encoder, nn.Conv2D(factor * base, 5, 2, 2), nn.Activation('tanh'))"),
         ("net.add(nn.Conv2D(base, 5, 1, 2), nn.Activation('relu'))",
          'net.add(nn.Conv2D(base, 5, 1, 2))'),
         ("(nn.BatchNorm(), activation) if norm == 'before'",
          "(activation, nn.BatchNorm()) if norm == 'before'"),
         ("decoder.add(nn.Activation('tanh'), Shaped(shape))", 'decoder.add(Shaped(shape))')),
    *_in('training/steps/vaegan.py', (DRAWS,),
         ('trainer.set_learning_rate(', 'float(')),
    *_in('models/vaegan.py', (DRAWS,),
         ('init.Uniform(n_in ** -0.5)', 'init.Uniform(1 / n_in)'),
         ('bias_initializer=uniform', "bias_initializer='zeros'")),
    *_in('models/resnet.py', (NETS,),
         ("return F.Activation(x, act_type='relu')", 'return x'),
         ('nn.MaxPool2D(3, 2, 1)', 'nn.AvgPool2D(3, 2, 1)'),
         ('strided=stage > 0', 'strided=stage > 1')),
    *_in('models/conv.py', (NETS,),
         ('nn.LeakyReLU(0.2)', 'nn.LeakyReLU(0.1)'), ('        if stage:\n', '        if True:\n'),
         ("activation='sigmoid'", "activation='tanh'")),
    *_in('models/layers.py', (NETS, VAEGAN),
         ('F.exp(-F.sum(F.abs(apart), axis=3))', 'F.exp(-F.sum(apart ** 2, axis=3))'),
         ('x * F.BlockGrad(super().hybrid_forward(F, F.ones_like(x)))',
          'super().hybrid_forward(F, x)')),
    *_in('models/vae.py', (STEPS,), ('F.exp(0.5 * logvar)', 'F.exp(logvar)')),
    *_in('training/evaluation/measures.py', (METRICS, EVALUATE),
         ('ACTIVE_VARIANCE = 0.01', 'ACTIVE_VARIANCE = 0.1')),
    *_in('training/evaluation/metrics.py', (METRICS, EVALUATE),
         ('(mean ** 2 + np.exp(logvar) - 1 - logvar).mean(axis=0) / 2',
          '(mean ** 2 + np.exp(logvar) - 1 - logvar).mean(axis=0)'),
         ('- 2 * roots.sum()', '- roots.sum()'),
         ('np.sqrt(np.pi / 2) / 6', 'np.sqrt(np.pi / 2) / 5'),
         ('return of_drawn / of_originals', 'return of_originals / of_drawn')),
]


def copy_of_the_project(folder: Path) -> Path:
    """Return a copy without runs' folders, which none of those tests reads."""
    files = subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT, capture_output=True, text=True,
                           check=True).stdout.split('\0')
    for name in filter(None, files):
        if not name.startswith('results/images/') and (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def survives(mutant: Mutant, project: Path) -> bool:
    """Return whether the tests pass with this fault in the copy."""
    path = project / mutant.path
    right = path.read_text()
    path.write_text(right.replace(mutant.old, mutant.new))
    try:
        done = subprocess.run(
            [sys.executable, '-m', 'pytest', '-q', '-x', '-p', 'no:cacheprovider',
             *(name for name in mutant.tests if (project / name).exists())],
            cwd=project, capture_output=True,
            env=os.environ | {'PYTHONPATH': str(project), 'OMP_NUM_THREADS': '1'})
    finally:
        path.write_text(right)
    return done.returncode == 0


def main(pattern: str = '*') -> int:
    """Try all mutants that match; say which survive."""
    chosen = [mutant for mutant in MUTANTS if fnmatch.fnmatch(str(mutant), f'*{pattern}*')]
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        project = copy_of_the_project(Path(folder))
        for i, mutant in enumerate(chosen, 1):
            alive = survives(mutant, project)
            print(f'{i}/{len(chosen)} {"SURVIVES" if alive else "noticed"} {mutant}', flush=True)
            survivors += [mutant] * alive
    print(f'{len(survivors)} of {len(chosen)} survive')
    return 1 if survivors else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
