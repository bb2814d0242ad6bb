"""`damage`: whether the Frechet distance of faces can be trusted."""
from data import DataError
from training.commands.wiring import load_classifier, load_data, resolve_devices, tables_root
from training.evaluation import measures
from training.experiments.registry import EXPERIMENTS
from training.reporting import tables
from training.reporting.published import RESULTS
from training.reporting.statistics import write_csv
from training.storage import files
from training.studies import damage
from training.studies.anime import TRANSPOSED

N_DRAWN = 2  # faces in the figure


def damage_command(args) -> None:
    """`damage`: damage held-out faces in four ways, and measure how far that takes them."""
    root = tables_root(args.results_root)
    files.check_writable(root)
    ctx = resolve_devices(args.ctx)[0]
    row = EXPERIMENTS[TRANSPOSED]
    dataset = load_data(row, args.places, args.skip_bad)
    if dataset.images and root == RESULTS:
        raise DataError(f'{dataset.place}: other images than those of the shown results, which '
                        'stay; --results-root names another folder')
    if len(dataset.test) <= measures.N_FEATURES:
        raise DataError(f'{dataset.place}: {len(dataset.test)} held-out images, expected more '
                        f'than {measures.N_FEATURES}, for a Frechet distance of as many features')
    classifier = load_classifier(row, dataset, ctx, args.places, args.skip_bad)
    pixels = dataset.test.pixels
    lines = damage.distances(pixels, lambda pictures: classifier(pictures)[0])
    root.mkdir(parents=True, exist_ok=True)
    write_csv(root / 'damage.csv', damage.COLUMNS, lines)
    from training.reporting import study_charts  # slow to import
    pictures = {name: [one.apply(pixels[:N_DRAWN], strength) for strength in one.strengths]
                for name, one in damage.DAMAGES.items()}
    study_charts.draw_damage(root / 'damage.png', lines, pictures,
                             {name: one.unit for name, one in damage.DAMAGES.items()})
    print(tables.markdown_table([['damage', 'strength', 'Frechet'], *(
        [line['damage'], tables.number(line['strength'], 1), tables.number(line['frechet'], 2)]
        for line in lines)]))
