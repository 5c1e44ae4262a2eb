"""Linear VAEs of different sizes on one stream, whose size changes: which is right? (Damm et al. 2023, section 5)

    python launch.py --spec specs/streaming.py
    python launch.py --spec specs/streaming.py:averaged

The stream: D = 10, three segments of 100,000 examples with 6, 2 and 4 latent dimensions, seen once in batches of 10.
Three linear VAEs of 2, 4 and 6 units learn side by side, by Adam with 2e-3. BIC, from the ELBO or from the sum of
entropies, says which size a segment calls for. Words:

    exact (default)       expectations over q in closed form
    sampled               100 samples of q for each example in a step, as published

    raw (default)         weights as they are
    averaged              evaluated at a moving average of the weights (decay 0.999)

elbo/h6/0 of an evaluation: the member of 6 units on the first segment, in expectation under its true covariance. The
table of docs/entropies.md has the means over the last 2,000 steps of each segment, and what other seeds give: how fast
a member finds its way into a new segment depends on where it stands.
"""

from tfvae import spec as spec_lib


def get_config(variant=''):
  words = spec_lib.words(variant, ('exact', 'sampled'), ('raw', 'averaged'))
  spec = spec_lib.base(('z1',))
  spec.seed = 4  # no member is long at a saddle point; see docs/entropies.md

  spec.data.name, spec.data.order, spec.data.scaling = 'stream', 'stream', 'none'
  spec.data.dims, spec.data.noise, spec.data.examples = 10, 0.1, 300_000
  spec.data.segments, spec.data.changes = (6, 2, 4), (100_000, 200_000)
  spec.data.batch_size = 10

  spec.model.name, spec.model.members = 'members', (2, 4, 6)
  spec.model.z1.scale_head = 'shared'
  spec.model.z1.encoder.kind = spec.decoder.net.kind = 'linear'

  spec.objective.num_samples = 100 if 'sampled' in words else 0
  spec.train.steps = 30_000
  spec.train.learning_rate = 2e-3
  spec.train.compile = 'xla'
  spec.train.ema = 0.999 if 'averaged' in words else 0.0
  spec.train.checkpoint_every = 10_000
  spec.eval.num_samples = 0
  spec.eval.split = 'train'
  spec.eval.every = 100
  spec.eval.evaluators = spec.eval.during = ('selection',)
  return spec
