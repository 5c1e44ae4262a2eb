"""How the workers of a run meet, before TensorFlow connects them (which waits for ever and without a word).

Each worker listens at its own address, and asks every other one at that one's, until all have answered it and all have
heard its answer. Anyone who reaches a port can speak there; only who proves to know the token of this meeting counts,
and anything else is as if it had not been said. The token is 32 random bytes in a file of the run directory, which the
workers share: `.meeting.tmp`, which only its owner can read. The chief, who holds the lock of the directory, writes it
when the meeting begins and removes it when it ends. An exchange is five lines over one connection:

    who asks      tfvae meets: <number of workers> <its own index> <the index that it asks> <nonce>
    who answers   <nonce>
    who asks      <proof> <tag>
    who answers   <proof> <tag>
    who asks      <proof>

The tag is what all workers must have in common. A proof is the HMAC-SHA256, with the token as its key, of all that was
said on the connection before, and of the tag after it: it holds for one connection, one place in it, one direction and
two workers, and both chose a nonce, so that nothing that was overheard proves anything again. The token itself is never
sent. The last line says that the answer was heard: a worker whose answer came too late must be asked again, and not
leave.

All connections are served side by side, each for a few seconds and a few hundred bytes. Of those that have proven
nothing `STRANGERS` are held at once; for one more the oldest is dropped, so that the newest is always heard.
"""

import asyncio
import contextlib
import errno
import hmac
import ipaddress
import os
import pathlib
import re
import secrets
import socket
import stat
import time
from collections.abc import Coroutine
from concurrent import futures

from tfvae.errors import RunError
from tfvae.run.files import write, writing
from tfvae.training.cluster import Cluster

TOKEN = '.meeting.tmp'  # a temporary file: where a kill left one, it is passed over and removed
PATIENCE = 3.0  # seconds before waiting is worth a word
EXCHANGE = 3.0  # seconds that an exchange may take; who answers one waits longer for its end
PAUSE = 0.2  # seconds between asking and asking again
STRANGERS = 64
LINE = 512  # bytes, at most
BROKEN = (OSError, EOFError, ValueError)  # what a connection may come to


def meet(cluster: Cluster, timeout: float, tag: str, workdir: pathlib.Path, say=print) -> None:
  """Waits until all workers are there, each at its own address: says for whom, and gives up after `timeout` seconds.

  Args:
    cluster: who they are.
    timeout: seconds.
    tag: what all of them must have in common; a line.
    workdir: the run directory, by which they know each other. The chief holds its lock.
    say: prints.

  Raises:
    RunError: workers that did not come, or differ, are named; or the own address cannot be used.
  """
  if len(cluster.addresses) == 1:
    return
  with contextlib.ExitStack() as stack:
    listeners = [stack.enter_context(listener) for listener in _listeners(cluster, say)]
    token = stack.enter_context(_Token(workdir, cluster.is_chief))
    _in_a_loop_of_its_own(_Meeting(cluster, tag, token).held(listeners, timeout, say))


