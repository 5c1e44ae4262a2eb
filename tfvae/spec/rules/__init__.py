"""What the fields of a spec must fulfil together; what one field allows is in `fields/`.

A rule takes all values, {'section.field': value}, each of them allowed, and yields a line for every problem that it
finds: the field, what it got, what is allowed and what to do.
"""

from collections.abc import Callable

from tfvae.spec.rules.constraint import constraint_rule
from tfvae.spec.rules.context import context_rule
from tfvae.spec.rules.data import data_rule, levels_rule, path_rule, stream_rule
from tfvae.spec.rules.decoder import falling_sigma_rule, sigma_rule
from tfvae.spec.rules.discrete import DISCRETE_RULES
from tfvae.spec.rules.evaluation import evaluator_rule, fid_rule, kinds_rule, sample_rule, split_rule, task_rule
from tfvae.spec.rules.model import (
  classifier_rule,
  densenet_rule,
  flow_rule,
  linear_rule,
  lvae_rule,
  members_rule,
  net_rule,
  prior_rule,
  skip_rule,
  standardize_rule,
  steps_rule,
)
from tfvae.spec.rules.needs import needs_rule
from tfvae.spec.rules.objective import annealing_rule, objective_rule, rates_rule
from tfvae.spec.rules.study import study_rule
from tfvae.spec.rules.train import schedule_rule, strategy_rule

RULES: tuple[Callable, ...] = (
  path_rule,
  data_rule,
  objective_rule,
  rates_rule,
  *DISCRETE_RULES,
  constraint_rule,
  context_rule,
  steps_rule,
  lvae_rule,
  flow_rule,
  skip_rule,
  strategy_rule,
  annealing_rule,
  schedule_rule,
  split_rule,
  net_rule,
  densenet_rule,
  sigma_rule,
  falling_sigma_rule,
  levels_rule,
  evaluator_rule,
  needs_rule,
  sample_rule,
  linear_rule,
  prior_rule,
  standardize_rule,
  stream_rule,
  members_rule,
  classifier_rule,
  kinds_rule,
  fid_rule,
  task_rule,
  study_rule,
)
