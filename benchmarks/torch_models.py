"""Networks in PyTorch: of specs/aevb.py:mnist, specs/hit.py's images, Gaussian VAEs, symmetric learning, ConvDRAW.

As one writes them. But for `Ladder`, a model maps images [B, C, H, W] in [0, 1], or vectors [B, D], to log p(x | z) in
nats, the squared error of E[x | z], and the KL of each latent layer, top first: means over the batch. Densities are
written out, which costs less than torch.distributions. For step_time.py.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Aevb(nn.Module):
  """784-400-20-400-784, Bernoulli pixels, and `num_samples` latent samples of each example."""

  layers = ('z1',)

  def __init__(self, num_samples: int, pixels: int = 784, hidden: int = 400, latent: int = 20):
    super().__init__()
    self.num_samples = num_samples
    self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent))
    self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, pixels))

  def forward(self, x):
    loc, log_scale = self.encoder(x).chunk(2, dim=1)
    noise = torch.randn(self.num_samples, *loc.shape)
    logits = self.decoder(loc + log_scale.exp() * noise)
    kl = 0.5 * ((2 * log_scale).exp() + loc.square() - 1) - log_scale
    return *bernoulli(x.flatten(1), logits), (kl.sum() / len(x),)


class Hit(nn.Module):
  """z2, a vector of c units, above z1, a 4 x 4 map of c channels; one sample of each.

  Grey images of 28 x 28 pixels with Bernoulli pixels, or colour ones of 32 x 32 with N(loc, 0.71^2), or, with
  `components`, mixtures of so many logistics.
  """

  layers = ('z2', 'z1')

  def __init__(self, grey: bool, c: int = 32, components: int = 0):
    super().__init__()
    colours, self.log_px = (1, bernoulli) if grey else (3, logistics if components else gaussian)
    by_two = {'kernel_size': 4, 'stride': 2, 'padding': 1}
    by_three = {'kernel_size': 4} if grey else by_two  # between 4 x 4 and 7 x 7, or 8 x 8
    self.encoder_2 = nn.Sequential(
      nn.Conv2d(colours, c, **by_two),
      nn.ReLU(),
      nn.Conv2d(c, c, **by_two),
      nn.ReLU(),
      nn.Conv2d(c, c, **by_three),
      nn.ReLU(),
      nn.Flatten(),
      nn.Linear(16 * c, 2 * c),
    )
    self.encoder_1 = nn.Sequential(
      nn.Conv2d(colours, c, **by_two),
      nn.ReLU(),
      nn.Conv2d(c, c, **by_two),
      nn.ReLU(),
    )
    self.above_1 = nn.Sequential(
      nn.Linear(c, 16 * c),
      nn.ReLU(),
      nn.Unflatten(1, (c, 4, 4)),
      nn.ConvTranspose2d(c, c, **by_three),
      nn.ReLU(),
    )
    self.posterior_1 = nn.Sequential(
      nn.Conv2d(2 * c, c, **by_three),
      nn.ReLU(),
      nn.Conv2d(c, 2 * c, 3, padding=1),
    )
    self.prior_1 = nn.Sequential(
      nn.Linear(c, 8 * c),
      nn.ReLU(),
      nn.Linear(8 * c, 32 * c),
      nn.Unflatten(1, (2 * c, 4, 4)),
    )
    self.decoder = nn.Sequential(
      nn.ConvTranspose2d(c, c, **by_three),
      nn.ReLU(),
      nn.ConvTranspose2d(c, c, **by_two),
      nn.ReLU(),
      nn.ConvTranspose2d(c, 10 * components or colours, **by_two),
    )

  def forward(self, x):
    q2 = loc_and_scale(self.encoder_2(x))
    z2 = sample(*q2)
    p1 = loc_and_scale(self.prior_1(z2))
    q1 = loc_and_scale(self.posterior_1(torch.cat([self.encoder_1(x), self.above_1(z2)], dim=1)))
    z1 = sample(*q1)
    kls = (kl_to_standard(*q2), kl(*q1, *p1))
    return *self.log_px(x, self.decoder(z1)), tuple(value.sum() / len(x) for value in kls)


class HitConv(Hit):
  """z2, a 4 x 4 map of c channels, above z1, an 8 x 8 one: colour images of 32 x 32 pixels with N(loc, 0.71^2)."""

  def __init__(self, c: int = 64):
    nn.Module.__init__(self)
    self.log_px = gaussian
    down = lambda i, o, stride=2: nn.Conv2d(i, o, 5, stride, padding=2)
    up = lambda i, o: nn.ConvTranspose2d(i, o, 5, 2, padding=2, output_padding=1)
    keep = lambda i, o: down(i, o, 1)
    self.encoder_2 = relus(down(3, c), down(c, c), down(c, 3 * c), keep(3 * c, 2 * c))
    self.encoder_1 = relus(down(3, c), down(c, c), nn.Identity())
    self.above_1 = relus(keep(c, c), up(c, c), nn.Identity())
    self.posterior_1 = relus(keep(2 * c, 2 * c), keep(2 * c, 2 * c))
    self.prior_1 = relus(keep(c, c + c // 2), up(c + c // 2, 2 * c))
    self.decoder = relus(up(c, c), up(c, 3))


class Gaussian(nn.Module):
  """A VAE-1: Dense layers with ReLU, one learned sigma of the decoder. A log-scale head, as tfvae's."""

  def __init__(self, shape, hidden, latent: int):
    super().__init__()
    dims = math.prod(shape)
    self.encoder = nn.Sequential(nn.Flatten(), *dense(dims, hidden), nn.Linear(hidden[-1], 2 * latent))
    self.decoder = nn.Sequential(*dense(latent, hidden), nn.Linear(hidden[-1], dims))
    self.log_sigma = nn.Parameter(torch.zeros(()))

  def forward(self, x):
    loc, log_scale = self.encoder(x).chunk(2, dim=1)
    z = loc + log_scale.exp() * torch.randn_like(loc)
    log_px, error = learned_gaussian(x.flatten(1), self.decoder(z), self.log_sigma)
    kl = 0.5 * ((2 * log_scale).exp() + loc.square() - 1) - log_scale
    return log_px, error, (kl.sum() / len(x),)


