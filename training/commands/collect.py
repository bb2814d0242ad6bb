"""`collect`: the faces of the shown results, where runs look for them."""
from data import collect, fetch, loading


def collect_command(args) -> None:
    """`collect`: put a set of faces together, and say whether its images are those shown here."""
    path = collect.collect(args.faces, fetch.data_root(args.data_root), args.clone)
    others = loading.load(args.faces, path, shuffle_seed=None).images  # any order is known
    print(f'{path}: {"other images than those" if others else "the images"} of the shown results')
