"""Tables: what is read is what NumPy wrote, and every mistake is named with its field, file, line and column."""

import csv
import gzip
import io
import itertools
import os
import pathlib
import pickle
import zipfile

import numpy as np
import pytest

from tfvae import spec as spec_lib
from tfvae.data import csv_table, table
from tfvae.data.dataset import make
from tfvae.errors import UserError

PLAIN = 'a,b,c\n1,2,3\n4,5,6\n7,8,9\n'
NUMBERS = np.arange(1.0, 10.0).reshape(3, 3)


def section_of(path='', **fields):
  section = spec_lib.base().data
  section.update({'path': str(path), **fields})
  return section


@pytest.fixture
def read(tmp_path):
  """read(content, name, **fields) -> Stored, of a file of this text, these bytes, or these arrays."""

  def call(content, name='mine.csv', **fields):
    path = tmp_path / name
    if isinstance(content, dict):
      np.savez(path, **content)
    else:
      path.write_bytes(content.encode() if isinstance(content, str) else content)
    return table.load(section_of(path, **fields))

  return call


def test_the_breast_cancer_table():
  from sklearn.datasets import load_breast_cancer

  stored, known = table.load(section_of()), load_breast_cancer()
  train = stored.splits['train']
  np.testing.assert_array_equal(train['x'], known.data)
  np.testing.assert_array_equal(train['label'], known.target)
  assert (stored.name, stored.limits, train['label'].dtype) == ('breast_cancer', None, np.int32)
  assert stored.columns == tuple(known.feature_names) and train['x'].shape == (569, 30)
  data = make(stored, section_of(scaling='standard', test=0.2), 0)
  assert (data.size('train'), data.size('test')) == (455, 114)
  np.testing.assert_allclose(data.splits['train']['x'].mean(0, dtype=np.float64), 0, atol=1e-6)


@pytest.mark.parametrize(
  ('text', 'fields'),
  [
    (PLAIN, {}),
    (PLAIN.partition('\n')[2], {}),
    (PLAIN.replace('\n', '\r\n'), {}),
    ('\ufeff' + PLAIN, {}),
    ('\ufeff' + PLAIN.partition('\n')[2], {}),
    ('\n' + PLAIN + '\n\n', {}),
    (PLAIN.rstrip(), {}),
    (PLAIN.replace('4', '  4.0 ').replace('5', '"5"').replace('6', '+6e0'), {}),
    (PLAIN.replace('5', ' "5"').replace('7\n', '7\n\n'), {}),
    (PLAIN.replace('a', '"the, ""a"""'), {}),
    (PLAIN.replace('a', '0').replace('b', '1').replace('c', '2'), {'header': 'yes'}),
    (PLAIN.partition('\n')[2], {'header': 'no'}),
    (PLAIN.replace(',', ';'), {'separator': 'semicolon'}),
    (PLAIN.replace(',', '\t'), {'separator': 'tab'}),
    (PLAIN.replace(',', ' '), {'separator': 'space'}),
    ('  ' + PLAIN.replace(',', '   ').replace('\n', '  \n '), {'separator': 'space'}),
  ],
)
def test_forms_of_csv(read, text, fields):
  for name, content in (
    ('mine.csv', text.encode()),
    ('mine.data', text.encode()),
    ('a.gz', gzip.compress(text.encode())),
  ):
    stored = read(content, name, **fields)
    assert stored.splits['train'].keys() == {'x'} and stored.limits is None and stored.name == name.partition('.')[0]
    np.testing.assert_array_equal(stored.splits['train']['x'], NUMBERS)
    assert len(stored.columns) in (0, 3)


def test_every_bit_is_read_and_both_readers_agree(read, tmp_path):
  rng = np.random.default_rng(0)
  x = rng.standard_normal((2000, 5)) * 10.0 ** rng.integers(-300, 300, (2000, 5))
  text = io.StringIO()
  np.savetxt(text, np.c_[np.arange(2000) % 7, x], fmt='%.18e', delimiter=',')
  stored = read(gzip.compress(text.getvalue().encode()), 'SUSY.csv.gz', label='0')
  assert stored.name == 'SUSY' and stored.columns == ()
  np.testing.assert_array_equal(stored.splits['train']['x'], x)
  np.testing.assert_array_equal(stored.splits['train']['label'], np.arange(2000) % 7)
  form = csv_table._form(tmp_path / 'SUSY.csv.gz', section_of(label='0'))
  for reader in (csv_table._read_fast, csv_table._read_slowly):
    again, label = reader(form)
    assert again.dtype == np.float64 and label.dtype == np.int32
    np.testing.assert_array_equal(again, x)
    np.testing.assert_array_equal(label, stored.splits['train']['label'])


