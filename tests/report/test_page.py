"""report.html: its document by hand, what may be in it, and the page in a browser."""

import base64
import contextlib
import importlib.util
import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from tfvae import commands
from tfvae import spec as spec_lib
from tfvae.errors import RunError
from tfvae.report import page
from tfvae.report.page.curves import MOST_SERIES, curves, number, thinned
from tfvae.report.page.document import document
from tfvae.report.page.pictures import smallest, thumbnails
from tfvae.run import meanings, metrics
from tfvae.run.collection import Entry, collect
from tfvae.run.directory import Directory
from tfvae.theory.information import accuracy_bound


def load_benchmark():
  location = importlib.util.spec_from_file_location('report_benchmark', ROOT / 'benchmarks/report.py')
  benchmark = importlib.util.module_from_spec(location)
  location.loader.exec_module(benchmark)
  return benchmark


def leave(
  path, numbers=None, rows=(), outcome='finished', command='python launch.py --spec specs/hit.py', of='hit', **fields
):
  """A run directory as training leaves it, of hand-made numbers {split: {name: value}} and lines of metrics.jsonl."""
  spec = spec_lib.load(ROOT / f'specs/{of}.py', {'train.steps': 30, **fields})
  path.mkdir(parents=True)
  (path / 'spec.json').write_text(spec_lib.to_json(spec))
  (path / 'metrics.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
  start = {'begin': '2026-01-01', 'end': '2026-01-02', 'outcome': outcome, 'command': command, 'versions': {}}
  (path / 'environment.json').write_text(json.dumps({'starts': [start]}))
  for split, own in (numbers or {}).items():
    name = 'evaluation.json' if split == 'test' else f'evaluation-{split}.json'
    (path / name).write_text(json.dumps({'step': 30, 'split': split, **own}))
  return path


def held(path):
  """(The document of a page, the page without it and without Plotly.) The document is strict JSON."""
  from plotly.offline import get_plotlyjs

  text = path.read_text(encoding='utf-8')
  assert text.count(get_plotlyjs()) == 1
  text = text.replace(get_plotlyjs(), '')
  found = re.search(r'<script type="application/json" id="document">(.*?)</script>', text, re.S)

  def refuse(constant):
    raise AssertionError(f'{constant} is no JSON')

  return json.loads(found[1], parse_constant=refuse), text.replace(found[1], '')


def test_what_a_page_says_of_runs(tmp_path):
  numbers = {'test': {'elbo': 1 / 3, 'rate/z2': 2.0, 'rate_standard_error/z2': 0.5}, 'train': {'elbo': 4.0}}
  rows = [{'step': 10 * i, 'split': 'train', 'elbo': i / 3, 'rate/z2': float('nan')} for i in (1, 2, 3)]
  leave(tmp_path / 'a', numbers, rows, **{'objective.beta.z2': 2.0})
  leave(tmp_path / 'b', {'test': {'elbo': float('inf')}}, **{'objective.beta.z2': 0.5, 'seed': 3})
  leave(tmp_path / 'c', {'test': {'elbo': 5.0}}, **{'objective.beta.z2': 2.0, 'seed': 3})
  shown, rest = held(page.draw(collect(tmp_path)))
  assert shown['differing'] == ['seed', 'objective.beta.z2'] and not shown['alone']
  columns = {column['id']: i for i, column in enumerate(shown['columns'])}
  assert list(columns) == [*shown['differing'], *(f'test/{name}' for name in numbers['test']), 'train/elbo']
  a, b, c = shown['runs']
  assert a['values'] == [0, 2, 0.3333333, 2, 0.5, 4]
  assert b['values'] == [3, 0.5, None, None, None, None]  # not finite, and absent
  rate = shown['columns'][columns['test/rate/z2']]
  assert rate['error'] == 'test/rate_standard_error/z2' and rate['unit'] == 'nats' and rate['main']
  assert rate['text'] == meanings.meaning('rate/z2').text
  assert a['group'] == c['group'] != b['group']  # they differ in their seeds alone
  assert a['changed']['objective.beta.z2'] == '2' and shown['fields']['objective.beta.z2']['default'] == '1'
  assert 'rate of z2' in shown['fields']['objective.beta.z2']['text']
  assert dict(shown['common'])['train.steps'] == '30' and 'seed' not in dict(shown['common'])
  assert a['curves']['train'] == {'step': [10, 20, 30], 'series': {'elbo': [0.3333, 0.6667, 1], 'rate/z2': [None] * 3}}
  assert {**shown['spec'], **b['spec']}['objective.beta.z2'] == '0.5' and a['spec'] == {}
  assert [run['kind'] for run in shown['runs']] == ['betas'] * 3
  assert a['commands'][0] == ['as it was started', 'python launch.py --spec specs/hit.py']
  assert f'--spec {tmp_path}/a/spec.json' in a['commands'][1][1]
  assert not re.search(r'https?:|//cdn|@import|url\(|<link(?! rel="icon" href="data:)', rest)  # nothing is fetched


def test_equal_betas_and_targets_of_rates_are_told(tmp_path):
  leave(tmp_path / 'equal', **{'objective.beta.z2': 3.0, 'objective.beta.z1': 3.0})
  leave(tmp_path / 'other', **{'objective.beta.z2': 3.0})
  leave(tmp_path / 'targets', **{'constraint.names': 'rate', 'constraint.rate.z2': 8, 'constraint.rate.z1': 16})
  leave(tmp_path / 'some', **{'constraint.names': 'rate', 'constraint.rate.z2': 8, 'objective.beta.z1': 3.0})
  shown = document(collect(tmp_path))
  kinds = {run['name']: run['kind'] for run in shown['runs']}
  assert kinds == {'equal': 'equal', 'other': 'betas', 'targets': 'targets', 'some': 'targets'}
  # What does not hold has no value: betas of layers at targets, targets of layers without.
  columns = [column['id'] for column in shown['columns']]
  assert set(columns) == {f'{of}.{z}' for of in ('objective.beta', 'constraint.rate') for z in ('z2', 'z1')} | {
    'constraint.names'
  }
  values = {run['name']: dict(zip(columns, run['values'], strict=True)) for run in shown['runs']}
  pick = lambda of: {name: (own[f'{of}.z2'], own[f'{of}.z1']) for name, own in values.items()}
  assert pick('objective.beta') == {'equal': (3, 3), 'other': (3, 1), 'targets': (None, None), 'some': (None, 3)}
  none = (None, None)
  assert pick('constraint.rate') == {'equal': none, 'other': none, 'targets': (8, 16), 'some': (8, None)}


def test_numbers_of_an_earlier_step_are_told(tmp_path):
  for name, step in (('a', 30), ('b', 10)):
    path = leave(tmp_path / name, {'test': {'elbo': 1.0}}, seed=int(step))
    (path / 'saved.json').write_text('{"step": 30}')
    (path / 'evaluations').mkdir()
    (path / 'evaluations/test-30.json').write_text('{}')
    (path / 'evaluation.json').write_text(json.dumps({'step': step, 'split': 'test', 'elbo': 1.0}))
  shown = document(collect(tmp_path))
  assert [run['evaluated'] for run in shown['runs']] == [{'test': 30}, {'test': 10}]
  assert shown['problems'] == ['numbers of the test split are of another step than the last one: b (step 10 of 30)']


def test_what_charts_show_beside_the_runs(tmp_path):
  """The hull over the total rate, the bound of accuracies, the hull over two layers, what to choose: by hand."""
  points = [(1.0, 1.0, 5.0), (4.0, 1.0, 6.0), (1.0, 4.0, 8.0), (4.0, 4.0, 9.0), (2.5, 2.5, 1.0)]
  for i, (lower, upper, elbo) in enumerate(points):
    numbers = {'rate': lower + upper, 'rate/z2': upper, 'rate/z1': lower, 'elbo': elbo, 'label_entropy': np.log(10)}
    leave(tmp_path / str(i), {'test': numbers}, **{'objective.beta.z2': 1.0 + i})
  leave(tmp_path / 'none', **{'objective.beta.z2': 9.0})
  found = document(collect(tmp_path))['analysis']
  assert found['hulls']['test/elbo'] == [[0, 2, 3]]  # not 1, which is worse at the rate of 2, nor 4, far below
  (bound,) = found['bounds']
  assert bound['x'][0] == 0 and bound['y'][0] == pytest.approx(0.1, abs=1e-3) and bound['y'][-1] == 1
  assert (np.diff(bound['y']) >= 0).all() and bound['x'][-1] == 8
  assert found['space']['y'] == 'test/rate/z2' and found['space']['x'] == 'test/rate/z1'
  facets = found['space']['hulls']['test/elbo']
  assert {i for facet in facets for i in facet} == {0, 1, 2, 3} and len(facets) == 2
  sampling = next(choice for choice in found['choices'] if choice['purpose'] == 'sampling')
  assert sampling['runs'] == [3] and sampling['value'] == [9, None, 1] and sampling['fields'] == 'objective.beta.z2=4'


def test_runs_of_all_kinds_are_listed(tmp_path):
  """Interrupted, failed, without numbers, classifiers and studies; a damaged one is told of."""
  interrupted = leave(tmp_path / 'interrupted', outcome='SIGTERM')
  (interrupted / 'saved.json').write_text('{"step": 20}')
  leave(tmp_path / 'failed', outcome='a loss that is not finite')
  leave(tmp_path / 'classifier', {'test': {'accuracy': 0.5}}, of='classifier')
  study = spec_lib.load(ROOT / 'specs/collapse.py')
  (tmp_path / 'study').mkdir()
  (tmp_path / 'study/spec.json').write_text(spec_lib.to_json(study))
  (tmp_path / 'damaged').mkdir()
  (tmp_path / 'damaged/spec.json').write_text('{"seed": ')
  broken = leave(tmp_path / 'broken', {'test': {'elbo': 1.0}})
  (broken / 'data.json').write_text('[]')
  (broken / 'arrays').mkdir()
  (broken / 'arrays/samples-test-30.npz').write_bytes(b'no archive')
  shown, _ = held(page.draw(collect(tmp_path)))
  runs = {run['name']: run for run in shown['runs']}
  assert set(runs) == {'broken', 'classifier', 'failed', 'interrupted', 'study'}
  assert runs['failed']['status'] == 'failed' and runs['failed']['message'] == 'a loss that is not finite'
  assert (runs['interrupted']['status'], runs['interrupted']['step']) == ('interrupted', 20)
  assert 1 in runs['broken']['values'] and runs['broken']['pictures'] == []
  assert any('damaged' in problem for problem in shown['problems'])


def test_names_and_messages_cannot_break_the_page(tmp_path):
  name = 'a\'"<b>&amp; </script><!--<script>é\u2028${x}{{plotly}}'
  leave(
    tmp_path / name.replace('/', '_'), outcome='</script><img src=x onerror=alert(1)>', command='launch.py {{script}}'
  )
  leave(tmp_path / 'b', **{'seed': 1})
  shown, rest = held(page.draw(collect(tmp_path)))
  (run,) = [run for run in shown['runs'] if run['name'] == name.replace('/', '_')]
  assert run['message'] == '</script><img src=x onerror=alert(1)>'
  assert rest.count('</script>') == 3 and 'onerror' not in rest and '{{' not in rest


def test_curves_are_thinned_to_what_matters(tmp_path):
  rng = np.random.default_rng(0)
  series = [rng.standard_normal(1000).cumsum() for _ in range(4)]
  series[1][:5] = np.nan
  rows = thinned(series, 100)
  assert len(rows) <= 100 and rows[0] == 0 and rows[-1] == 999 and (np.diff(rows) > 0).all()
  for values in series:
    assert {np.nanargmin(values), np.nanargmax(values)} <= set(rows)
  assert np.diff(rows).max() <= 25  # evenly, but for the extremes
  assert thinned(series, 1000).tolist() == list(range(1000))
  other = thinned([rng.standard_normal(1000).cumsum() for _ in range(40)], 100)
  assert len(set(rows) & set(other)) >= 50  # so that seeds have means
  many = [rng.standard_normal(1000) for _ in range(200)]
  assert len(thinned(many, 100)) == 100
  lines = [{'step': i, 'split': 'train', 'elbo': float(values)} for i, values in enumerate(series[0])]
  found = curves(Directory(leave(tmp_path / 'a', rows=lines)).metrics, 100, 4)['train']
  assert len(found['step']) == len(found['series']['elbo']) == 100
  assert found['series']['elbo'][0] == number(series[0][0], 4)
  assert [number(value, 3) for value in (1.23456, 2.0, np.inf, np.nan, -1e-9)] == [1.23, 2, None, None, -1e-9]


def test_steps_of_a_layer_are_cut_before_others(tmp_path):
  steps = {f'rate/z/{i}': 1.0 for i in range(60)}
  found = curves(
    Directory(leave(tmp_path / 'a', rows=[{'step': 1, 'split': 'train', **steps, 'mse': 0.1}])).metrics, 9, 4
  )
  assert 'mse' in found['train']['series'] and len(found['train']['series']) == MOST_SERIES


def pixels(picture):
  return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture['src'].partition(',')[2]))).convert('RGB'))


