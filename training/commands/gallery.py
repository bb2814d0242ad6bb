"""`gallery`: the runs of a study, trained, measured and compared."""
from training.commands.wiring import (
    load_data,
    load_run,
    measures_of,
    resolve_devices,
    tables_root,
    train_row,
)
from training.experiments import naming
from training.reporting import pictures
from training.reporting.statistics import TableError, read_csv, read_statistics, write_csv
from training.storage import run_folder
from training.studies import anime, convvae_flaws, learned_similarity, sharpness

N_IN_LAYOUTS = 3  # faces in the figure


def gallery_command(args) -> None:
    """`gallery`: train the rows of a comparison, measure them, write a table and a figure."""
    chosen, table, measures, draw = GALLERIES[args.which]
    if args.markdown:
        path = tables_root(args) / table
        try:
            print(chosen.markdown(read_csv(path)))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise TableError(f'{path}: not of the runs that are compared now ({error!r}); '
                                    f'again with: python -m training gallery {args.which}'
                                    ) from None
        return
    ctx, lines, path = resolve_devices(args), [], tables_root(args) / table
    before = ({line.get('run'): line for line in read_csv(path)}
              if args.keep and path.exists() else {})
    for row in chosen.rows():
        name = naming.run_name(row)
        folder, run, measured = args.results_root / name, None, before.get(name, {})
        if (folder / run_folder.PARAMETERS).exists():
            run = load_run(folder, ctx[0], args)
        elif not (args.keep and folder.exists()):
            args.force = folder.exists()
            run = train_row(row, load_data(row, args), ctx, args)
        if run is not None:
            measured = measures(run)
        statistics = read_statistics(folder)
        lines.append({'run': name, 'solo_epochs': row.solo_epochs,
                      'combo_epochs': row.combo_epochs, 'seed': row.seed,
                      'nets': ' + '.join(filter(None, (row.vae, row.disc))), **statistics[-1],
                      'minutes': sum(line['seconds'] for line in statistics) / 60,
                      **measured})
    write_csv(path, chosen.COLUMNS, lines)
    draw(args, ctx[0])


def _draw_schedules(args, _) -> None:
    """The figure of system A's runs on faces, one for each rule of the learning rates."""
    from training.reporting import charts
    drawn = {}
    for title, row in learned_similarity.studies()[learned_similarity.SCHEDULES_TITLE].items():
        folder = args.results_root / naming.run_name(row)
        drawn[title] = read_statistics(folder), pictures.samples_in(folder)
    charts.draw_schedules(tables_root(args) / 'schedules.png', drawn)


def _draw_claim(args, _) -> None:
    """The figure of a discriminator's gain and price."""
    from training.reporting import charts
    root = tables_root(args)
    charts.draw_claim(root / 'claim.png', sharpness.values(read_csv(root / 'claim.csv')),
                      sharpness.interval)


def _draw_repairs(args, _) -> None:
    """The figure of held-out losses over minutes; equal epochs begin another run's line."""
    from training.reporting import charts
    charts.draw_repairs(tables_root(args) / 'repairs.png', {
        label: read_statistics(args.results_root / naming.run_name(row))
        for label, row in convvae_flaws.labelled().items() if not label.endswith('equal epochs')})


def _draw_layouts(args, ctx) -> None:
    """The figure of what reshape and transpose make of faces, and of their reconstructions."""
    from data.images import to_channels_first
    from training.reporting import charts
    drawn = {}
    for row in anime.layouts():
        run = load_run(args.results_root / naming.run_name(row), ctx, args)
        originals = run.dataset.test.first(N_IN_LAYOUTS)
        drawn[row.layout] = (to_channels_first(originals, row.layout),
                             run.pictures()[0][:N_IN_LAYOUTS])
    charts.draw_layouts(tables_root(args) / 'layout.png', originals, drawn)


GALLERIES = {  # what is compared, its table, the measures of a run, the figure
    'anime': (anime, 'gallery.csv', lambda run: run.measures(), _draw_layouts),
    'vaegan': (learned_similarity, 'vaegan.csv', lambda run: measures_of(run) | {
        'diversity': run.diversity(learned_similarity.N_DIVERSITY)}, _draw_schedules),
    'claim': (sharpness, 'claim.csv', measures_of, _draw_claim),
    'repairs': (convvae_flaws, 'repairs.csv', measures_of, _draw_repairs)}