class Linear(nn.Module):
  """A linear VAE with expectations in closed form: E|x - W z - b|^2 = |x - W m - b|^2 + sum_h tau_h^2 |W_h|^2."""

  def __init__(self, dims: int, latent: int):
    super().__init__()
    self.encoder, self.decoder = nn.Linear(dims, latent), nn.Linear(latent, dims)
    self.log_scale, self.log_sigma = nn.Parameter(torch.zeros(latent)), nn.Parameter(torch.zeros(()))

  def forward(self, x):
    loc, variance = self.encoder(x), (2 * self.log_scale).exp()
    spread = (self.decoder.weight.square() * variance).sum() / x.shape[1]
    error = (x - self.decoder(loc)).square().mean() + spread
    log_px = -x.shape[1] * (0.5 * error * (-2 * self.log_sigma).exp() + self.log_sigma + 0.5 * math.log(2 * math.pi))
    kl = 0.5 * (variance + loc.square() - 1) - self.log_scale
    return log_px, error.detach(), (kl.sum() / len(x),)


class Ladder(nn.Module):
  """The published ladder of symmetric learning for MNIST: 30 bits z2 above 100 bits z1, tanh, 28 x 28 pixels.

  Both players' losses on held samples: `generative` on data, `inference` on samples of the model.
  """

  layers = ('z2', 'z1')

  def __init__(self, z2: int = 30, z1: int = 100, width: int = 600):
    super().__init__()
    self.z2 = z2
    conv = lambda i, o, kernel, stride=1, padding=0: (nn.Conv2d(i, o, kernel, stride, padding), nn.Tanh())
    up = lambda i, o, kernel, stride=1: (nn.ConvTranspose2d(i, o, kernel, stride), nn.Tanh())
    mlp = lambda i, o, n: nn.Sequential(*dense(i, (width,) * n, nn.Tanh), nn.Linear(width, o))
    self.features = nn.Sequential(
      *conv(1, 32, 3, padding=1),
      *conv(32, 32, 2),
      *conv(32, 64, 3, 2),
      *conv(64, 64, 3),
      *conv(64, 64, 3),
      *conv(64, 128, 3, 2),
      nn.Flatten(),
      nn.Linear(128 * 16, width),
      nn.Tanh(),
    )
    self.scores_1, self.scores_2 = nn.Linear(width, z1), mlp(width, z2, 2)
    self.scores_skip = nn.Linear(z1, z2, bias=False)
    self.prior, self.prior_skip = mlp(z2, z1, 2), nn.Linear(z2, z1, bias=False)
    self.decoder = nn.Sequential(
      nn.Linear(z1, 128 * 16),
      nn.Tanh(),
      nn.Unflatten(1, (128, 4, 4)),
      *up(128, 64, 3, 2),
      *up(64, 64, 3),
      *up(64, 64, 3),
      *up(64, 32, 3, 2),
      *up(32, 32, 2),
      nn.Conv2d(32, 1, 3, padding=1),
    )

  def players(self):
    """The parameters of p(x, z) and of q(z | x)."""
    generative = (self.prior, self.prior_skip, self.decoder)
    inference = (self.features, self.scores_1, self.scores_2, self.scores_skip)
    return [[p for module in modules for p in module.parameters()] for modules in (generative, inference)]

  def _evidence(self, x):
    features = self.features(x)
    z1 = self.scores_1(features)
    return self.scores_2(features) + self.scores_skip(z1), z1

  def _prior(self, z2):
    return self.prior(z2) + self.prior_skip(z2)

  def generative(self, x):
    """-E_q log p(x, z), with what is logged beside it: log p(x | z), the squared error, the KL of each layer."""
    with torch.no_grad():
      q2, q1 = self._evidence(x)
      z2 = torch.bernoulli(q2.sigmoid())
    p1 = self._prior(z2)
    with torch.no_grad():
      q1 = q1 + p1.detach()
      z1 = torch.bernoulli(q1.sigmoid())
    log_px, error = bernoulli(x, self.decoder(z1))
    log_p = log_px + log_bits(p1, z1).sum() / len(x) - self.z2 * math.log(2)
    kls = (kl_bits(q2, torch.zeros_like(q2)), kl_bits(q1, p1.detach()))
    return -log_p, log_px.detach(), error, tuple(value.sum() / len(x) for value in kls)

  def chain(self, z1):
    """z1 of q(z | x), x of p(x | z1)."""
    q2, q1 = self._evidence(torch.bernoulli(self.decoder(z1).sigmoid()))
    return torch.bernoulli((q1 + self._prior(torch.bernoulli(q2.sigmoid()))).sigmoid())

  def inference(self, n: int):
    """-E_p log q(z | x)."""
    with torch.no_grad():
      z2 = torch.bernoulli(torch.full((n, self.z2), 0.5))
      p1 = self._prior(z2)
      z1 = torch.bernoulli(p1.sigmoid())
      x = torch.bernoulli(self.decoder(z1).sigmoid())
    q2, q1 = self._evidence(x)
    return -(log_bits(q2, z2).sum() + log_bits(q1 + p1, z1).sum()) / n