class _Meeting:
  def __init__(self, cluster, tag, token):
    self._cluster, self._tag, self._token = cluster, tag, token
    self._others = set(range(len(cluster.addresses))) - {cluster.index}
    self._answered, self._heard = set(), set()  # those who answered us; those who heard our answer
    self._differing = {}  # worker -> its tag
    self._tasks, self._strangers = set(), {}  # all connections; those that proved nothing yet, the oldest first

  async def held(self, listeners, timeout, say):
    for work in (*map(self._serve, listeners), *map(self._ask, self._others)):
      self._start(work)
    try:
      await self._wait(timeout, say)
    finally:
      for task in (tasks := list(self._tasks)):
        task.cancel()
      await asyncio.wait(tasks)

  def _start(self, work):
    task = asyncio.get_running_loop().create_task(work)
    self._tasks.add(task)
    task.add_done_callback(self._tasks.discard)
    return task

  async def _wait(self, timeout, say):
    begun, silent = time.monotonic(), PATIENCE
    while missing := sorted((self._others - self._answered) | (self._others - self._heard)):
      await asyncio.sleep(0.02)
      waited = time.monotonic() - begun
      if self._differing and waited > PATIENCE:  # long enough for the others to hear it from us
        break
      if waited > min(silent, timeout):
        names = ', '.join(self._cluster.name(index) for index in missing)
        if waited > timeout:
          raise RunError(
            f'gave up after {timeout:g} s (spec.train.startup_timeout): {names} did not come, or its --workdir is not '
            f'the same directory as here ({self._token.path.parent}{self._token.trouble}). Start every worker with the '
            'same command, and check the addresses, the firewall, and what the others print'
          )
        left = f'{timeout - waited:.0f} s left{self._token.trouble}'
        say(f'Worker {self._cluster.index} waits for {names} ({left}).', flush=True)
        silent = waited + 10 * PATIENCE
    for index, there in self._differing.items():
      raise RunError(
        f'{self._cluster.name(index)} has another command or other devices ({there}) than this one ({self._tag}); all '
        'workers need the same spec, the same version of tfvae, and the same number of GPUs'
      )

  # Asking.

  async def _ask(self, index):
    """Asks worker `index` until it answers: at each address that its name has, in their order."""
    loop, endpoint = asyncio.get_running_loop(), self._cluster.endpoint(index)
    while True:
      if index not in self._answered and self._token.read():
        with contextlib.suppress(*BROKEN):
          for family, _, _, _, address in await loop.getaddrinfo(*endpoint, type=socket.SOCK_STREAM):
            if index not in self._answered:
              await self._ask_at(family, address, index)
      await asyncio.sleep(PAUSE)

  async def _ask_at(self, family, address, index):
    with contextlib.suppress(*BROKEN), socket.socket(family, socket.SOCK_STREAM) as peer:
      talk = _Talk(peer, self._token)
      async with asyncio.timeout(EXCHANGE / 2):
        await asyncio.get_running_loop().sock_connect(peer, address)
      async with asyncio.timeout(EXCHANGE):
        await talk.say(self._greeting(self._cluster.index, index, secrets.token_hex(16)))
        await talk.hear()
        await talk.prove(self._tag)
        self._meets(self._answered, index, await talk.proven())
        await talk.prove()

  # Answering.

  async def _serve(self, listener):
    loop = asyncio.get_running_loop()
    while True:
      try:
        peer, _ = await loop.sock_accept(listener)
      except OSError:  # too many open files, for one
        await asyncio.sleep(PAUSE)
        continue
      task = self._start(self._answer(peer))
      self._strangers[task] = None
      task.add_done_callback(lambda task: self._strangers.pop(task, None))
      await asyncio.sleep(0)  # it begins
      if len(self._strangers) > STRANGERS:
        next(iter(self._strangers)).cancel()
        await asyncio.sleep(0)

  async def _answer(self, peer):
    with contextlib.suppress(*BROKEN), peer:
      talk = _Talk(peer, self._token)
      async with asyncio.timeout(EXCHANGE):
        said = re.fullmatch(self._greeting('([0-9]{1,9})', self._cluster.index, '[0-9a-f]{32}'), await talk.hear())
        if not said or (index := int(said[1])) not in self._others:
          return
        await talk.say(secrets.token_hex(16))
        there = await talk.proven()
      self._strangers.pop(asyncio.current_task(), None)
      async with asyncio.timeout(2 * EXCHANGE):
        await talk.prove(self._tag)
        await talk.proven()
      with contextlib.suppress(*BROKEN):
        async with asyncio.timeout(EXCHANGE):
          await talk.hear()  # nothing: the other end closes first, so that our port is free at once
      if index in self._heard:  # it was started again, and asks anew: it needs to be asked anew, too
        self._answered.discard(index)
      self._meets(self._heard, index, there)

  def _greeting(self, asks, asked, nonce):
    return f'tfvae meets: {len(self._cluster.addresses)} {asks} {asked} {nonce}'

  def _meets(self, whom, index, there):
    whom.add(index)
    if there == self._tag:
      self._differing.pop(index, None)
    else:
      self._differing[index] = there


class _Talk:
  """Lines over one connection, and proofs of what was said on it."""

  def __init__(self, peer, token):
    peer.setblocking(False)
    self._peer, self._token, self._key = peer, token, None
    self._said, self._unread = b'', b''

  async def say(self, line):
    line = f'{line}\n'.encode()
    self._said += line
    await asyncio.get_running_loop().sock_sendall(self._peer, line)

  async def hear(self):
    while b'\n' not in self._unread:
      more = await asyncio.get_running_loop().sock_recv(self._peer, LINE)
      if not more or len(self._unread) > LINE:
        raise EOFError
      self._unread += more
    line, _, self._unread = self._unread.partition(b'\n')
    self._said += line + b'\n'
    return line.decode()

  async def prove(self, tag=''):
    await self.say(f'{self._proof(self._said, tag)} {tag}')

  async def proven(self):
    """The tag of a line with a proof."""
    said = self._said
    proof, _, tag = (await self.hear()).partition(' ')
    if not hmac.compare_digest(proof.encode(), self._proof(said, tag).encode()):
      raise ConnectionAbortedError
    return tag

  def _proof(self, said, tag):
    self._key = self._key or self._token.read()
    if self._key is None:
      raise ConnectionAbortedError
    return hmac.new(self._key, said + tag.encode(), 'sha256').hexdigest()