def test_columns_by_name(read):
  stored = read('mass,"the class",speed\n1,0,2\n3,1,4\n', label='the class')
  assert stored.columns == ('mass', 'speed')
  np.testing.assert_array_equal(stored.splits['train']['x'], [[1, 2], [3, 4]])
  assert read('9,8\n1,2\n3,4\n', header='yes', label='8').columns == ('9',)  # a name wins over a number


@pytest.mark.parametrize(
  ('labels', 'expected', 'dtype'),
  [
    (('3', '-1', '2'), (3, -1, 2), np.int32),
    (('1.000e+00', '+0', '2.'), (1, 0, 2), np.int32),
    (('0.5', '1', '-2'), (0.5, 1, -2), np.float32),
    (('3000000000', '1', '2'), (3e9, 1, 2), np.float32),
    (('pear', 'apple', 'fig'), (2, 0, 1), np.int32),
    (('"fig, dried"', ' b ', 'b'), (1, 0, 0), np.int32),
    (('"b"', ' "b"', '"a"'), (1, 1, 0), np.int32),
    (('2', 'apple', '10'), (1, 2, 0), np.int32),
    (('b', '1', 'nan'), (1, 0, 2), np.int32),
    (('1', 'nan', 'b'), (0, 2, 1), np.int32),
    (('\u00fc', '\u00e4', 'z'), (2, 1, 0), np.int32),
  ],
)
def test_labels(read, labels, expected, dtype):
  for place, where in ((0, '0'), (1, '1'), (2, '-1'), (2, 'y')):
    rows = [
      [label if column == place else f'{row}.{column}' for column in range(3)] for row, label in enumerate(labels)
    ]
    header = ['y' if column == place else f'x{column}' for column in range(3)]
    text = '\n'.join(','.join(row) for row in ([header] if where == 'y' else []) + rows)
    train = read(text, label=where).splits['train']
    np.testing.assert_array_equal(train['label'], np.array(expected, dtype), strict=True)
    kept = [column for column in range(3) if column != place]
    np.testing.assert_allclose(train['x'], np.arange(3)[:, None] + np.array(kept) / 10)


