"""Who the workers are."""

import json
import random

import pytest

from tfvae.errors import SpecError
from tfvae.training import cluster


def config(workers=('a:1',), index=0, kind='worker', **jobs):
  return json.dumps({'cluster': {'worker': workers, **jobs}, 'task': {'type': kind, 'index': index}})


MISTAKES = [
  ('{', 'must be JSON'),
  ('[' * 100_000, 'RecursionError'),
  ('7', 'must be JSON with "cluster"'),
  ('{"cluster": {"worker": ["a:1"]}}', "KeyError 'task'"),
  ('{"cluster": 3, "task": {"type": "worker", "index": 0}}', 'each a list of addresses'),
  ('{"cluster": {"worker": ["a:1"]}, "task": 3}', 'TypeError'),
  (config(kind='ps'), "one of the cluster's jobs, not 'ps'"),
  (config(kind=['worker']), "one of the cluster's jobs"),
  (config(ps=['b:1']), '"chief" jobs'),
  (config(workers=5), '"worker" must be a list of addresses'),
  (config(workers='a:1'), '"worker" must be a list of addresses'),
  (config(workers=[1, 2]), '"worker" must be a list of addresses'),
  (config(workers=[]), '"worker" must be a list of addresses'),
  (config(workers={'0': 'a:1'}), '"worker" must be a list of addresses'),
  (config(chief=['b:1', 'c:1']), 'there can be one chief'),
  (config(index=1), 'there is no worker 1'),
  (config(index=-1), 'whole number, from 0 on, not -1'),
  (config(index=True), 'whole number'),
  (config(index=0.5), 'whole number'),
  (config(index=[0]), 'whole number'),
  (config().replace('"index": 0', '"index": 1e400'), 'whole number, from 0 on, not inf'),
  (config().replace('"index": 0', '"index": NaN'), 'whole number'),
  (config().replace('"index": 0', f'"index": {"9" * 5000}'), 'must be JSON'),
  (config(['a', 'b:1'], 1), 'host:port or [IPv6 address]:port, of ASCII letters, digits, ".", "-" and "_"'),
  (config(['a:1', 'a:1']), 'the same address'),
  (config(['a:1', 'A:1']), 'the same address'),
  (config(['a:0']), 'ports are from 1 to 65535, not 0'),
  (config(['a:65536']), 'ports are from 1 to 65535, not 65536'),
  (config([f'a:{"1" * 5000}']), 'addresses are host:port'),
  (config(['a:\N{ARABIC-INDIC DIGIT ONE}']), 'addresses are host:port'),
  (config(['a' * 64 + ':1']), 'from 1 to 63 between its dots'),
  (config(['a..b:1']), 'from 1 to 63 between its dots'),
  (config(['.'.join(60 * ['abcd']) + ':1']), 'at most 253 characters'),
  (config(['\N{LATIN SMALL LETTER U WITH DIAERESIS}:1']), 'xn--'),
  (config(['\ud800:1']), 'addresses are host:port'),
  (config(['a\0b:1']), 'addresses are host:port'),
  (config(['a b:1']), 'addresses are host:port'),
  (config(['::1:2222']), '[IPv6 address]:port'),
  (config(['[::g]:1']), 'addresses are host:port'),
  (config(['[1:2]:1']), 'At least 3 parts'),
]


