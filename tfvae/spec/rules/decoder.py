"""Rules of spec.decoder."""


def sigma_rule(f):
  learned = f['decoder.likelihood'] == 'gaussian' and f['decoder.variance'] in ('learned', 'per_dimension', 'latent')
  if learned and f['decoder.sigma'] <= f['decoder.sigma_floor']:
    yield (
      f'spec.decoder.sigma: got {f["decoder.sigma"]:g}; a learned sigma must start above spec.decoder.sigma_floor '
      f'({f["decoder.sigma_floor"]:g}), where it could not move'
    )


def falling_sigma_rule(f):
  """One that is given may fall, and no other."""
  until, start, sigma = f['decoder.sigma_until'], f['decoder.sigma_from'], f['decoder.sigma']
  if not until:
    return
  for name, wanted in (('decoder.likelihood', 'gaussian'), ('decoder.variance', 'fixed')):
    if f[name] != wanted:
      yield (
        f'spec.decoder.sigma_until: got {until:g}, over which a given sigma falls, but spec.{name} is {f[name]}; use '
        f'0, or {wanted}'
      )
  if start <= sigma:
    yield (
      f'spec.decoder.sigma_from: got {start:g}; allowed: more than spec.decoder.sigma ({sigma:g}), to which it falls; '
      'spec.decoder.sigma_until=0 leaves it there'
    )