class ConvLstm(nn.Module):
  """A turn of a convolutional LSTM: i, f, o, g of one convolution of the inputs and the hidden map."""

  def __init__(self, inputs: int, channels: int, kernel: int = 3):
    super().__init__()
    self.gates = nn.Conv2d(inputs + channels, 4 * channels, kernel, padding='same')

  def forward(self, inputs, cell):
    i, f, o, g = self.gates(torch.cat(inputs, dim=1)).chunk(4, dim=1)
    cell = (f + 1).sigmoid() * cell + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell


class ConvDraw(nn.Module):
  """specs/geco.py:convdraw: `steps` maps z [grid, grid, latent], each of which adds to a canvas; one learned sigma.

  A convolution or its transpose for each halving of the side between image and grid, as long as that is even.
  Convolutions with stride 2 see the pixel before, where TensorFlow's see the one behind: what these networks are of
  images, those are of mirrored ones.
  """

  layers = ('z',)

  def __init__(self, shape, grid: int, steps: int, latent: int, memory: int, canvas: int, width: int = 32):
    super().__init__()
    (colours, side, _), self.steps, self.canvas = shape, steps, canvas
    halvings = (side // grid).bit_length() - 1
    down = lambda i: nn.Conv2d(i, width, 3, 2, padding=1)
    up = lambda i, o: nn.ConvTranspose2d(i, o, 3, 2, padding=1, output_padding=1)
    self.encoder = nn.Sequential(*relus(*(down(width if i else 2 * colours) for i in range(halvings))), nn.ReLU())
    self.encoder_lstm = ConvLstm(width + memory, memory)
    self.posterior = nn.Conv2d(memory, 2 * latent, 1)
    self.prior = nn.Conv2d(memory, 2 * latent, 1)
    self.look = nn.Conv2d(canvas, canvas, side // grid, side // grid)
    self.decoder_lstm = ConvLstm(latent + canvas, memory)
    ups = [up(width if i else memory, width) for i in range(halvings - 1)] or [nn.Conv2d(memory, width, 3, padding=1)]
    self.decoder = nn.Sequential(*relus(*ups), nn.ReLU(), up(width, canvas))
    self.head = nn.Conv2d(canvas, colours, 1)
    self.start = nn.Parameter(torch.zeros(1, 2 * memory, grid, grid))
    self.log_sigma = nn.Parameter(torch.zeros(()))

  def forward(self, x, noise=None):
    """noise: of each step, [B, latent, grid, grid]. None: it is drawn."""
    drawn, memory = self.start.expand(len(x), -1, -1, -1).chunk(2, dim=1)
    hidden = cell = torch.zeros_like(drawn)
    canvas, rate = x.new_zeros(len(x), self.canvas, *x.shape[2:]), 0.0
    for step in range(self.steps):
      p_loc, p_log_scale = self.prior(drawn).chunk(2, dim=1)
      features = self.encoder(torch.cat([x, x - self.head(canvas)], dim=1))
      hidden, cell = self.encoder_lstm([features, drawn, hidden], cell)
      q_loc, q_log_scale = self.posterior(hidden).chunk(2, dim=1)
      q_scale, p_scale = q_log_scale.exp(), p_log_scale.exp()
      z = q_loc + q_scale * (torch.randn_like(q_loc) if noise is None else noise[step])
      rate = rate + kl(q_loc, q_scale, p_loc, p_scale).sum() / len(x)
      drawn, memory = self.decoder_lstm([z, self.look(canvas), drawn], memory)
      canvas = self.decoder(drawn) + canvas  # in the layout of the first
    return *learned_gaussian(x.flatten(1), self.head(canvas).flatten(1), self.log_sigma), (rate,)


def log_bits(logits, bits):
  """log p of bits."""
  return -F.binary_cross_entropy_with_logits(logits, bits, reduction='none')


def kl_bits(q, p):
  """KL between bits with these logits."""
  probs = q.sigmoid()
  return probs * (F.logsigmoid(q) - F.logsigmoid(p)) + (1 - probs) * (F.logsigmoid(-q) - F.logsigmoid(-p))


def dense(inputs, hidden, activation=nn.ReLU):
  """Linear layers, each with the activation after it."""
  widths = (inputs, *hidden)
  return [layer for i, width in enumerate(hidden) for layer in (nn.Linear(widths[i], width), activation())]


def relus(*layers):
  """These, with ReLU between them."""
  return nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))[:-1]


