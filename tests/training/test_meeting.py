"""Workers meet, whatever strangers do at their ports. All of it on this machine's loopback, in threads."""

import asyncio
import contextlib
import os
import re
import secrets
import signal
import socket
import stat
import threading
import time
from concurrent import futures

import pytest

from tfvae.errors import RunError
from tfvae.trained import Run
from tfvae.training import meeting
from tfvae.training.cluster import Cluster

ADDRESSES = {'IPv4': '127.0.0.1', 'IPv6': '[::1]', 'a name': 'localhost'}


def ports(count):
  """Free ports of this machine."""
  with contextlib.ExitStack() as stack:
    sockets = [stack.enter_context(socket.create_server(('127.0.0.1', 0))) for _ in range(count)]
    return [each.getsockname()[1] for each in sockets]


def has_ipv6():
  with contextlib.suppress(OSError), socket.create_server(('::1', 0), family=socket.AF_INET6):
    return True
  return False


class Meeting:
  """Workers in threads, each told where the others are."""

  def __init__(self, pool, workdir, addresses):
    self._pool, self._workdir, self.addresses, self.said = pool, workdir, tuple(addresses), []

  def come(self, index, timeout=20.0, tag='same', workdir=None, addresses=None):
    """A future: None, or what ended the worker."""

    def say(text, flush):
      assert flush
      self.said.append(text)

    cluster = Cluster(tuple(addresses or self.addresses), index)
    return self._pool.submit(meeting.meet, cluster, timeout, tag, workdir or self._workdir, say)


@pytest.fixture
def gather(tmp_path):
  """gather(number of workers) -> Meeting."""
  with futures.ThreadPoolExecutor(8) as pool:
    yield lambda count, host='127.0.0.1': Meeting(pool, tmp_path, [f'{host}:{port}' for port in ports(count)])


def connect(port):
  return socket.create_connection(('127.0.0.1', port), timeout=5)


# Strangers: each call is one visit, and may leave its connection open.


def old_greeting(port, kept):
  del kept
  with connect(port) as peer:
    peer.sendall(b'tfvae worker 1 of 2, EVIL\n')
    peer.recv(100)
    peer.sendall(b'.')


def without_proof(port, kept):
  """Worker 0 says it to worker 1, and the other way round; the tag is another one."""
  del kept
  for asks in (0, 1):
    with connect(port) as peer:
      peer.sendall(f'tfvae meets: 2 {asks} {1 - asks} {secrets.token_hex(16)}\n'.encode())
      peer.recv(100)
      peer.sendall(f'{secrets.token_hex(32)} EVIL\n{secrets.token_hex(32)} \n'.encode())
      peer.recv(100)


def silent(port, kept):
  kept += [connect(port)]


def one_byte_a_second(port, kept):
  greeting = f'tfvae meets: 2 1 0 {secrets.token_hex(16)}\n'.encode()
  kept += [connect(port)]
  for peer, byte in zip(kept, greeting, strict=False):
    with contextlib.suppress(OSError):
      peer.sendall(bytes([byte]))


def loud(port, kept):
  del kept
  for message in (
    b'GET / HTTP/1.1\r\nHost: worker\r\n\r\n',
    bytes.fromhex('160301020001000100fc0303') + secrets.token_bytes(500),  # TLS: ClientHello
    b'\n' * 100,
    '\N{SNOWMAN}\n'.encode()[1:],
    bytes(20_000_000),
  ):
    with contextlib.suppress(OSError), connect(port) as peer:
      peer.sendall(message)


@contextlib.contextmanager
def visited(visit, *there):
  """Inside, strangers visit these ports, ten times a second, once there is somebody; 25 times each before it begins."""
  over, begun = threading.Event(), threading.Event()

  def visits():
    kept, count = [], 0
    try:
      while not over.wait(0.1 if begun.is_set() else 0.01):
        for port in there:
          with contextlib.suppress(OSError):
            visit(port, kept)
            count += 1
        if count >= 25:
          begun.set()
    finally:
      for peer in kept:
        peer.close()

  thread = threading.Thread(target=visits)
  thread.start()
  try:
    yield begun
  finally:
    over.set()
    thread.join()


@pytest.mark.parametrize('visit', [old_greeting, without_proof, silent, one_byte_a_second, loud])
def test_two_meet_whatever_strangers_do(gather, visit):
  meets = gather(2)
  with visited(visit, *(int(address.rpartition(':')[2]) for address in meets.addresses)) as begun:
    first = meets.come(0)
    assert begun.wait(20)
    second = meets.come(1, timeout=5)
    assert second.result() is None and first.result() is None
  assert all('waits for worker 1' in text for text in meets.said)