FAR = 'a,b\n' + '1,2\n' * 3000
MISTAKES = {  # content, fields, what the message must contain
  'empty': ('', {}, ['path', 'is empty']),
  'blank': ('\n\r\n  \n', {}, ['path', 'is empty']),
  'header only': ('a,b\n', {}, ['path', 'header', 'line 1', 'header=no']),
  'one row': ('a,b\n1,2\n', {}, ['path', 'one row', 'at least 2']),
  'mixed header': ('a,2\n1,2\n3,4\n', {}, ['header', 'auto', 'line 1', "'a'", "'2'", 'header=yes', 'header=no']),
  'words and no label': ('5,iris\n6,rose\n', {}, ['header', "'iris'", 'spec.data.label']),
  'mixed beside the label': ('5,a,1\n6,b,2\n', {'label': '0'}, ['header', "'a'", "'1'"]),
  'word': ('a,b\n1,2\n3,four\n', {}, ['path', 'line 3', "column 'b'", "'four'", 'a number', 'spec.data.label']),
  'word without header': ('1,2\n3,four\n', {}, ['path', 'line 2', 'column 1 (from 0)', "'four'"]),
  'word after blank lines': ('a,b\n\n\n1,2\n3,four\n', {}, ['path', 'line 5', "column 'b'"]),
  'word in the header line': (
    'a,b\n1,2\n3,4\n',
    {'header': 'no'},
    ['path', 'line 1', 'column 0 (from 0)', "'a'", 'header=yes'],
  ),
  'word beside the label': ('w,a,b\nu,1,2\nv,3,x\n', {'label': 'w'}, ['path', 'line 3', "column 'b'", "'x'"]),
  'long word': ('a,b\n1,2\n3,' + 'x' * 999 + '\n', {}, ['path', 'line 3', 'xxx...']),
  'far word': (FAR + '1,NA\n' + '1,2\n' * 5, {}, ['path', 'line 3002', "column 'b'", "'NA'"]),
  'far empty': (FAR + ',2\n', {}, ['path', 'line 3002', "column 'a'", 'empty']),
  'blank cell': ('a,b\n1, \n3,4\n', {}, ['path', 'line 2', "column 'b'", 'empty']),
  'quoted empty cell': ('a,b\n1,""\n3,4\n', {}, ['path', 'line 2', "column 'b'", 'empty']),
  'far nan': (FAR + '1,nan\n', {}, ['path', 'line 3002', "column 'b'", 'nan', 'finite']),
  'infinity': ('1,2\n-inf,3\n', {}, ['path', 'line 2', 'column 0 (from 0)', '-inf', 'finite']),
  'overflow': ('1,2\n3,1e999\n', {}, ['path', 'line 2', 'column 1 (from 0)', '1e999', 'finite']),
  'ragged': ('a,b\n1,2\n3,4,5\n', {}, ['path', 'line 3', 'got 3 field', 'allowed: 2']),
  'far ragged': (FAR + '1\n', {}, ['path', 'line 3002', 'got 1 field', 'allowed: 2']),
  'separator': ('a;b\n1;2\n3;4\n', {}, ['path', 'line 2', 'spec.data.separator=semicolon']),
  'separator and commas': ('a;b\n1,5;2,5\n', {}, ['path', 'line 2', 'spec.data.separator=semicolon']),
  'separator and label': ('a\tb\n1\t2\n', {'label': 'b'}, ['label', "'b'", 'spec.data.separator=tab']),
  'decimal comma': ('a;b\n1;2,5\n', {'separator': 'semicolon'}, ['path', 'line 2', "'2,5'", 'decimal point']),
  'no such label': (PLAIN, {'label': 'A1'}, ['label', "'A1'", 'mine.csv', '0 to 2', 'a, b, c']),
  'near label': ('mass,speed\n1,2\n', {'label': 'sped'}, ['label', "'sped'", 'Did you mean speed?']),
  'many columns': (
    ','.join(f'f{i}' for i in range(30)) + '\n' + ','.join('1' * 30),
    {'label': 'x'},
    ['label', 'f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, ... (30)'],
  ),
  'label beyond': (PLAIN, {'label': '3'}, ['label', "'3'", '0 to 2']),
  'label before': (PLAIN, {'label': '-4'}, ['label', "'-4'", '0 to 2']),
  'label without names': ('1,2\n3,4\n', {'label': 'y'}, ['label', "'y'", '0 to 1', 'spec.data.header=yes']),
  'label twice': ('y,y,a\n1,2,3\n', {'label': 'y'}, ['label', "'y'", 'columns 0, 1']),
  'empty label': ('a,y\n1,u\n2,\n', {'label': 'y'}, ['path', 'line 3', "column 'y'", 'empty']),
  'label nan': ('a,y\n1,1\n2,nan\n', {'label': 'y'}, ['path', 'line 3', "column 'y'", 'nan', 'finite']),
  'only a label': ('y\n1\n2\n', {'label': 'y'}, ['label', "'y'", 'only column', 'mine.csv']),
  'not utf-8': (b'a,b\n1,2\n3,\xe94\n', {}, ['path', 'line 3', "column 'b'", 'UTF-8']),
  'not utf-8 in the header': (b'a,\xe9\n1,2\n3,4\n', {}, ['path', 'line 1', 'UTF-8']),
  'not utf-8 in the label': (b'a,y\n1,u\n3,\xe9\n', {'label': 'y'}, ['path', 'line 3', "column 'y'", 'UTF-8']),
  'utf-16': (PLAIN.encode('utf-16'), {}, ['path', 'line 1', 'UTF-8']),
  'open quote': ('a,b\n1,"2\n' + '3,4\n' * 40000, {}, ['path', 'mine.csv', 'quote']),
}


def mistake(call, field, parts):
  with pytest.raises(UserError) as error:
    call()
  message = str(error.value)
  assert message.startswith(f'spec.data.{field}: ') and '\n' not in message and len(message) < 600, message
  for part in parts:
    assert part in message, message
  assert not any('\ud800' <= char <= '\udfff' for char in message)


