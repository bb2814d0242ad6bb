"""`export`: the nets of a finished run in files for other programs."""
import json
import sys
from pathlib import Path

from training.commands.opening import open_run
from training.commands.own_pictures import check_out
from training.commands.wiring import set_up_process
from training.experiments.row import ExperimentError, Row
from training.storage import files, run_folder

FORMATS = ('onnx', 'safetensors')
CHANNELS_FIRST = {  # by layout
    'transpose': '(C, H, W) by transpose of (H, W, C)',
    'reshape': '(C, H, W) by reshape of (H, W, C), as the original did, not by transpose'}


def export_command(args) -> None:
    """`export`: write encoder, decoder and discriminator, those of them that are here."""
    set_up_process()
    from training.storage import exported
    if args.format == 'onnx':
        exported.check_package()
    files.check_writable(args.out.parent)
    trained = open_run(args.run, args.results_root, args.ctx)
    parts = nets_of(trained)
    paths = _paths(args.out, args.format, [part.name for part in parts], args.force)
    config = run_folder.read_config(trained.folder)
    metadata = {'run': config['run'], 'row': json.dumps(config['row'])}
    if args.format == 'onnx':
        contents = [[exported.onnx_file(part, metadata)] for part in parts]
    else:
        contents = [exported.safetensors_file(parts, metadata)]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for path, content in zip(paths, contents, strict=True):
        files.write(path, content)
        print(path)


def _paths(out: Path, suffix: str, names: list[str], force: bool) -> list[Path]:
    """Return where the files go: a.safetensors; a.encoder.onnx, a.decoder.onnx ..

    ExperimentError for what is there already, unless forced.
    """
    if out.is_dir():
        raise ExperimentError(f'--out {out}: a folder, expected the name of a file')
    stem = out.name.removesuffix(f'.{suffix}')
    inserted = [f'.{name}' for name in names] if suffix == 'onnx' else ['']
    paths = [out.with_name(f'{stem}{name}.{suffix}') for name in inserted]
    for path in paths:
        if path.is_dir():
            raise ExperimentError(f'{path}: a folder, expected the name of a file')
        check_out(path, force)
    return paths


def nets_of(trained) -> list:
    """Return the nets of a finished run, with what each takes and gives, as `exported.Part`.

    trained: its `TrainedNet`. Nets whose parameters are not here are left out, and named on
    stderr.
    """
    from mxnet import sym

    import models
    from training.storage import parameters
    from training.storage.exported import Part, Tensor
    row, folder, shape = trained.row, trained.folder, trained.shape
    vae = models.as_plain_layers(trained.vae)
    image = Tensor('image', shape, f'pictures in [0, 1], {CHANNELS_FIRST[row.layout]}')
    parts, absent = [], []
    if row.encodes and trained.no_encoder:
        absent.append(('encoder', run_folder.PARAMETERS))
    elif row.encodes:
        parts.append(Part('encoder', vae.encoder, lambda x: vae.split(sym, vae.encoder(x)),
                          image, (Tensor('mean', (row.n_latent,), 'means of the latents'),
                                  Tensor('logvar', (row.n_latent,), 'logarithms of the variances '
                                         'of the latents'))))
    parts.append(Part('decoder', trained.decoder, lambda z: [trained.decoder(z)],
                      Tensor('latent', (row.n_latent,), 'latents, N(0, 1) for samples'),
                      (Tensor('picture', shape, _drawn(row)),)))
    disc_file = run_folder.PARAMETERS_OF.format('disc')
    if row.combo_epochs and not (folder / disc_file).exists():
        absent.append(('discriminator', disc_file))
    elif row.combo_epochs:
        disc = models.build_discriminator(row, shape)
        parameters.load(disc, folder / disc_file, trained.ctx)
        parts.append(Part('discriminator', disc, lambda x: [disc(x)], image,
                          (Tensor('logit', (1,), _judged(row)),)))
    if absent:
        print('not exported: ' + ', '.join(f'the {net}, for {folder / file} is not there'
                                           for net, file in absent), file=sys.stderr)
    return parts


def _drawn(row: Row) -> str:
    """Return what values a decoder's pictures have."""
    import models
    low, high = models.VAES[row.vae].draws
    clipped = '' if (low, high) == (0, 1) else ' (to be clipped to [0, 1])'
    return f'pictures in [{low}, {high}]{clipped}, {CHANNELS_FIRST[row.layout]}'


def _judged(row: Row) -> str:
    """Return what a discriminator's output is."""
    others = ('; it depends on the other images of the batch'
              if getattr(row, 'minibatch_kernels', 0) else '')
    return f'its sigmoid is the probability that the image is real{others}'
