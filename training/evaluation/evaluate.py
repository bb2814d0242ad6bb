"""What a finished run's net is worth, over its held-out images."""
from training.evaluation import measures, trained_net

PROTOCOL = '; BatchNorm with its running statistics; pictures rounded to bytes.'


def evaluate(run, classifier=None, n_images: int | None = None) -> dict:
    """Return the measures of a `TrainedNet` with its data, and how they were taken.

    classifier: (n, h, w, c) uint8 -> features (n, f) and classes (n,), of the data's labels
    where they have some; without it some measures are missing. n_images: how many held-out
    images, the first; none: all.
    """
    there = len(run.images)
    n = min(n_images or there, there)
    shown = 'All held-out images' if n == there else f'The first {n} held-out images'
    again = ', drawn again from one keyed sample of their latent each' if run.row.encodes else ''
    few = measures.on_few(n) if classifier or n <= measures.N_FEATURES else ''
    protocol = f'{shown}{again}, and as many samples from the prior{PROTOCOL} {few}'.rstrip()
    return {'protocol': protocol, 'images': n, 'samples': n, 'seed': run.row.seed,
            'measures': measures.take(_outputs(run, classifier, n))}


def _outputs(run, classifier, n: int) -> measures.Outputs:
    """Return what the net makes of the first n held-out images."""
    pictures = {'originals': run.images.first(n), 'drawn': run.draw_again(n),
                'samples': run.fixed_samples(n, trained_net.FOR_CLASSES)}
    latents = {}
    if run.row.encodes:
        pictures['reconstructions'] = pictures['drawn']
        latents = dict(zip(('mean', 'logvar'), run.codes(n), strict=True))
    if classifier is None:
        return measures.Outputs(**pictures, **latents)
    classified = {name: classifier(pixels) for name, pixels in pictures.items()
                  if name != 'drawn'}
    labels = run.dataset.labels[1][:n] if run.dataset.labels else None
    return measures.Outputs(**pictures, **latents, labels=labels, classified=classified)