@pytest.mark.parametrize('case', MISTAKES)
@pytest.mark.parametrize('name', ['mine.csv', 'mine.csv.gz'])
def test_mistakes_in_csv(read, case, name):
  content, fields, (field, *parts) = MISTAKES[case]
  content = content.encode() if isinstance(content, str) else content
  mistake(lambda: read(gzip.compress(content) if name.endswith('gz') else content, name, **fields), field, parts)


def test_mistakes_with_the_path(tmp_path, monkeypatch):
  (tmp_path / 'mine.csv').write_text(PLAIN)
  for path, parts in (
    (tmp_path / 'mnie.csv', ['mnie.csv', 'not there', 'Did you mean mine.csv?']),
    (tmp_path / 'away' / 'mine.csv', ['not there', 'no directory', 'away']),
    (tmp_path, ['a directory', 'CSV']),
    ('/dev/null', ['is a device, not a file']),
    (tmp_path / ('x' * 300), ['cannot be read', 'too long']),
  ):
    mistake(lambda path=path: table.load(section_of(path)), 'path', parts)

  def refuse(*_, **__):
    raise PermissionError(13, 'Permission denied')

  monkeypatch.setattr(pathlib.Path, 'open', refuse)
  mistake(lambda: table.load(section_of(tmp_path / 'mine.csv')), 'path', ['mine.csv', 'Permission denied'])
  mistake(lambda: table.load(section_of(label='y')), 'label', ["'y'", 'breast cancer', 'spec.data.path'])


def test_broken_gzip(read):
  rows = np.random.default_rng(0).standard_normal((500, 3))
  content = gzip.compress('\n'.join(','.join(map(str, row)) for row in rows).encode())
  changed = content[:5000] + bytes([content[5000] ^ 255]) + content[5001:]
  for broken in (content[:-300], changed, b'1,2\n3,4\n', content[:5]):
    mistake(lambda broken=broken: read(broken, 'mine.csv.gz'), 'path', ['mine.csv.gz', 'gzip'])
  np.testing.assert_array_equal(read(content + b'', 'mine.csv').splits['train']['x'], rows)  # by content, not by name


# NPZ.

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), np.uint8)


def test_npz_of_images(read):
  content = {'x': IMAGES[:4], 'x_test': IMAGES[4:], 'label': np.array(['b', 'a', 'b', 'b']), 'label_test': ['c', 'a']}
  stored = read(content, 'mine.npz')
  assert stored.name == 'mine' and stored.limits == (0.0, 255.0)
  np.testing.assert_array_equal(stored.splits['train']['x'], IMAGES[:4], strict=True)
  np.testing.assert_array_equal(stored.splits['test']['x'], IMAGES[4:], strict=True)
  np.testing.assert_array_equal(stored.splits['train']['label'], np.array([1, 0, 1, 1], np.int32), strict=True)
  np.testing.assert_array_equal(stored.splits['test']['label'], np.array([2, 0], np.int32), strict=True)
  floats = read({'x': IMAGES / np.float32(7)}, 'mine.npz')
  assert floats.limits is None and floats.splits['train']['x'].shape == (6, 4, 4, 1)


@pytest.mark.parametrize('dtype', ['float32', 'float64', 'int64', 'uint8', 'bool'])
def test_npz_of_rows(read, dtype):
  x = NUMBERS.astype(dtype)
  stored = read({'anything': x}, 'mine.npz')
  assert stored.limits is None and stored.splits.keys() == {'train'} and stored.splits['train'].keys() == {'x'}
  np.testing.assert_array_equal(stored.splits['train']['x'], x.astype(np.float64), strict=True)


def test_labels_in_npz(read):
  arrays = {'x': NUMBERS, 'x_test': -NUMBERS[:1], 'label': [2, 0, 1], 'kind': [0.5, 1, 2], 'kind_test': [3.0]}
  for label, expected, test in (('', [2, 0, 1], None), ('kind', [0.5, 1, 2], [3]), ('-1', [3, 6, 9], [-3])):
    splits = read(arrays, 'mine.npz', label=label).splits
    np.testing.assert_array_equal(splits['train']['label'], expected)
    assert (list(splits['test']['label']) if 'label' in splits['test'] else None) == test
    assert splits['train']['x'].shape[1] == splits['test']['x'].shape[1] == 3 - (label == '-1')
    assert splits['train']['label'].dtype == (np.float32 if label == 'kind' else np.int32)


