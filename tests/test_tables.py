"""Our numbers beside published ones: which epochs stand side by side."""
from training.experiments import kinds, registry
from training.reporting.published import our_numbers, pairs
from training.reporting.statistics import STATISTICS, write_csv

CURVE = [{'epoch': str(epoch), 'phase': 'solo' if epoch < 4 else 'combo',
          'vae_loss': f'{7000 - epoch}',
          'disc_loss': None if epoch < 4 else '0.5'} for epoch in (0, 1, 5, 9)]

ROW = registry.EXPERIMENTS['DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50']


def statistics(phases: str) -> list[dict]:
    """Of epochs in phases such as 'sscc'."""
    return [dict.fromkeys(kinds.SOLO_COMBO.columns) | {
        'epoch': float(epoch), 'phase': {'s': 'solo', 'c': 'combo'}[phase],
        'vae_loss': 7100. - epoch, 'seconds': 2.} for epoch, phase in enumerate(phases)]


def test_epochs_stand_beside_published_ones_of_the_same_phase():
    both = pairs(statistics('sssscccc'), CURVE)
    assert [(ours['epoch'], line['epoch']) for ours, line in both] == [
        (0, '0'), (1, '1'), (5, '5')]
    assert [ours['epoch'] for ours, _ in pairs(statistics('ssssssssss'), CURVE)] == [0, 1]
    assert pairs(statistics('ss'), []) == []


def test_numbers_are_those_of_the_last_epoch_that_was_published(tmp_path):
    write_csv(tmp_path / STATISTICS, kinds.SOLO_COMBO.columns, [
        {k: v for k, v in line.items() if v is not None} | {'epoch': i}
        for i, line in enumerate(statistics('sssscccc'))])
    numbers = our_numbers(tmp_path, ROW, CURVE)
    assert (numbers['our_epoch'], numbers['our_vae_loss']) == (5, 7095)
    assert (numbers['published_vae_loss'], numbers['published_disc_loss']) == (6995, .5)
    assert numbers['our_seconds_per_epoch'] == 2
    alone = our_numbers(tmp_path, ROW, [])
    assert alone['our_epoch'] == 7 and 'published_vae_loss' not in alone