def learned_gaussian(x, loc, log_sigma):
  """log N(x; loc, sigma^2) and the squared error."""
  error = F.mse_loss(loc, x)
  constant = log_sigma + 0.5 * math.log(2 * math.pi)
  return -x.shape[1] * (0.5 * error * (-2 * log_sigma).exp() + constant), error.detach()


def loc_and_scale(features):
  loc, raw = features.chunk(2, dim=1)
  return loc, F.softplus(raw) + 1e-6


def sample(loc, scale):
  return loc + scale * torch.randn_like(loc)


def kl_to_standard(loc, scale):
  """KL(N(loc, scale^2) || N(0, 1)) of each unit."""
  return 0.5 * (scale.square() + loc.square() - 1) - scale.log()


def kl(q_loc, q_scale, p_loc, p_scale):
  """KL(N(q_loc, q_scale^2) || N(p_loc, p_scale^2)) of each unit."""
  ratio = q_scale / p_scale
  return 0.5 * (ratio.square() + ((q_loc - p_loc) / p_scale).square() - 1) - ratio.log()


def bernoulli(x, logits):
  """log p(x | z) and the squared error: x [B, ...], logits [B, ...] or [S, B, ...]."""
  dimensions, x = x[0].numel(), x.expand_as(logits)
  entropy = F.binary_cross_entropy_with_logits(logits, x)
  return -entropy * dimensions, F.mse_loss(logits.detach().sigmoid(), x)


