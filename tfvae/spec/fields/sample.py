"""spec.sample."""

from tfvae.spec.fields.field import Field

SAMPLES = (
  'prior', 'reconstructions', 'traversals', 'interpolations', 'layers', 'projector', 'contexts', 'limiting', 'codes',
)  # fmt: skip


SAMPLE = {
  'what': Field(
    SAMPLES[:7],
    'What --mode=sample makes. prior: samples of the model. reconstructions: of examples. traversals: one unit moved '
    'at a time. interpolations: between examples. layers: one layer of a hierarchy drawn afresh, the others kept; '
    'of a model that is told something, all layers, the context kept, too. '
    "projector: posterior means for TensorBoard's projector. contexts: samples for each of some contexts, "
    'of a model that is told one. limiting: samples of the chain z, x, z, ... after '
    'eval.limiting.steps. codes: posterior means (of discrete layers, the most probable state; of a flow, the image of '
    'the mean before it) as arrays.',
    choices=SAMPLES,
    item=str,
  ),
  'files': Field(
    (),
    'prior, limiting: also E[x | z] in 8 bits (of binary data: black or white, whichever is more probable), for '
    'programs that score images. png: a file each, '
    'samples/<name>/00000.png. npz: samples/<name>-uint8.npz, an array arr_0 [n, height, width, channels].',
    choices=('png', 'npz'),
    item=str,
  ),
  'split': Field('test', 'Split of the examples.', choices=('train', 'validation', 'test')),
  'seed': Field(0, 'Seed of the samples: another one draws others of the same model.', low=0, high=2**31 - 1),
  'num': Field(64, 'prior: samples. layers: samples of which each has its layers drawn afresh.', low=2, high=10**6),
  'examples': Field(8, 'First examples of the split that the pictures show; contexts.', low=2, high=10**4),
  'labels': Field(
    (),
    'Of a model that is told labels (data.context=label): those that samples are of, in turn. (): those of the '
    "split's examples, in turn.",
    item=int,
    low=0,
    high=10**5,
  ),
  'draws': Field(
    8,
    'reconstructions: samples of q for each example. contexts: samples for each. layers: fresh draws of a layer.',
    low=1,
    high=10**4,
  ),
  'steps': Field(9, 'traversals, interpolations: images in a row.', low=2, high=100),
  'range': Field(
    3.0,
    'traversals: a unit moves by up to so many standard deviations of its prior, either way from its mean under q; one '
    'of a discrete layer goes through its states instead.',
    above=0,
  ),
  'units': Field(10, 'traversals: the units of a layer with the largest rates, so many. 0: all.', low=0, high=10**5),
  'interpolation': Field(
    'linear',
    'linear, or spherical: along the great circle.',
    choices=('linear', 'spherical'),
  ),
  'points': Field(
    2000,
    'projector: first examples of the split. traversals: those that the rates of the units are averaged over.',
    low=2,
    high=10**8,
  ),
}