def test_bytes_are_words(read):
  for labels in (['\u00fc', 'a', 'b'], ['\u00fc'.encode(), b'a', b'b']):
    stored = read({'x': NUMBERS, 'label': labels}, 'mine.npz')
    np.testing.assert_array_equal(stored.splits['train']['label'], [2, 0, 1])


def bad(value):
  x = NUMBERS.copy()
  x[1, 2] = value
  return x


def test_contexts_and_targets_in_npz(read):
  """Where they are asked for; of rows in float64, of images as stored, whatever else x is called."""
  rows = np.arange(6)[:, None] + np.zeros(2, np.float32)
  arrays = {'u': IMAGES, 'x_test': IMAGES[:2], 'context': rows, 'context_test': rows[:2], 'target': 255 - IMAGES}
  for asked in ({}, {'context': 'own'}, {'context': 'own', 'target': 'own'}):
    splits = read(arrays, 'mine.npz', **asked).splits
    assert splits['train'].keys() == {'x', *asked} and splits['test'].keys() == {'x', *asked} - {'target'}
  assert splits['train']['context'].dtype == np.float64 and splits['train']['target'].dtype == np.uint8
  np.testing.assert_array_equal(splits['test']['context'], rows[:2])
  np.testing.assert_array_equal(splits['train']['target'], 255 - IMAGES)
  np.testing.assert_array_equal(read({'target': NUMBERS}, 'mine.npz', target='x').splits['train']['x'], NUMBERS)


@pytest.mark.parametrize(
  ('arrays', 'parts'),
  [
    ({'context': NUMBERS[:2]}, ['array context', '2 rows', 'each of the 3 rows of x']),
    ({'context': bad(np.nan)}, ['array context', 'row 1', 'column 2', 'NaN']),
    ({'context': NUMBERS[0]}, ['array context', '(3,)', '[N, D]']),
    ({'context': np.array([['a', 'b']] * 3)}, ['array context', '<U1', 'numbers']),
    ({'context': np.array([[1, 'a']] * 3, object)}, ['array context', 'objects']),
    ({'target': NUMBERS[:, :0]}, ['array target', '(3, 0)', '1 column']),
    ({'context': NUMBERS, 'x_test': NUMBERS, 'context_test': NUMBERS[:, :2]}, ['context_test', '(2,)', '(3,)']),
    ({'target': NUMBERS, 'x_test': NUMBERS, 'target_test': NUMBERS[:1]}, ['target_test', '1 rows', '3 rows of x_test']),
  ],
)
def test_mistakes_with_contexts_in_npz(read, arrays, parts):
  asked = {name: 'own' for name in ('context', 'target') if name in arrays}
  mistake(lambda: read({'x': NUMBERS} | arrays, 'mine.npz', **asked), 'path', [*parts, 'mine.npz'])
  read({'x': NUMBERS, 'context': NUMBERS[:2]}, 'mine.npz')  # nobody asks for it