@pytest.mark.parametrize('shape', [(8, 8, 1), (32, 32, 3)])
def test_thumbnails_are_small(tmp_path, shape):
  """Pixels are those of the data where they fit; noise in colours is made to fit."""
  rng = np.random.default_rng(0)
  run = Directory(leave(tmp_path / 'a', {'test': {'elbo': 1.0}}))
  images = {name: rng.uniform(size=(64, *shape)).astype(np.float32) for name in ('x', 'reconstruction', 'prior')}
  run.write_found(30, 'test', 'samples', {}, {}, images | {'value_range': np.array([0.0, 1.0])})
  found = thumbnails(Entry(run, 'a'), 8192, 16)
  assert [picture['title'].partition(':')[0] for picture in found] == ['samples', 'reconstructions']
  for picture in found:
    assert len(base64.b64decode(picture['src'].partition(',')[2])) <= 8192
    assert pixels(picture).shape[:2] == (picture['height'], picture['width'])
  if shape == (8, 8, 1):
    shown = pixels(found[0])[..., 0]
    np.testing.assert_array_equal(shown[:8, :8], np.round(images['prior'][0, ..., 0] * 255))
    pairs = pixels(found[1])[..., 0]
    np.testing.assert_array_equal(pairs[:8, :8], np.round(images['x'][0, ..., 0] * 255))
    np.testing.assert_array_equal(pairs[9:17, :8], np.round(images['reconstruction'][0, ..., 0] * 255))