def gaussian(x, loc, sigma: float = 0.71):
  """log N(x; loc, sigma^2) and the squared error."""
  error, constant = F.mse_loss(loc, x), math.log(sigma) + 0.5 * math.log(2 * math.pi)
  return -x[0].numel() * (0.5 * error / sigma**2 + constant), error.detach()


def logistics(x, raw):
  """log P(x | z) by mixtures of discretised logistics (tfvae/families/logistic_mixture.py) and the squared error.

  x: [B, 3, H, W] of 256 levels. raw: [B, 10 K, H, W].
  """
  k = raw.shape[1] // 10
  logits, *parts = raw.split(k, dim=1)
  locs, log_scales, coefficients = parts[:3], [part.clamp(-7, 7) for part in parts[3:6]], [p.tanh() for p in parts[6:]]
  log_probs, before = logits, []
  for channel in range(3):
    level = (255 * x[:, channel : channel + 1]).round()
    loc = (conditional(channel, locs, coefficients, before) + 1) * 127.5
    width = (-log_scales[channel]).exp() / 127.5
    lower, upper = (level - 0.5 - loc) * width, (level + 0.5 - loc) * width
    has_lower, has_upper = (level > 0).to(raw.dtype), (level < 255).to(raw.dtype)
    inside = has_lower * has_upper * (-torch.expm1(-width)).log()
    log_probs = log_probs + inside - has_upper * F.softplus(-upper) - has_lower * F.softplus(lower)
    before.append(level / 127.5 - 1)
  log_px = (log_probs.logsumexp(1) - logits.logsumexp(1)).sum() / len(x)
  with torch.no_grad():
    weights, means = logits.softmax(1), []
    for channel, log_scale in enumerate(log_scales):
      loc, scale = conditional(channel, locs, coefficients, means), log_scale.exp()
      means.append(scale * (F.softplus((loc + 1) / scale) - F.softplus((loc - 1) / scale)) - 1)
    mean = torch.cat([(weights * mean).sum(1, keepdim=True) for mean in means], dim=1)
    return log_px, F.mse_loss((mean + 1) / 2, x)


def conditional(channel, locs, coefficients, before):
  """The components' locations of a channel, given the channels before it."""
  loc = locs[channel]
  for i, y in enumerate(before):
    loc = loc + coefficients[channel * (channel - 1) // 2 + i] * y
  return loc