@pytest.mark.parametrize(('text', 'says'), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_in_tf_config(monkeypatch, text, says):
  monkeypatch.setenv('TF_CONFIG', text)
  with pytest.raises(SpecError, match='TF_CONFIG: ') as error:
    cluster.cluster_of('multi_worker')
  message = str(error.value)
  assert says in message and len(message) < 700 and message.isprintable()


ODD = [None, True, 0, -1, 1.5, float('inf'), float('nan'), 10**30, '', 'x', 'worker', '0', '\0', '\ud800', 'a:1', []]
ODD += ['a:99999', '[::1]:5', '[fe80::1%eth0]:5', '[::1', 'a' * 300 + ':1', ['a:1'], [[]], {}, {'0': 'a:1'}]


def malformed(draw):
  """The text of a good TF_CONFIG, with one or two values replaced, and now and then some characters."""
  made = {'cluster': {'worker': ['a:1', 'b:2']}, 'task': {'type': 'worker', 'index': 0}}
  places = [('task', 'type'), ('task', 'index'), ('cluster', 'worker'), ('cluster', 'chief'), ('cluster',), ('task',)]
  for *above, name in draw.sample(places, draw.randint(1, 2)):
    section = made[above[0]] if above else made
    if isinstance(section, dict):
      section[name] = ['a:1', draw.choice(ODD)] if name == 'worker' and draw.random() < 0.5 else draw.choice(ODD)
  text = json.dumps(draw.choice(ODD) if draw.random() < 0.05 else made)
  if draw.random() < 0.3:
    at = draw.randrange(len(text) + 1)
    text = text[:at] + draw.choice(['', '"', '}', '\udcff', '[', '9' * 30]) + text[at + draw.randint(0, 3) :]
  return text


def test_malformed_tf_configs(monkeypatch):
  """A SpecError, or a Cluster that can be used; nothing else."""
  draw, refused = random.Random(0), 0
  for _ in range(300):
    monkeypatch.setenv('TF_CONFIG', malformed(draw))
    try:
      found = cluster.cluster_of('multi_worker')
    except SpecError as error:
      assert str(error).isprintable()
      refused += 1
    else:
      assert 0 <= found.index < len(found.addresses)
      for index in range(len(found.addresses)):
        host, port = found.endpoint(index)
        assert host.encode('idna') and '\0' not in host and 1 <= port <= 65535
  assert 200 < refused < 300


def test_addresses():
  for text, found in {
    'host1:2222': ('host1', 2222),
    'node-1.cluster_a.example.:1': ('node-1.cluster_a.example.', 1),
    '10.0.0.1:65535': ('10.0.0.1', 65535),
    '[::1]:2222': ('::1', 2222),
    '[fe80::1%eth0]:2222': ('fe80::1%eth0', 2222),
  }.items():
    assert cluster.endpoint(text) == found


def test_who_the_workers_are(monkeypatch):
  for name in ('TF_CONFIG', 'SLURM_PROCID'):
    monkeypatch.delenv(name, raising=False)
  assert cluster.cluster_of('one') is None
  with pytest.raises(SpecError, match='neither TF_CONFIG nor Slurm'):
    cluster.cluster_of('multi_worker')
  jobs = {'worker': ['b:1', 'c:2'], 'chief': ['a:9']}
  for index in (1, '1'):
    monkeypatch.setenv('TF_CONFIG', json.dumps({'cluster': jobs, 'task': {'type': 'worker', 'index': index}}))
    assert cluster.cluster_of('multi_worker')[:2] == (('a:9', 'b:1', 'c:2'), 2)
  monkeypatch.delenv('TF_CONFIG')
  slurm = {'PROCID': '2', 'STEP_NUM_TASKS': '4', 'STEP_NODELIST': 'node[01-02]', 'STEP_TASKS_PER_NODE': '2(x2)'}
  for name, value in {**slurm, 'LOCALID': '0', 'NTASKS': '4', 'JOB_ID': '7'}.items():
    monkeypatch.setenv(f'SLURM_{name}', value)
  found = cluster.cluster_of('multi_worker')
  assert found.addresses == ('node01:8888', 'node01:8889', 'node02:8888', 'node02:8889') and found.index == 2
  assert not found.is_chief and 'worker 0 (the chief) at node01:8888' in found.name(0)
  monkeypatch.setenv('SLURM_PROCID', '4')
  with pytest.raises(SpecError, match='Slurm'):
    cluster.cluster_of('multi_worker')
  monkeypatch.delenv('SLURM_STEP_NODELIST')
  with pytest.raises(SpecError, match='Slurm'):
    cluster.cluster_of('multi_worker')
