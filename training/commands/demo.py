"""`demo`: the main job in short."""
import sys

from data import MissingDataError, fetch
from training.commands.runs import load_run
from training.commands.wiring import load_data, on_data, resolve_devices, train_row
from training.experiments import naming, registry
from training.reporting import pictures, tables
from training.storage import run_folder

ROWS = ('DenseVAE_on_MNIST/5_3_400_bce_50',
        'DenseVAE_DenseLogReg_on_MNIST/5_3_400_1_200_50')
EPOCHS, IMAGES, HELD_OUT = 8, 12_800, 1000


def demo_command(args) -> None:
    """`demo`: do the main job in short, and show what came out side by side."""
    ctx = resolve_devices(args.ctx)
    from training.evaluation.evaluate import evaluate
    from training.run.train import Options
    rows = [registry.changed(registry.get(name), [f'limit={IMAGES}'], str(EPOCHS))
            for name in ROWS]
    try:
        dataset = load_data(rows[0], args.places, args.skip_bad)
    except MissingDataError as error:
        if args.places or fetch.named(None):  # a place that is named is used or refused
            raise
        print(f'{error}\n-> training on drawn digits, NOT on MNIST', file=sys.stderr)
        rows = [registry.changed(row, ['data=sketch_digits']) for row in rows]
        dataset = load_data(rows[0], args.places, args.skip_bad)
    titles = ('solo: VAE alone', 'combo: VAE + discriminator')
    options = Options(args.results_root, args.command_line, True, args.fresh,
                      args.checkpoint_minutes)
    finished = {}
    for title, row in zip(titles, rows, strict=True):
        row = on_data(row, dataset)
        folder = args.results_root / naming.run_name(row)
        if not args.fresh and run_folder.is_replaced(folder, args.command_line):
            print(f'{folder}: finished before the demo was stopped', file=sys.stderr)
            finished[title] = load_run(folder, ctx[0], args.places, args.skip_bad)
            continue
        finished[title] = train_row(row, dataset, ctx, options, places=args.places,
                                    skip_bad=args.skip_bad)
        run_folder.mark_replaced(folder, args.command_line)
    run_folder.unmark([run.folder for run in finished.values()])
    print('\n' + tables.comparison({title: run.folder for title, run in finished.items()},
                                   {title: evaluate(run, n_images=HELD_OUT)['measures']
                                    for title, run in finished.items()}))
    print('Originals above reconstructions:')
    for run in finished.values():
        print(f'  {run.folder / pictures.STRIP}')
