"""Importance-weighted autoencoders: Burda et al. 2016, one and two stochastic layers.

    python launch.py --spec specs/iwae.py
    python launch.py --spec specs/iwae.py:two_layers --spec.objective.num_samples=50
    python launch.py --spec specs/iwae.py:mnist,k1 --spec.data.download=true

Words, separated by commas. The data, in both cases binarised afresh each step with the grey values as probabilities:

    digits (default)           scikit-learn's 8 x 8 digits: 10 units (two layers: 10 and 5), hidden layers of 50
    mnist                      the published networks and schedule

The networks, with tanh; q is inferred from the bottom, q(z1 | x) q(z2 | z1), and p(x | z1) is Bernoulli:

    one_layer (default)        50 units, two deterministic layers of 200
    two_layers                 z1 of 100 units behind two layers of 200, z2 of 50 units behind two layers of 100

The bound, spec.objective.num_samples being k:

    k5 (default) | k1 | k50    importance samples in training; with k1 it is a VAE, with the ELBO's one-sample estimate
    iwae (default) | dreg      the gradient through the bound, or doubly reparameterised (Tucker et al. 2019)

mnist has batches of 20, Adam with epsilon 1e-4, and 3,280 epochs in stages of 3^i, i = 0..7, with learning rates
1e-3 10^(-i/7): 9,840,000 steps of 60,000 images. The stages are fractions of training, so that --spec.train.steps
shortens all of them alike. The authors train on 59,600 and keep the last 400 for validation; as many, drawn from the
seed: --spec.data.validation=0.006667 --spec.train.steps=9774400. docs/reproductions.md says what else differs.

The evaluation at the end has log_evidence by 5,000 samples of q (mnist: on the first 1,000 test images).

Published (table 1, test NLL by 5,000 samples): one layer 86.76 (k=1), 85.54 (k=5), 84.78 (k=50); two layers 85.33,
83.89, 82.90. docs/reproductions.md has what was reached here, in how many steps. What to expect of the digits, seed 0,
test split, is there, too.
"""

from tfvae import spec as spec_lib

STAGES = 8  # of 3^i epochs
EPOCHS = sum(3**i for i in range(STAGES))


def get_config(variant=''):
  words = spec_lib.words(
    variant, ('digits', 'mnist'), ('one_layer', 'two_layers'), ('k5', 'k1', 'k50'), ('iwae', 'dreg')
  )
  mnist, two = 'mnist' in words, 'two_layers' in words
  spec = spec_lib.base(('z2', 'z1') if two else ('z1',))

  spec.data.name = 'mnist' if mnist else 'digits'
  spec.data.binarize = 'dynamic'
  spec.data.batch_size = 20

  spec.model.inference = 'reverse'
  width = 200 if mnist else 50
  dim = 50 if mnist else 10
  z1 = spec.model.z1
  z1.dim = 2 * dim if two and mnist else dim
  nets = [(z1.encoder, width), (spec.decoder.net, width)]
  if two:
    z2 = spec.model.z2
    z2.dim = dim if mnist else 5
    nets += [(z2.encoder, width // 2), (z1.prior, width // 2)]
  for net, units in nets:
    net.hidden = (units, units)
    net.activation = 'tanh'
  spec.decoder.likelihood = 'bernoulli'

  spec.objective.name = 'iwae'
  spec.objective.num_samples = next(k for k in (1, 5, 50) if f'k{k}' in words)
  if 'dreg' in words:
    spec.objective.estimator = 'doubly_reparameterized'

  spec.train.learning_rate = 1e-3
  spec.train.epsilon = 1e-4
  spec.train.schedule = 'piecewise'
  spec.train.schedule_boundaries = tuple(sum(3**j for j in range(i)) / EPOCHS for i in range(1, STAGES))
  spec.train.schedule_final = 10 ** (-1 / 7)
  spec.train.steps = EPOCHS * 3000 if mnist else 6000
  spec.train.checkpoint_every = 20_000 if mnist else 2000
  spec.train.log_every = 1000 if mnist else 100
  spec.eval.every = 100_000 if mnist else 1000
  spec.eval.evaluators = (*spec.eval.evaluators, 'log_evidence')
  spec.eval.log_evidence.samples = 5000
  spec.eval.log_evidence.examples = 1000 if mnist else 0
  return spec