@pytest.mark.parametrize(
  ('arrays', 'label', 'field', 'parts'),
  [
    ({'u': NUMBERS, 'v': NUMBERS}, '', 'path', ['no array x', 'u, v']),
    ({'x': np.array([[1, 'a']], object)}, '', 'path', ['array x', 'objects']),
    ({'x': np.array([['1', 'a']] * 2)}, '', 'path', ['array x', '<U1', 'numbers']),
    ({'x': NUMBERS * 1j}, '', 'path', ['array x', 'complex128']),
    ({'x': NUMBERS[0]}, '', 'path', ['array x', '(3,)', '[N, D]', 'x[..., None]']),
    ({'x': IMAGES[..., 0]}, '', 'path', ['array x', '(6, 4, 4)', '[N, D]', 'x[..., None]']),
    ({'x': IMAGES[None]}, '', 'path', ['array x', '(1, 6, 4, 4, 1)']),
    ({'x': NUMBERS[:1]}, '', 'path', ['array x', '(1, 3)', 'at least 2']),
    ({'x': NUMBERS[:, :0]}, '', 'path', ['array x', '(3, 0)', '1 column']),
    ({'x': NUMBERS, 'x_test': NUMBERS[:0]}, '', 'path', ['array x_test', '(0, 3)']),
    ({'x': NUMBERS, 'x_test': NUMBERS[:, :2]}, '', 'path', ['array x_test', '(2,)', '(3,)']),
    ({'x': IMAGES, 'x_test': IMAGES / 2}, '', 'path', ['array x_test', 'float64', 'uint8']),
    ({'x': bad(np.nan)}, '', 'path', ['array x', 'row 1', 'column 2', 'NaN']),
    ({'x': NUMBERS, 'x_test': bad(np.inf)}, '', 'path', ['array x_test', 'row 1', 'column 2', 'infinity']),
    (
      {'x': np.where(np.arange(6)[:, None, None, None] == 3, np.inf, IMAGES)},
      '',
      'path',
      ['array x', 'row 3', 'infinity'],
    ),
    ({'x': NUMBERS, 'label': [1, 2]}, '', 'path', ['array label', '(2,)', '3 rows']),
    ({'x': NUMBERS, 'kind': [1, 2]}, 'kind', 'label', ['array kind', '(2,)', '3 rows']),
    ({'x': NUMBERS, 'label': [1, np.nan, 2]}, '', 'path', ['label', 'NaN']),
    ({'x': NUMBERS, 'x_test': NUMBERS, 'label': [1, 2, 3], 'label_test': ['a'] * 3}, '', 'path', ['labels', 'words']),
    ({'x': NUMBERS, 'kind': [1, 2, 3]}, 'knd', 'label', ["'knd'", 'x, kind', 'Did you mean kind?']),
    ({'x': NUMBERS}, 'label', 'label', ["'label'", 'x, or the number of a column']),
    ({'x': NUMBERS, 'x_test': NUMBERS, 'label': [1, 2, 3], 'label_test': [b'a'] * 3}, '', 'path', ['labels', 'words']),
    ({'x': NUMBERS}, '3', 'label', ["'3'", '0 to 2']),
    ({'x': NUMBERS[:, :1]}, '0', 'label', ["'0'", 'only column']),
    ({'x': IMAGES}, '0', 'label', ["'0'", 'an array of', 'x']),
  ],
)
def test_mistakes_in_npz(read, arrays, label, field, parts):
  mistake(lambda: read(arrays, 'mine.npz', label=label), field, [*parts, 'mine.npz'])


def test_broken_npz(read, tmp_path):
  file = io.BytesIO()
  np.savez_compressed(file, x=np.random.default_rng(0).standard_normal((100, 3)))
  content = file.getvalue()
  changed = content[:900] + bytes([content[900] ^ 255]) + content[901:]
  for broken in (b'', b'1,2\n3,4\n', content[:900], changed):
    mistake(
      lambda broken=broken: read(broken, 'mine.npz'), 'path', ['mine.npz', 'anew' if broken == changed else 'NPZ']
    )
  np.save(tmp_path / 'x.npy', NUMBERS)
  mistake(lambda: read((tmp_path / 'x.npy').read_bytes(), 'mine.npz'), 'path', ['no whole NPZ', 'numpy.savez'])


def test_wide_rows_are_read_at_once(read, monkeypatch):
  x = np.random.default_rng(0).standard_normal((3, 3000))
  text = io.StringIO()
  csv.writer(text).writerows(x.tolist())
  monkeypatch.setattr(csv_table, 'BLOCK_SIZE', 1000)
  monkeypatch.setattr(csv_table, '_read_slowly', None)
  np.testing.assert_array_equal(read(text.getvalue()).splits['train']['x'], x)


# Nasty files.

LABELS = [
  '"a\nb"',
  '"a\r\nb"',
  '"a"b',
  'a"b',
  '" "',
  ' ',
  '""',
  '"',
  '"a',
  '\t"a"',
  'a\0',
  'a\x0b',
  '"\n"',
  '"1\n"',
  'nan',
]
LABELS += [
  '1',
  '1_0',
  '\u0661',
  'a\r',
  '\ufeffa',
  'x' * 140_000,
  "'a b'",
  '"a\n1 2\nb"',
  '\xa0',
  '"a b"',
  ' a ',
  '"a""b"',
]


