"""What is compared with what, over all studies."""
from dataclasses import replace

from training.experiments import kinds, naming, registry
from training.experiments.registry import EXPERIMENTS
from training.studies import anime, convvae_flaws, learned_similarity, sharpness


def compared() -> dict[str, list[str]]:
    """What is compared: by title, the names of runs."""
    digits = [row for row in EXPERIMENTS.values() if row.data == 'MNIST'
              and row.kind is kinds.SOLO_COMBO]
    found = {'Digits: with and without a discriminator': [
        *digits, *(replace(row, step='shared') for row in digits if row.disc)]}
    for title, names in anime.STUDIES.items():
        found[f'Faces, reduced: {title.lower()}'] = [
            anime.at_scale(registry.canonical(EXPERIMENTS[name])) for name in names]
    found |= {'Faces, reduced: reshape and transpose': anime.layouts(),
              'Faces: the flaws of ConvVAE': convvae_flaws.rows(),
              'Digits: five seeds': sharpness.rows(),
              **{title: rows.values() for title, rows in learned_similarity.studies().items()}}
    return {title: [*map(naming.run_name, rows)] for title, rows in found.items()}