def test_a_run_without_arrays_has_small_figures(tmp_path):
  run = Directory(leave(tmp_path / 'a', {'test': {'elbo': 1.0}}))
  run.figures.mkdir()
  Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 1200, 3), np.uint8)).save(run.figures / 'points.png')
  (run.figures / 'latents.png').write_bytes(b'no picture')
  (found,) = thumbnails(Entry(run, 'a'), 8192)
  assert found['title'] == 'points' and not found['pixels'] and found['width'] * 3 == found['height'] * 4
  assert len(base64.b64decode(found['src'].partition(',')[2])) <= 8192
  assert smallest(Image.new('L', (300, 300)), 10) is None  # nothing is that small


def test_every_main_number_has_its_line():
  names = [*metrics.MAIN, *(f'{name}/z1' for name in metrics.LISTED)]
  assert not [name for name in names if not meanings.meaning(name).text]
  assert meanings.meaning('rate/z/3') == meanings.meaning('rate/z1') != meanings.meaning('rate')
  assert meanings.meaning('mse').better == -1 and meanings.meaning('elbo').better == 1
  assert meanings.meaning('no such number').text == ''


def test_a_run_with_its_page_goes_on(tmp_path):
  """The directory is still a run's; a page that cannot be written is an error that says so."""
  path = leave(tmp_path / 'a')
  shown, _ = held(page.draw(collect(path)))
  assert shown['alone'] and shown['title'] == 'a' and len(shown['runs']) == 1
  run = Directory(path)
  run.open(run.read_spec())
  run.close()
  (path / 'report.html').unlink()
  (path / 'report.html').mkdir()
  with pytest.raises(RunError, match=r'cannot be written'):
    page.draw(collect(path))
  with pytest.raises(RunError, match='no run in it'):
    commands.report(path / 'report.html')


