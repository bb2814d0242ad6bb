"""What several devices hold of a run, and what a device has room for."""
from dataclasses import replace

import pytest
from mxnet import cpu, nd
from mxnet.gluon import nn

import models
from tests.test_resume import ROW, networks, train
from training.experiments.registry import EXPERIMENTS
from training.runtime import device, memory
from training.steps.networks import make_networks
from training.storage import parameters

TWO = [cpu(0), cpu(1)]


def test_every_device_is_restored():
    """Where each normalises by itself; Adam's means go on in test_resume.py."""
    row, nets = replace(ROW, solo_epochs=0, combo_epochs=1), []
    for _ in range(2):
        disc = nn.HybridSequential()
        disc.add(nn.Dense(8), nn.BatchNorm(), nn.Dense(1))
        nets.append(networks(row, TWO, disc))
    trained, again = nets
    train(trained, row, TWO)
    again.restore({name: array.asnumpy() for name, array in trained.arrays().items()},
                  trained.update_counts())
    for net in ('vae', 'disc'):
        for ours, theirs in zip(getattr(again, net).collect_params().values(),
                                getattr(trained, net).collect_params().values(), strict=True):
            for mine, other in zip(ours.list_data(), theirs.list_data(), strict=True):
                assert (mine.asnumpy() == other.asnumpy()).all(), ours.name


def test_file_holds_the_mean_of_the_devices_running_statistics(tmp_path):
    net = nn.HybridSequential()
    net.add(nn.Dense(3, in_units=2), nn.BatchNorm(in_channels=3))
    net.initialize(ctx=TWO)
    for i, ctx in enumerate(TWO):
        for name in ('running_mean', 'running_var'):
            getattr(net[1], name).data(ctx)[:] = nd.array([1, 2, 3 + 4 * i], ctx)
    parameters.save(net, tmp_path / 'net.params')
    kept = parameters.read(tmp_path / 'net.params')
    assert kept['1.running_mean'].tolist() == kept['1.running_var'].tolist() == [1, 2, 5]
    assert (kept['0.weight'] == net[0].weight.data(TWO[1]).asnumpy()).all()
    parameters.load(net, tmp_path / 'net.params', TWO)
    assert all((net[1].running_var.data(ctx).asnumpy() == [1, 2, 5]).all() for ctx in TWO)


def test_strip_of_several_devices_is_the_files(cli, data_root, tmp_path):
    where = ['--data-root', str(data_root), '--results-root', str(tmp_path)]
    status, _, err = cli([
        'run', 'ConvVAE_on_anime/128_16_100_repaired', '--epochs', '1', '--set', 'lr=0.01',
        '--set', 'vae_base_channels=2', '--set', 'n_latent=4', '--set', 'batch_size=8',
        '--limit', '64', '--ctx', 'cpu:0,cpu:1', *where])
    assert status == 0, err
    status, out, err = cli(['verify', *where, '--ctx', 'cpu'])
    assert status == 0 and 'strip drawn again: largest difference 0/255' in out, out + err


@pytest.mark.parametrize('name', ['DenseVAE_on_MNIST/5_3_400_bce_50',
                                  'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50'])
def test_nets_are_refused_just_where_they_no_longer_fit(name, monkeypatch):
    """At least the parameters of each device's copy, their gradients and Adam's two means."""
    row, asked, foreseen = EXPERIMENTS[name], [], memory.foreseen
    monkeypatch.setattr(memory, 'foreseen', lambda *of: asked.append(foreseen(*of)) or asked[-1])

    def make(n_devices):
        disc = models.build_discriminator(row) if row.combo_epochs else None
        return make_networks(row, models.build_vae(row, (1, 28, 28)), disc, (1, 28, 28),
                             [cpu(i) for i in range(n_devices)])
    n_values = sum(array.size for net, array in make(1).arrays().items() if '.' not in net[:9])
    make(2)
    one, two = asked
    assert one > 16 * n_values
    assert two - memory.KERNELS_BYTES == pytest.approx(2 * (one - memory.KERNELS_BYTES))
    for n_devices, needed in ((1, one), (2, two)):
        monkeypatch.setattr(device, 'free_bytes', lambda _, needed=needed: round(1.01 * needed))
        make(n_devices)
        monkeypatch.setattr(device, 'free_bytes', lambda _, needed=needed: round(0.99 * needed))
        with pytest.raises(memory.MemoryNeedError, match='GB are free'):
            make(n_devices)