@pytest.mark.parametrize('separator', [',', ' ', '\t'])
def test_both_readers_agree(tmp_path, separator):
  """On labels that are broken in all ways, in each place: where pyarrow reads a file, csv reads the same rows."""
  name, path, read_fast = {',': 'comma', ' ': 'space', '\t': 'tab'}[separator], tmp_path / 'mine.csv', 0
  for number, (label, place, row) in enumerate(itertools.product(LABELS, (0, 2), (0, 2))):
    end, header = ('\n', '\r\n', '\r')[number % 3], number % 2
    rows = [[f'{r}.5', str(r + 3)] for r in range(3)]
    for r, fields in enumerate(rows):
      fields.insert(place, label if r == row else 'bcd'[r])
    path.write_bytes(
      end.join(separator.join(fields) for fields in [list('uvw')] * header + rows).encode() + end.encode()
    )
    section = section_of(path, separator=name, label=str(place), header='yes' if header else 'no')
    try:
      form = csv_table._form(path, section)
    except UserError:
      continue
    if (fast := csv_table._read_fast(form)) is not None:
      read_fast += 1
      for ours, theirs in zip(fast, csv_table._read_slowly(form), strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True, err_msg=repr((label, place, row)))
  assert read_fast > 20


@pytest.mark.parametrize(
  ('text', 'fields', 'parts'),
  [
    ('1 "a\nb"\n2 c\n', {'separator': 'space', 'label': '1'}, ['line 1', 'a quote is not closed in its line']),
    ('1 c\n2 "a\nb"\n', {'separator': 'space', 'label': '1'}, ['line 2', 'a quote is not closed in its line']),
    ('1,c\n2,d\n3,"a\n4,e\n', {'label': '1', 'header': 'no'}, ['line 3', 'a quote is not closed before the end']),
    ('1,2\n3,"4', {}, ['line 2', 'a quote is not closed before the end']),
    ('1,c\n2, \n', {'label': '1'}, ['line 2', 'empty']),
    ('1,2\n3,1e39\n', {'label': '1'}, ['line 2', '1e39', 'a label up to 3.40282e+38']),
  ],
)
def test_mistakes_of_which_pyarrow_takes_no_notice(read, text, fields, parts):
  mistake(lambda: read(text, **fields), 'path', parts)


def test_a_line_break_in_a_label(read):
  """In the first row too, whose second line is no row of its own."""
  for rows in (['"a\nb",1', 'c,2', 'd,3'], ['c,1', '"a\nb",2', 'd,3'], ['c,1', 'd,2', '"a\nb",3']):
    for header in ('', '"u\nv",w\n'):
      stored = read(header + '\n'.join(rows) + '\n', label='0', header='yes' if header else 'no')
      np.testing.assert_array_equal(stored.splits['train']['x'][:, 0], [1, 2, 3])
      assert sorted(stored.splits['train']['label']) == [0, 1, 2]


LONG = 'y' * 10**5


@pytest.mark.parametrize(
  ('content', 'name', 'fields'),
  [
    (f'{LONG},b\n1,2\n', 'mine.csv', {'label': 'no'}),
    (f'{LONG},{LONG},b\n1,2,3\n', 'mine.csv', {'label': LONG}),
    (f'{LONG},b\nx,2\n', 'mine.csv', {}),
    (f'{LONG},2\n1,2\n', 'mine.csv', {}),
    (f'a,b\n1,{LONG}\n', 'mine.csv', {}),
    (f'a,b\n1,{"9" * 10**5}\n', 'mine.csv', {}),
    (PLAIN, 'mine.csv', {'label': LONG}),
    (PLAIN, 'mine.csv', {'label': '9' * 10**5}),
    ({'x': NUMBERS}, 'mine.npz', {'label': LONG}),
    ({'x': NUMBERS}, 'mine.npz', {'label': '9' * 10**5}),
    ({'u' * 60_000: NUMBERS, 'v' * 60_000: NUMBERS}, 'mine.npz', {}),
    ({'u' * 60_000: NUMBERS[0]}, 'mine.npz', {}),
    ({'x': np.zeros(3, [('f' * 900, float), ('g' * 900, float)])}, 'mine.npz', {}),
  ],
)
def test_what_is_rejected_is_cut(read, content, name, fields):
  with pytest.raises(UserError, match=r'^spec\.data\.(path|label|header): ') as error:
    read(content, name, **fields)
  assert len(str(error.value)) < 800 and '\n' not in str(error.value)


def test_what_is_no_file_is_not_opened(tmp_path):
  for name in ('pipe.csv', 'pipe.npz', 'pipe.csv.gz'):
    os.mkfifo(tmp_path / name)
    mistake(lambda name=name: table.load(section_of(tmp_path / name)), 'path', [name, 'is a named pipe, not a file'])
  for path, parts in (
    ('~nouser/a.csv', ["there is no user 'nouser'"]),
    ('\0.csv', ['cannot be read']),
    (LONG, ['too long']),
    ('/no/' + 'z/' * 50_000, ['cannot be read']),
    ('/no/\udcff.csv', ['/no/?.csv', 'no directory']),
  ):
    mistake(lambda path=path: table.load(section_of(path)), 'path', parts)