class _Token:
  """The token of the meeting: inside, the chief's is in its file; the others read it there.

  Attributes:
    path: the file.
    trouble: why there is none yet, to be said in brackets; else empty.
  """

  def __init__(self, workdir, is_chief):
    self.path, self.trouble, self._is_chief, self._last = workdir / TOKEN, '', is_chief, None

  def __enter__(self):
    if self._is_chief:
      self._last = secrets.token_hex(32).encode()
      with writing(self.path.parent):
        write(self.path, self._last.decode(), 0o600)
    return self

  def __exit__(self, *_):
    if self._is_chief:
      with contextlib.suppress(OSError):
        self.path.unlink()

  def read(self):
    """The token; None where there is none yet. The one that was read last, where the chief has removed it."""
    if self._is_chief:
      return self._last
    try:
      os.listdir(self.path.parent)  # a network's file system asks its server again what is there
      handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
      with open(handle, 'rb') as file:
        found = file.read(100) if stat.S_ISREG(os.fstat(handle).st_mode) else b''
      if re.fullmatch(rb'[0-9a-f]{64}', found):
        self._last, self.trouble = found, ''
    except OSError as error:
      if self._last is None:
        self.trouble = f'; {self.path}, which the chief writes: {error.strerror}'
    return self._last


def _in_a_loop_of_its_own(work: Coroutine):
  """Runs `work` in a thread, as the caller's may have a loop already. A signal's exception, here, ends it."""
  loop = asyncio.new_event_loop()
  task = loop.create_task(work)
  with futures.ThreadPoolExecutor(1) as pool:
    ended = pool.submit(loop.run_until_complete, task)
    try:
      ended.result()
    finally:
      if not ended.done():
        loop.call_soon_threadsafe(task.cancel)
      futures.wait([ended])
      loop.close()


# Where to listen.


def _listeners(cluster, say):
  """Sockets at this worker's own address; at all of the machine's where that cannot be asked at, as in containers."""
  host, port = cluster.endpoint(cluster.index)
  everywhere = _everywhere(cluster, port)
  everywhere.close()  # TensorFlow's server will want all of it, but is not here yet
  own = []
  with contextlib.suppress(*BROKEN):  # a name that is not known
    for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
      with contextlib.suppress(OSError):  # no address of this machine
        own.append(_listener(family, address))
  if not own:
    why = f'{host} is none of them, or not known here'
  elif all(_is_loopback(one.getsockname()[0]) for one in own) and not all(
    there == host or _is_loopback(there) for there, _ in map(cluster.endpoint, range(len(cluster.addresses)))
  ):
    why = f'{host} is {own[0].getsockname()[0]} here, where other machines cannot ask'
  else:
    return own
  for one in own:
    one.close()
  say(f'Worker {cluster.index} listens at all addresses of this machine (port {port}): {why}.', flush=True)
  return [_everywhere(cluster, port)]


def _everywhere(cluster, port):
  for family, host in ((socket.AF_INET6, '::'), (socket.AF_INET, '')):
    try:
      return _listener(family, (host, port))
    except OSError as error:
      if family == socket.AF_INET or error.errno in (errno.EADDRINUSE, errno.EACCES):
        raise RunError(
          f'port {port} of {cluster.name(cluster.index)} (this process) cannot be used ({error.strerror}); end the '
          'process that has it, or give another port to all workers'
        ) from None
  return None


def _listener(family, address):
  listener = socket.socket(family, socket.SOCK_STREAM)
  try:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
      listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != '::')  # `::` is IPv4's addresses, too
    listener.bind(address)
    listener.listen(2 * STRANGERS)
    listener.setblocking(False)
  except OSError:
    listener.close()
    raise
  return listener


def _is_loopback(host):
  with contextlib.suppress(ValueError):
    return ipaddress.ip_address(host).is_loopback
  return host.lower() == 'localhost'
