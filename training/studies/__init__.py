"""What is compared with what. To add a study, write its module and add its line to STUDIES."""
from dataclasses import replace

from training.experiments import naming
from training.experiments.registry import EXPERIMENTS, PUBLISHED
from training.studies import (
    anime,
    claim,
    kl,
    recommended,
    repairs,
    vaegan,
    ways,
)

STUDIES = {study.name: study for study in (
    anime.STUDY,
    repairs.STUDY,
    claim.STUDY,
    kl.STUDY,
    vaegan.STUDY,
    ways.STUDY,
    recommended.STUDY)}


def compared() -> dict[str, list[str]]:
    """Return what is compared: by title, the names of runs."""
    digits = [row for name, row in EXPERIMENTS.items() if row.data == 'MNIST'
              and name in PUBLISHED]
    comparisons = {'Digits: with and without a discriminator': [
        *digits, *(replace(row, step='shared') for row in digits if row.disc)]}
    for study in STUDIES.values():
        comparisons |= {title: rows.values() for title, rows in study.comparisons().items()}
    return {title: [*map(naming.run_name, rows)] for title, rows in comparisons.items()}