def test_more_silent_strangers_than_are_held(gather, monkeypatch):
  """The newest is always heard."""
  monkeypatch.setattr(meeting, 'STRANGERS', 8)
  meets = gather(2)
  port = int(meets.addresses[0].rpartition(':')[2])
  with contextlib.ExitStack() as stack:
    first = meets.come(0)
    while True:
      with contextlib.suppress(ConnectionRefusedError):
        kept = [stack.enter_context(connect(port)) for _ in range(30)]
        break
      time.sleep(0.01)
    kept[0].settimeout(2)  # sooner than a connection's own time is over
    with contextlib.suppress(ConnectionResetError):
      assert kept[0].recv(1) == b''
    assert meets.come(1, timeout=5).result() is None and first.result() is None


class Relay:
  """Passes on to a port what comes to `port`, and keeps what is said; `change` is made to it on the way."""

  def __init__(self, there, change=lambda said: said):
    self._there, self._change, self.said = there, change, []
    self._listener = socket.create_server(('127.0.0.1', 0))
    self.port = self._listener.getsockname()[1]
    self._thread = threading.Thread(target=self._pass_on)
    self._thread.start()

  def _pass_on(self):
    with contextlib.suppress(OSError):
      while True:
        with self._listener.accept()[0] as asks, contextlib.suppress(OSError), connect(self._there) as answers:
          said = {asks: b'', answers: b''}

          def copy(source, target, said=said):
            with contextlib.suppress(OSError):
              while more := source.recv(1000):
                said[source] += more
                target.sendall(self._change(more))
              target.shutdown(socket.SHUT_WR)

          back = threading.Thread(target=copy, args=(answers, asks))
          back.start()
          copy(asks, answers)
          back.join()
          self.said.append(tuple(said.values()))

  def __enter__(self):
    return self

  def __exit__(self, *_):
    with contextlib.suppress(OSError):
      self._listener.shutdown(socket.SHUT_RDWR)
    self._listener.close()
    self._thread.join()


@contextlib.contextmanager
def relayed(meets, **how):
  """(the relay to worker 0, that to worker 1, the addresses for worker 0, those for worker 1)."""
  own = [int(address.rpartition(':')[2]) for address in meets.addresses]
  with Relay(own[0], **how) as zero, Relay(own[1], **how) as one:
    yield (
      *(zero, one),
      [meets.addresses[0], f'127.0.0.1:{one.port}'],
      [f'127.0.0.1:{zero.port}', meets.addresses[1]],
    )


@pytest.mark.parametrize('nonces', ['fresh', 'always the same'])
def test_a_recorded_exchange_proves_nothing_again(gather, monkeypatch, nonces):
  """With the token and the address of the meeting before: it is the nonces that count."""
  own = secrets.token_hex
  monkeypatch.setattr(secrets, 'token_hex', lambda n: own(n) if n == 16 and nonces == 'fresh' else n * 'ab')
  meets = gather(2)
  with relayed(meets) as (zero, one, for_zero, for_one):
    both = [meets.come(0, addresses=for_zero), meets.come(1, addresses=for_one)]
    assert [each.result() for each in both] == [None, None]
  asked, answered = zero.said[-1][0], one.said[-1][1]
  assert asked.count(b'\n') == 3 and answered.count(b'\n') == 2
  assert all(32 * b'ab' not in b''.join(said) for said in zero.said + one.said)  # the token

  def ask(port, kept):
    del kept
    with connect(port) as peer:
      for line in asked.splitlines(keepends=True):
        peer.sendall(line)
        if line != asked.splitlines(keepends=True)[-1]:
          peer.recv(1000)

  port = int(meets.addresses[0].rpartition(':')[2])
  with visited(ask, port), socket.create_server(('127.0.0.1', 0)) as listener:

    def answer():
      with contextlib.suppress(OSError):
        while True:
          with listener.accept()[0] as peer, contextlib.suppress(OSError):
            for line in answered.splitlines(keepends=True):
              peer.recv(1000)
              peer.sendall(line)
            peer.recv(1000)

    thread = threading.Thread(target=answer)
    thread.start()
    alone = meets.come(0, 1.2, addresses=[meets.addresses[0], f'127.0.0.1:{listener.getsockname()[1]}'])
    if nonces == 'fresh':
      with pytest.raises(RunError, match=r'worker 1 at .* did not come'):
        alone.result()
    else:
      assert alone.result() is None
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_tag_that_was_changed_on_the_way_counts_for_nothing(gather):
  meets = gather(2)
  with relayed(meets, change=lambda said: said.replace(b' same', b' EVIL')) as (_, _, for_zero, for_one):
    both = [meets.come(0, 1.0, addresses=for_zero), meets.come(1, 1.0, addresses=for_one)]
    for each in both:
      with pytest.raises(RunError, match='did not come'):
        each.result()


