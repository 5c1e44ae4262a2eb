"""What report.html of many runs costs, and pictures of such a page.

    python benchmarks/report.py [--side 21] [--seeds 1] [--workdir DIR]
    python benchmarks/report.py screenshots --workdir runs/grid [--into docs/images] [--name report]

The first makes side x side run directories, of as many betas of both layers of specs/hit.py (441, by default), a seed
each, as files: spec.json, data.json, metrics.jsonl, evaluation.json, arrays/. THEIR NUMBERS AND PICTURES ARE MADE UP,
by formulas below; nothing was trained. It writes the page of them, on one core, prints the seconds and the size, and
opens it in Chromium where that is found.

The second draws the page of runs that are there and takes pictures of it as it is on a desktop (1280 pixels wide) and
on a phone (390), for docs/report.md. It needs Playwright, and a Chromium ($CHROMIUM, else of the PATH).
"""

import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
STEPS, EVERY = 3000, 10
# Of Debian's Chromium, without a display, a GPU and the network.
ARGUMENTS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--enable-unsafe-swiftshader',
  '--disable-background-networking',
  '--no-first-run',
  '--disable-sync',
  '--disable-component-update',
]


def make(root: pathlib.Path, betas: list[float], seeds: int = 1, lines: int = STEPS // EVERY, side: int = 28) -> None:
  """Writes a run directory with made-up numbers and pictures for each pair of betas and each seed.

  Args:
    root: where.
    betas: of both layers.
    seeds: of each pair.
    lines: of metrics.jsonl.
    side: of the pictures, in pixels.
  """
  from tfvae import spec as spec_lib

  base = spec_lib.load(ROOT / 'specs/hit.py', {'train.steps': STEPS})
  template = json.loads(spec_lib.to_json(base))
  strokes = _strokes(64, side)
  for beta_2 in betas:
    for beta_1 in betas:
      for seed in range(seeds):
        own = json.loads(json.dumps(template))
        own['seed'], own['objective']['beta'] = seed, {'z2': beta_2, 'z1': beta_1}
        name = f'beta.z2={beta_2:g},beta.z1={beta_1:g}' + (f',seed={seed}' if seeds > 1 else '')
        _write(root / name, own, _numbers(beta_2, beta_1, seed), lines, strokes)


def _numbers(beta_2, beta_1, seed):
  """Made up: rates fall in their betas, and one layer takes over what the other drops."""
  noise = np.random.default_rng([seed, int(beta_2 * 1000), int(beta_1 * 1000)]).standard_normal(4)
  total = 34 / (1 + 0.35 * np.sqrt(beta_1 * beta_2)) + 0.15 * noise[0]
  share = 1 / (1 + (beta_2 / beta_1) ** 1.6 * np.exp(0.4))
  rate_2, rate_1 = total * share, total * (1 - share)
  distortion = 9 + 78 * np.exp(-0.075 * total) + 0.2 * noise[1]
  psnr = 10 + 0.42 * total + 0.05 * noise[2]
  accuracy = 0.1 + 0.88 * (1 - np.exp(-0.32 * rate_2)) + 0.006 * noise[3]
  return {
    'elbo': 80 - distortion - total,
    'log_likelihood': 80 - distortion,
    'rate': total,
    'rate/z2': rate_2,
    'rate/z1': rate_1,
    'mse': 10 ** (-psnr / 10),
    'sigma': 10 ** (-psnr / 20),
    'psnr': psnr,
    'ssim': 1 - 10 ** (-psnr / 20),
    'probe/logistic/z2': accuracy,
    'probe_standard_error/logistic/z2': np.sqrt(accuracy * (1 - accuracy) / 300),
    'label_entropy': 2.3,
    'accuracy_bound_rate/z2': min(1.0, 0.1 + 0.9 * (1 - np.exp(-0.5 * rate_2))),
    'mutual_information/z2': 2.3 * accuracy,
  }


def _strokes(count, side):
  """Pictures [count, side, side, 1] of bent lines, made up."""
  rng = np.random.default_rng(0)
  y, x = np.mgrid[:side, :side] / (side - 1)
  found = []
  for _ in range(count):
    ends, bend = rng.uniform(0.15, 0.85, (2, 2)), rng.uniform(-0.4, 0.4, 2)
    t = np.linspace(0, 1, 24)[:, None]
    line = ends[0] * (1 - t) + ends[1] * t + bend * 4 * t * (1 - t)
    near = np.min((x[..., None] - line[:, 0]) ** 2 + (y[..., None] - line[:, 1]) ** 2, axis=-1)
    found.append(np.exp(-near / 0.003))
  return np.array(found)[..., None]


def _write(path, spec, numbers, lines, strokes):
  from tfvae.run.records import Records

  path.mkdir(parents=True)
  (path / 'spec.json').write_text(json.dumps(spec, indent=2))
  run, side = Records(path), strokes.shape[1]
  run.write_data(
    {'name': 'mnist', 'shape': [side, side, 1], 'sizes': {'train': 60000, 'test': 10000}, 'fingerprint': 0}
    | {'scaling': {'center': 0.0, 'width': 255.0}, 'observation': {'low': 0.0, 'high': 1.0, 'levels': 256}}
  )
  noise = np.random.default_rng(len(path.name)).standard_normal(lines)
  begin = {'elbo': -60.0, 'log_likelihood': -50.0, 'mse': 0.2, 'sigma': 0.45}
  names = ('elbo', 'log_likelihood', 'rate', 'rate/z2', 'rate/z1', 'mse', 'sigma')
  with open(path / 'metrics.jsonl', 'w') as file:
    for i in range(lines):
      gone = np.exp(-8 * (i + 1) / lines)
      values = {name: begin.get(name, 0.0) * gone + numbers[name] * (1 - gone) for name in names}
      values |= {'loss': -values['elbo'] + 0.3 * noise[i], 'gradient_norm': 20 + 200 * gone + noise[i]}
      values |= {'beta/z2': spec['objective']['beta']['z2'], 'beta/z1': spec['objective']['beta']['z1']}
      file.write(json.dumps({'step': (i + 1) * STEPS // lines, 'split': 'train', **values}) + '\n')
      if (i + 1) % (lines // 3) == 0:
        last = {name: values[name] for name in names} | {'psnr': -10 * float(np.log10(values['mse']))}
        file.write(json.dumps({'step': (i + 1) * STEPS // lines, 'split': 'test', 'evaluation': True, **last}) + '\n')
  (path / 'evaluation.json').write_text(json.dumps({'step': STEPS, 'split': 'test', **numbers}, indent=2))
  blur = min(1.0, 12 / numbers['rate'])
  levels = lambda images: np.round(np.clip(images, 0, 1) * 255).astype(np.float32) / 255
  arrays = {
    'x': levels(strokes),
    'reconstruction': levels(strokes * (1 - blur / 2) + blur / 2 * strokes.mean(0)),
    'prior': levels(strokes[::-1] * (1 - blur) + blur * strokes.mean(0)),
    'value_range': np.array([0.0, 1.0]),
  }
  (path / 'arrays').mkdir()
  np.savez_compressed(path / f'arrays/samples-test-{STEPS}.npz', **arrays)
  command = f'python launch.py --spec specs/hit.py --workdir {path.name}'
  start = {'begin': None, 'end': None, 'outcome': 'finished', 'command': command, 'versions': {'tfvae': 'made up'}}
  (path / 'environment.json').write_text(json.dumps({'starts': [start]}))


def draw(root: pathlib.Path) -> tuple[pathlib.Path, float]:
  """Writes the page of the runs in a directory; its path, and the seconds that took."""
  from tfvae.report import page
  from tfvae.run.collection import collect

  begin = time.perf_counter()
  path = page.draw(collect(root))
  return path, time.perf_counter() - begin


# Chromium.


def chromium() -> str | None:
  """The path of a Chromium; None: there is none."""
  names = (os.environ.get('CHROMIUM', ''), 'chromium', 'chromium-browser', 'google-chrome')
  return next((found for name in names if name and (found := shutil.which(name))), None)


def opened(path: pathlib.Path) -> float:
  """Seconds until the page was loaded, and its table drawn. Raises AssertionError: the console tells of an error."""
  from playwright.sync_api import sync_playwright

  errors = []
  with sync_playwright() as play:
    browser = play.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
    tab = browser.new_page(viewport={'width': 1280, 'height': 900})
    tab.on('pageerror', lambda error: errors.append(str(error)))
    tab.on('console', lambda message: errors.append(message.text) if message.type == 'error' else None)
    begin = time.perf_counter()
    tab.goto(path.absolute().as_uri())
    tab.wait_for_selector('#content section')
    seconds = time.perf_counter() - begin
    browser.close()
  assert not errors, errors
  return seconds


SHOTS = {  # name: (width, height, theme, the id of what is at the top, whether a run is opened)
  'desktop': (1280, 1500, 'light', None, False),
  'charts': (1280, 1500, 'light', 'total', False),
  'dark': (1280, 1150, 'dark', 'space', False),
  'run': (1280, 1000, 'light', None, True),
  'phone': (390, 844, 'light', None, False),
  'phone-run': (390, 844, 'dark', None, True),
}


def screenshots(root: pathlib.Path, into: pathlib.Path, name: str) -> list[pathlib.Path]:
  """Pictures of the page of the runs in a directory, each of a part of it."""
  from PIL import Image
  from playwright.sync_api import sync_playwright

  page, _ = draw(root)
  paths = []
  with sync_playwright() as play:
    browser = play.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
    for shot, (width, height, theme, top, opens) in SHOTS.items():
      tab = browser.new_page(viewport={'width': width, 'height': height}, color_scheme=theme)
      tab.goto(page.absolute().as_uri())
      if top and tab.locator(f'#{top}').count():
        tab.evaluate(f"document.getElementById('{top}').scrollIntoView({{behavior: 'instant'}})")
      if opens:
        tab.locator('.runs tbody tr a').first.click()
      tab.wait_for_timeout(2500)  # charts in sight are drawn
      paths.append(into / f'{name}-{shot}.png')
      tab.screenshot(path=paths[-1])
      tab.close()
      Image.open(paths[-1]).convert('RGB').save(paths[-1], optimize=True)
    browser.close()
  return paths


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('what', nargs='?', default='measure', choices=('measure', 'screenshots'))
  parser.add_argument('--side', type=int, default=21, help='betas of each layer')
  parser.add_argument('--seeds', type=int, default=1, help='of each pair of betas')
  parser.add_argument('--workdir', type=pathlib.Path, help='measure: a new directory, in which runs and page stay')
  parser.add_argument('--into', type=pathlib.Path, default=ROOT / 'docs/images')
  parser.add_argument('--name', default='report', help='with which the names of screenshots begin')
  args = parser.parse_args()
  sys.path.insert(0, str(ROOT))
  if args.what == 'screenshots':
    for path in screenshots(args.workdir, args.into, args.name):
      print(f'{path}: {path.stat().st_size / 1e3:.0f} kB')
    return
  root = args.workdir or pathlib.Path(tempfile.mkdtemp())
  try:
    if hasattr(os, 'sched_setaffinity'):
      os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    begin = time.perf_counter()
    make(root, [round(float(beta), 4) for beta in np.geomspace(0.1, 10, args.side)], args.seeds)
    print(f'{args.side**2 * args.seeds} runs of made-up numbers, written in {time.perf_counter() - begin:.1f} s')
    path, seconds = draw(root)
    print(f'{path}: {seconds:.1f} s on one core, {path.stat().st_size / 1e6:.1f} MB')
    if chromium():
      print(f'opened by {chromium()}: {opened(path):.1f} s until its table was there')
    else:
      print('no Chromium was found: the page was not opened')
  finally:
    if args.workdir is None:
      shutil.rmtree(root, ignore_errors=True)


if __name__ == '__main__':
  main()