def test_the_command_imports_no_tensorflow(tmp_path):
  leave(tmp_path / 'a', {'test': {'elbo': 1.0}})
  leave(tmp_path / 'b', {'test': {'elbo': 2.0}}, seed=1)
  code = (
    'import atexit, runpy, sys; atexit.register(lambda: print("tensorflow" in sys.modules)); '
    f'sys.argv = ["launch.py", "--mode=report", "--workdir", {str(tmp_path)!r}]; '
    'runpy.run_path("launch.py", run_name="__main__")'
  )
  done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, timeout=60)
  assert done.returncode == 0, done.stderr
  assert done.stdout.splitlines()[-1] == 'False' and str(tmp_path / 'report.html') in done.stdout


# In a browser.

CHARTS = ('total', 'plane', 'layers', 'space', 'heat-0', 'heat-1', 'curves')


@pytest.fixture(scope='module')
def browser():
  playwright = pytest.importorskip('playwright.sync_api', reason='the browser is not tried: playwright is missing')
  benchmark = load_benchmark()
  if (found := benchmark.chromium()) is None:
    pytest.skip('the browser is not tried: no chromium is found ($CHROMIUM, or on the PATH)')
  with playwright.sync_playwright() as play:
    started = play.chromium.launch(executable_path=found, args=benchmark.ARGUMENTS)
    yield started
    started.close()