def test_an_answer_that_comes_too_late_is_asked_for_again(gather, monkeypatch):
  """Nobody leaves while the other has not heard: the first lines with a proof, and the first answers, are late."""
  monkeypatch.setattr(meeting, 'EXCHANGE', 0.4)
  late = 4 * [0.7]

  def slowly(said):
    if b' same' in said and late:
      time.sleep(late.pop())
    return said

  meets = gather(2)
  with relayed(meets, change=slowly) as (_, _, for_zero, for_one):
    both = [meets.come(0, addresses=for_zero), meets.come(1, addresses=for_one)]
    assert [each.result() for each in both] == [None, None] and not late


# Honest workers.


@pytest.mark.parametrize('host', ADDRESSES)
def test_three_meet(gather, host, monkeypatch):
  """The last one comes late: the others say for whom they wait. The ports are free at once."""
  if host == 'IPv6' and not has_ipv6():
    pytest.skip('no IPv6 here')
  monkeypatch.setattr(meeting, 'PATIENCE', 0.3)
  meets = gather(3, ADDRESSES[host])
  both = [meets.come(0), meets.come(1)]
  while {text[:18] for text in meets.said} != {'Worker 0 waits for', 'Worker 1 waits for'}:
    assert not any(each.done() for each in both)
    time.sleep(0.01)
  assert meets.come(2).result() is None and [each.result() for each in both] == [None, None]
  waiting = [text for text in meets.said if not text.startswith('Worker 2')]
  assert all(f'worker 2 at {meets.addresses[2]} (' in text and ' s left' in text for text in waiting)
  for address in meets.addresses:
    port = int(address.rpartition(':')[2])
    socket.create_server(('::1' if host == 'IPv6' else '127.0.0.1', port), family=family(host)).close()


def family(host):
  return socket.AF_INET6 if host == 'IPv6' else socket.AF_INET


def test_workers_of_different_commands(gather, monkeypatch):
  monkeypatch.setattr(meeting, 'PATIENCE', 0.5)
  meets = gather(3)
  for index, each in enumerate([meets.come(index, tag=f'spec {index}') for index in range(3)]):
    with pytest.raises(RunError, match=rf'has another command or other devices \(spec .\) than this one .spec {index}'):
      each.result()


def test_a_worker_that_is_started_again(gather):
  """It met one of two, and ended; the one that it met is asked again, and asks again."""
  meets = gather(3)
  first, ended = meets.come(0), meets.come(1, 0.7)
  with pytest.raises(RunError, match=r'gave up after 0.7 s .*: worker 2 at [0-9.:]* did not come'):
    ended.result()
  assert [each.result() for each in (meets.come(1), meets.come(2), first)] == [None] * 3


def test_a_chief_that_is_started_again(gather):
  """With a new token, which the waiting worker finds."""
  meets = gather(3)
  waits, ended = meets.come(1), meets.come(0, 0.7)
  with pytest.raises(RunError, match=r'gave up after 0.7 s .*: worker 2 at [0-9.:]* did not come'):
    ended.result()
  assert [each.result() for each in (meets.come(0), meets.come(2), waits)] == [None] * 3


def test_a_worker_that_never_comes(gather):
  meets = gather(2)
  with pytest.raises(RunError, match=r'worker 1 at .* did not come.*firewall'):
    meets.come(0, 0.5).result()
  with pytest.raises(
    RunError, match=r'worker 0 \(the chief\) at .* did not come.*which the chief writes: No such file'
  ):
    meets.come(1, 0.5).result()