@pytest.mark.parametrize('name', ['mine.csv', 'mine.csv.gz', 'mine.npz'])
def test_names_that_are_not_utf8(read, tmp_path, name):
  read({'x': NUMBERS} if name.endswith('npz') else gzip.compress(PLAIN.encode()) if 'gz' in name else PLAIN, name)
  (tmp_path / name).rename(other := tmp_path / (os.fsdecode(b'\xff') + name))
  stored = table.load(section_of(other))
  np.testing.assert_array_equal(stored.splits['train']['x'], NUMBERS)
  assert stored.name == '?mine'


def set_field(content, offset, value):
  """Of every member of a zip file: two bytes of its local and of its central header (2 further on)."""
  content = bytearray(content)
  for signature, at in ((b'PK\x03\x04', offset), (b'PK\x01\x02', offset + 2)):
    place = content.find(signature)
    while place >= 0:
      content[place + at : place + at + 2] = value.to_bytes(2, 'little')
      place = content.find(signature, place + 1)
  return bytes(content)


@pytest.mark.parametrize(('offset', 'value', 'text'), [(6, 1, 'encrypted'), (8, 97, 'compression method')])
def test_encryption_and_unknown_compression(read, tmp_path, offset, value, text):
  read({'x': NUMBERS}, 'mine.npz')
  content = set_field((tmp_path / 'mine.npz').read_bytes(), offset, value)
  mistake(lambda: read(content, 'mine.npz'), 'path', ['mine.npz', 'array x', text])


def test_claims_of_npz_headers(read, tmp_path):
  """Shapes beyond all memory, and headers that are no header."""
  read({'x': NUMBERS}, 'mine.npz')
  for header in (b'(1000000000000, 1000000)', b'(-1, 3)', b'(' * 90, b'(3, 9223372036854775807)'):
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
      text = b"{'descr': '<f8', 'fortran_order': False, 'shape': " + header + b'}\n'
      archive.writestr('x.npy', b'\x93NUMPY\x01\x00' + len(text).to_bytes(2, 'little') + text + bytes(72))
    mistake(lambda file=file: read(file.getvalue(), 'mine.npz'), 'path', ['mine.npz'])


def fuzz(read, kind, count, seed=0):
  """Files with bytes changed, removed or repeated: a table or a UserError."""
  rng, good = np.random.default_rng(seed), 0
  file = io.BytesIO()
  np.savez(file, x=NUMBERS, label=np.array(['a', 'b', 'c']))
  whole = {'csv': b'a,b,"c d"\n1,2,"u"\n3,4e1,v\n-5,+6.5,"w"\n', 'npz': file.getvalue()}[kind]
  for _ in range(count):
    content = bytearray(whole)
    for _ in range(rng.integers(1, 5)):
      at, size = rng.integers(0, len(content)), int(rng.integers(1, 9))
      change = rng.integers(0, 4)
      if change == 3:
        content[at:at] = rng.choice([b'"', b'\n', b'\r', b',', b' ', b'\0', b'\xff', b'nan', b'1e999', b'9' * 40, b';'])
      else:
        content[at : at + (1, size, 0)[change]] = [rng.bytes(1), b'', bytes(content[at : at + size]) * 2][change]
    fields = {'separator': rng.choice(['comma', 'space']), 'label': rng.choice(['', '2', 'c d', 'label'])}
    try:
      x = read(bytes(content), f'mine.{kind}', **(fields if kind == 'csv' else {})).splits['train']['x']
      good += x.dtype == np.uint8 or bool(np.isfinite(x).all())
    except UserError as error:
      assert str(error).startswith('spec.data.') and len(str(error)) < 800 and '\n' not in str(error), error
  return good


@pytest.mark.parametrize('kind', ['csv', 'npz'])
def test_mutations(read, monkeypatch, kind):
  monkeypatch.setattr(pickle, 'load', None)
  assert fuzz(read, kind, 150) > 3


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['csv', 'npz'])
def test_many_mutations(read, kind):
  for seed in range(1, 4):
    fuzz(read, kind, 5_000, seed)