@contextlib.contextmanager
def opened(browser, path):
  """A page of 900 x 700 pixels. Raises AssertionError: its console told of an error, or it asked for the network."""
  tab, errors = browser.new_page(viewport={'width': 900, 'height': 700}, color_scheme='light'), []
  tab.set_default_timeout(20_000)
  tab.on('pageerror', lambda error: errors.append(str(error)))
  tab.on('console', lambda message: errors.append(message.text) if message.type == 'error' else None)
  tab.on('request', lambda of: None if of.url.startswith(('file:', 'data:', 'blob:')) else errors.append(of.url))
  tab.goto(path.as_uri())
  yield tab
  tab.close()
  assert not errors


@pytest.fixture(scope='module')
def grid(tmp_path_factory):
  """The page of 2 x 2 betas x 2 seeds, of made-up numbers."""
  root = tmp_path_factory.mktemp('page') / 'grid'
  load_benchmark().make(root, [0.5, 2.0], seeds=2, lines=30, side=8)
  return page.draw(collect(root))


@pytest.fixture(scope='module')
def tab(browser, grid):
  """That page, opened once for all tests."""
  with opened(browser, grid) as tab:
    yield tab


def hues(chart):
  """How many colours, sorted by hue, are in the area of a chart in which its data are: axes, texts and grids are grey.

  A line of a bound alone has one.
  """
  area = chart.locator('.gl-container canvas, .nsewdrag').first.bounding_box()
  box = chart.bounding_box()
  left, top = (area[side] - box[side] + 3 for side in 'xy')
  picture = Image.open(io.BytesIO(chart.screenshot())).convert('RGB')
  inside = picture.crop((left, top, left + area['width'] - 6, top + area['height'] - 6))
  hue, saturation, value = np.moveaxis(np.asarray(inside.convert('HSV'), int), -1, 0)
  counts = np.bincount(hue[(saturation > 90) & (value > 50)] * 24 // 256, minlength=24)
  return int((counts >= 12).sum())


def painted(tab, name):
  """Scrolls to a chart, waits until it is drawn, and gives it."""
  chart = tab.locator(f'[data-chart="{name}"]')
  chart.scroll_into_view_if_needed()
  chart.locator('.main-svg').first.wait_for()
  return chart


def names_shown(tab):
  return tab.eval_on_selector_all('.runs tbody tr[data-run]', 'rows => rows.map(row => row.dataset.run)')


def test_the_page_of_a_grid(tab, grid):
  for name in CHARTS:
    assert hues(painted(tab, name)) > 1, name
  buttons = tab.eval_on_selector_all('.modebar-btn', 'all => all.map(button => button.dataset.title)')
  assert 'Download plot' in buttons and not [title for title in buttons if 'hare' in title]  # nothing is sent anywhere
  shown = document(collect(grid.parent))
  elbo = next(i for i, column in enumerate(shown['columns']) if column['id'] == 'test/elbo')

  # The table: by its header, there and back.
  header = tab.locator('th[data-column="test/elbo"] button')
  header.click()
  best = [run['name'] for run in sorted(shown['runs'], key=lambda run: -run['values'][elbo])]
  assert names_shown(tab) == best
  assert tab.locator('th[data-column="test/elbo"]').get_attribute('aria-sort') == 'descending'
  tab.keyboard.press('Enter')  # it has the focus
  assert names_shown(tab) == best[::-1]

  # The filter: numbers, words, what is not understood.
  threshold = sorted(run['values'][elbo] for run in shown['runs'])[4]
  tab.locator('#filter').fill(f'objective.beta.z2 > 1 elbo >= {threshold}')
  want = {run['name'] for run in shown['runs'] if 'z2=2,' in run['name'] and run['values'][elbo] >= threshold}
  assert set(names_shown(tab)) == want and len(want) < 4
  tab.locator('#filter').fill('seed=0 -"z2=2,"')
  assert set(names_shown(tab)) == {f'beta.z2=0.5,beta.z1={beta},seed=0' for beta in ('0.5', '2')}
  tab.locator('#filter').fill('no.such > 1')
  assert 'no such column' in tab.locator('.problem').inner_text() and len(names_shown(tab)) == 8
  tab.locator('#filter').fill('')

  # Means over seeds, beside NumPy's.
  tab.locator('#means button').nth(1).click()
  own = [run['values'][elbo] for run in shown['runs'] if run['group'] == shown['runs'][0]['group']]
  first = tab.locator('#seeds tbody tr').first.inner_text()
  assert f'{np.mean(own):.2f} \u00b1 {float(f"{np.std(own, ddof=1):.2g}"):g}' in first.replace('\u2212', '-')
  tab.locator('#means button').nth(0).click()

  # Dark.
  before = tab.evaluate('getComputedStyle(document.body).backgroundColor')
  tab.locator('#theme').click()
  assert tab.evaluate('getComputedStyle(document.body).backgroundColor') != before
  assert hues(painted(tab, 'total')) > 1


def test_a_point_opens_its_run(tab):
  chart = painted(tab, 'total')
  point = chart.locator('.scatterlayer .point').first
  box = point.bounding_box()
  tab.mouse.move(box['x'] + box['width'] / 2, box['y'] + box['height'] / 2)
  chart.locator('.hoverlayer .hovertext').first.wait_for()
  tab.mouse.click(box['x'] + box['width'] / 2, box['y'] + box['height'] / 2)
  shown = tab.locator('#opened[open]')
  shown.wait_for()
  name = shown.locator('h2').first.inner_text()
  assert name in names_shown(tab) and 'run=' in tab.url
  assert shown.locator('.pictures img').count() == 2
  told = shown.inner_text()
  assert 'objective.beta.z2' in told and 'elbo' in told and 'python launch.py' in told
  assert shown.locator('[data-chart^="curves-"]').count() > 4
  tab.go_back()
  shown.wait_for(state='hidden')
  tab.locator('.runs tbody tr a').nth(2).click()
  shown.wait_for()
  assert shown.locator('h2').first.inner_text() == names_shown(tab)[2]
  tab.keyboard.press('Escape')
  shown.wait_for(state='hidden')
  assert '#run' not in tab.url


def test_a_phone_needs_no_sideways_scrolling(tab):
  tab.set_viewport_size({'width': 390, 'height': 844})
  wide = 'document.documentElement.scrollWidth'
  assert tab.evaluate(wide) == 390
  for name in ('total', 'heat-0'):
    box = painted(tab, name).bounding_box()
    assert box['x'] >= 0 and box['x'] + box['width'] <= 390
  assert tab.evaluate(wide) == 390
  tab.locator('.runs tbody tr a').first.click()
  tab.locator('#opened[open]').wait_for()
  assert tab.evaluate('document.querySelector("#opened .body").scrollWidth') <= 390


def test_the_page_of_a_run(browser, grid):
  run = sorted(path for path in grid.parent.iterdir() if path.is_dir())[0]
  with opened(browser, page.draw(collect(run))) as tab:
    assert tab.locator('main h2').first.inner_text() == 'What differs from the defaults'
    assert 'python launch.py' in tab.locator('#again').inner_text()
    assert tab.locator('#pictures img').count() == 2
    assert hues(painted(tab, 'curves-elbo')) > 1 and hues(painted(tab, 'curves-rate')) > 1
    assert 'a lower bound of log p(x)' in tab.locator('#numbers').inner_text()


def test_runs_of_all_kinds_open(browser, tmp_path):
  """Without numbers, of a classifier, failed, of a name that is HTML: what is text stays text."""
  name = '<img src=x onerror="document.title=1"> & \'b\' %{x}'
  outcome = '</script><script>document.title = 1</script>'
  leave(tmp_path / name, {'test': {'elbo': 1.0, 'rate': 2.0, 'log_likelihood': 3.0}}, outcome=outcome)
  leave(tmp_path / 'b', {'test': {'elbo': 2.0, 'rate': 1.0, 'log_likelihood': 3.0}}, **{'objective.beta.z2': 2.0})
  leave(tmp_path / 'failed', outcome=outcome, **{'objective.beta.z2': 3.0})
  leave(tmp_path / 'classifier', {'test': {'accuracy': 0.5}}, of='classifier')
  with opened(browser, page.draw(collect(tmp_path))) as tab:
    assert sorted(names_shown(tab)) == sorted([name, 'b', 'classifier', 'failed'])
    assert outcome in tab.locator('#problems').inner_text()
    assert hues(painted(tab, 'plane')) > 1
    for at in range(4):
      tab.locator('.runs tbody tr a').nth(at).click()
      assert tab.locator('#opened h2').first.inner_text() == names_shown(tab)[at]
      tab.keyboard.press('Escape')
      tab.locator('#opened').wait_for(state='hidden')
    assert tab.title().endswith('tfvae report') and tab.locator('main img[src="x"]').count() == 0


def traces(tab, name):
  """{name: trace} of what a chart is drawn from."""
  painted(tab, name)
  own = tab.evaluate(
    """name => document.querySelector(`[data-chart="${name}"]`).data.map(({name, x, y, z, text, marker}) =>
      [name ?? '', {x, y, z, text, color: marker?.color}])""",
    name,
  )
  return dict(own)


def test_rates_at_targets_among_betas(browser, tmp_path):
  """They have no place in heat maps of betas, and are grey among their colours; what diverged is counted as such."""
  rows = [{'step': step, 'split': 'test', 'evaluation': True, 'elbo': float(step)} for step in (10, 20, 30)]
  common = {'label_entropy': 2.3, 'labels': 10.0, 'log_likelihood': -1.0}

  def run(name, elbo, rate, z2=1.0, z1=1.0, **fields):
    probe = {} if rate > 2 else {'probe/knn/z2': 0.3}
    numbers = {'test': {'elbo': elbo, 'rate': rate, **probe, **common}}
    leave(tmp_path / name, numbers, rows, **{'objective.beta.z2': z2, 'objective.beta.z1': z1}, **fields)

  for i, (z2, z1) in enumerate(((1.0, 1.0), (1.0, 2.0), (2.0, 1.0), (2.0, 2.0))):
    run(f'b{i}', float(i), 1.0 - 0.1 * i, z2, z1)
  run('diverged', float('nan'), 0.5, 2.0, 2.0, seed=1)
  targets = {'constraint.names': 'rate', 'constraint.rate.z2': 8, 'constraint.rate.z1': 16}
  run('targets', 1000.0, 24.0, **targets)
  with opened(browser, page.draw(collect(tmp_path))) as tab:
    (heat,) = traces(tab, 'heat-0').values()
    assert heat['z'] == [[0, 2], [1, 3]] and '(1 of 2 runs)' in heat['text'][1][1]
    shapes = tab.evaluate(
      'document.querySelector(\'[data-chart="heat-0"]\').layout.shapes.map(one => [one.x0, one.y0])'
    )
    assert shapes == [[-0.5, -0.5], [0.5, 0.5]]
    assert 'Not here: 1 run' in tab.locator('#heat figcaption').first.inner_text()
    plane = traces(tab, 'plane')
    none = next(trace for name, trace in plane.items() if '(none)' in name)
    assert none['x'] == [24] and none['color'] == '#646c72'
    assert sum(len(trace['x']) for name, trace in plane.items() if 'beta' in name) == 6
    assert any('(none)' in name for name in traces(tab, 'curves'))
    bound = next(trace for name, trace in traces(tab, 'total').items() if name.startswith('bound'))
    assert bound['x'][-1] == pytest.approx(1.03) and bound['y'][-1] == pytest.approx(
      accuracy_bound(1.03, 2.3, 10), abs=0.01
    )
    tab.locator('#means button').nth(1).click()
    assert '(1 of 2 runs)' in tab.locator('#seeds').inner_text()
    tab.locator('#filter').fill('data.name = digits')
    assert len(names_shown(tab)) == 6 and not tab.locator('.problem').inner_text()
    tab.locator('#filter').fill('data.name = mnist')
    assert names_shown(tab) == []


@pytest.mark.slow
def test_441_runs(browser, tmp_path):
  benchmark = load_benchmark()
  benchmark.make(tmp_path / 'runs', [round(float(beta), 4) for beta in np.geomspace(0.1, 10, 21)])
  path, seconds = benchmark.draw(tmp_path / 'runs')
  print(f'441 runs: {seconds:.1f} s, {path.stat().st_size / 1e6:.1f} MB')
  assert path.stat().st_size <= 20e6 and seconds < 60
  shown, _ = held(path)
  assert len(shown['runs']) == 441
  for run in shown['runs']:
    assert max(len(split['step']) for split in run['curves'].values()) <= 100
    assert all(len(picture['src']) * 3 / 4 <= 8192 + 32 for picture in run['pictures'])
  with opened(browser, path) as tab:
    for name in CHARTS:
      assert hues(painted(tab, name)) > 1, name
    tab.locator('#filter').fill('beta.z2 > 1 beta.z1 <= 0.2')
    assert len(names_shown(tab)) == 10 * 4
    tab.locator('.runs tbody tr a').first.click()
    tab.locator('#opened[open]').wait_for()