@pytest.mark.parametrize('there', ['nothing', 'the token of another meeting', 'a link', 'a pipe', 'no such directory'])
def test_workdirs_that_are_not_the_same(gather, tmp_path, there):
  """Nobody is blamed for another command, and nothing hangs."""
  other = tmp_path / 'other'
  if there != 'no such directory':
    other.mkdir()
  if there == 'a pipe':
    os.mkfifo(other / meeting.TOKEN)
  elif there == 'a link':
    (other / meeting.TOKEN).symlink_to(tmp_path / meeting.TOKEN)
  elif there == 'the token of another meeting':
    (other / meeting.TOKEN).write_text(secrets.token_hex(32))
  meets = gather(2)
  both = [meets.come(0, 0.6), meets.come(1, 0.6, tag='another', workdir=other)]
  for index, each in enumerate(both):
    with pytest.raises(
      RunError, match=rf'worker {1 - index}.* did not come, or its --workdir is not the same dir'
    ) as e:
      each.result()
    assert str(tmp_path if index == 0 else other) in str(e.value)


def test_the_token_is_the_owners_alone(gather, tmp_path):
  """Made before anyone listens to it, anew, through no link; gone afterwards. What a kill leaves is no obstacle."""
  victim, path = tmp_path / 'victim', tmp_path / meeting.TOKEN
  victim.write_text('kept')
  path.symlink_to(victim)
  meets = gather(2)
  first = meets.come(0)
  while path.is_symlink():
    assert not first.done()
    time.sleep(0.01)
  assert stat.S_IMODE(path.stat().st_mode) == 0o600 and len(path.read_text()) == 64
  assert meets.come(1).result() is None and first.result() is None
  assert victim.read_text() == 'kept' and [each.name for each in tmp_path.iterdir()] == ['victim']
  victim.rename(path)  # and what a kill leaves
  Run(tmp_path).check(None)


def test_a_signal_ends_the_meeting_at_once(tmp_path, monkeypatch):
  """Its exception comes through, the token goes, and the port is free."""

  def heard(number, frame):
    raise KeyboardInterrupt

  monkeypatch.setattr(meeting, 'PATIENCE', 0.1)
  own, other = ports(2)
  before = signal.signal(signal.SIGUSR1, heard)
  try:
    cluster = Cluster((f'127.0.0.1:{own}', f'127.0.0.1:{other}'), 0)
    with pytest.raises(KeyboardInterrupt):
      meeting.meet(cluster, 20, '', tmp_path, lambda text, flush: os.kill(os.getpid(), signal.SIGUSR1))
  finally:
    signal.signal(signal.SIGUSR1, before)
  assert list(tmp_path.iterdir()) == []
  socket.create_server(('127.0.0.1', own)).close()


def test_a_caller_with_a_loop_of_its_own(gather, tmp_path):
  meets = gather(2)
  other = meets.come(1)

  async def caller():
    meeting.meet(Cluster(meets.addresses, 0), 20, 'same', tmp_path)

  asyncio.run(caller())
  assert other.result() is None


# Addresses.


def listens(cluster):
  """(where a worker listens, what it says of that)."""
  said = []
  listeners = meeting._listeners(cluster, lambda text, flush: said.append(text))
  names = sorted(listener.getsockname()[0] for listener in listeners)
  for listener in listeners:
    listener.close()
  return names, said


def test_a_worker_listens_at_its_own_address(monkeypatch):
  port = ports(1)[0]
  assert listens(Cluster((f'127.0.0.1:{port}', 'localhost:1'), 0)) == (['127.0.0.1'], [])
  for addresses, why in (
    ((f'203.0.113.1:{port}', 'localhost:1'), '203.0.113.1 is none of them'),  # for documentation: nobody's
    ((f'localhost:{port}', 'elsewhere:1'), 'localhost is .* here, where other machines cannot ask'),
  ):
    names, (said,) = listens(Cluster(addresses, 0))
    assert names in (['::'], ['0.0.0.0'])
    assert said.startswith(f'Worker 0 listens at all addresses of this machine (port {port}): ')
    assert re.search(why, said)
  with socket.create_server(('127.0.0.1', 0)) as taken, pytest.raises(RunError, match='cannot be used'):
    listens(Cluster((f'localhost:{taken.getsockname()[1]}', 'localhost:1'), 0))


def test_the_addresses_of_a_name_are_tried_in_their_order(gather, monkeypatch):
  own, tried = socket.getaddrinfo, []

  def known(host, port, *args, **kwargs):
    if host != 'both':
      return own(host, port, *args, **kwargs)
    tried.append(port)
    return own('127.0.0.9', port, *args, **kwargs) + own('127.0.0.1', port, *args, **kwargs)

  monkeypatch.setattr(socket, 'getaddrinfo', known)
  meets = gather(2)
  port = int(meets.addresses[1].rpartition(':')[2])
  first = meets.come(0, addresses=[meets.addresses[0], f'both:{port}'])
  assert meets.come(1).result() is None and first.result() is None and tried
