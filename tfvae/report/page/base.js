// What all parts share: the document, elements, numbers as text, names, what is shown now.

const doc = JSON.parse(document.getElementById('document').textContent);
const columns = doc.columns;
const columnOf = new Map(columns.map((column, index) => [column.id, { ...column, index }]));
const runOf = new Map(doc.runs.map((run, index) => [run.name, index]));
const fieldColumns = columns.filter((column) => column.kind === 'field').map((column) => columnOf.get(column.id));
const numberColumns = columns
  .filter((column) => column.kind === 'number' && !column.is_error)
  .map((column) => columnOf.get(column.id));
const ownSplit = numberColumns.length ? numberColumns[0].split : 'test';
const SEEDS = ['seed', 'data.seed'];

// An element: attributes by name, 'on...' listeners; children are nodes, or texts, which are never read as HTML.
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'class') node.className = value;
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

// A number as people read it: `digits` of it, in powers of ten where it is very large or small.
function written(value, digits = 4) {
  if (value === null || value === undefined) return '';
  if (!isNumber(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(digits - 2).replace(/\.?0+e/, 'e');
  return String(Number(value.toPrecision(digits)));
}

// In columns of a table, with as many decimals as the size of the column's numbers asks for.
function aligned(value, decimals) {
  if (!isNumber(value)) return written(value);
  const size = Math.abs(value);
  return size !== 0 && (size >= 1e7 || size < 10 ** -decimals / 2) ? value.toExponential(2) : value.toFixed(decimals);
}

function decimalsOf(values) {
  const sizes = values.filter((value) => isNumber(value) && value !== 0).map(Math.abs);
  if (!sizes.length || values.every((value) => !isNumber(value) || Number.isInteger(value))) return 0;
  const middle = sizes.sort((a, b) => a - b)[Math.floor(sizes.length / 2)];
  return Math.min(6, Math.max(0, 3 - Math.floor(Math.log10(middle))));
}

// What a column is called: a field by the end of its name that tells it from others, a number with its split.
const fieldNames = (() => {
  const names = new Map();
  const all = doc.differing;
  for (const name of all) {
    const parts = name.split('.');
    let short = name;
    const fewest = parts[0] === 'constraint' ? parts.length : 2; // rate.z2 would be taken for a rate
    for (let length = Math.min(fewest, parts.length); length <= parts.length; length++) {
      short = parts.slice(-length).join('.');
      if (all.filter((other) => other === short || other.endsWith(`.${short}`)).length < 2) break;
    }
    names.set(name, short);
  }
  return names;
})();
const nameOf = (column) =>
  column.kind === 'field'
    ? (fieldNames.get(column.id) ?? column.id)
    : column.split === ownSplit
      ? column.name
      : `${column.name} (${column.split})`;
// The unit alone, without what is said of the number beside it.
const UNITS = /^(nats( per dimension| per unit)?|bits per dimension|dB|(squared )?units of x|units)\b/;
const unitOf = (column) => column.unit.match(UNITS)?.[0] ?? '';
const titleOf = (column) => (unitOf(column) ? `${nameOf(column)} [${unitOf(column)}]` : nameOf(column));
const valueOf = (run, column) => run.values[column.index];
const isMain = (column) => column.kind === 'number' && column.main;

// What is shown: the runs that the filter lets through, single runs or means over seeds.
const state = { shown: new Set(doc.runs.keys()), means: false, color: null };
const listeners = { filter: [], theme: [], means: [], color: [] };
const on = (names, call) => names.split(' ').forEach((name) => listeners[name].push(call));
const tell = (name) => listeners[name].forEach((call) => call());
const shownRuns = () => doc.runs.filter((_, index) => state.shown.has(index));

// The lowest and the highest of numbers, however many: as arguments of a call they would be too many at some point.
const extent = (values) =>
  values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);

// Means and standard deviations (of n - 1) over the runs of a group that are shown, and of how many.
function spread(values) {
  const own = values.filter(isNumber);
  if (!own.length) return { mean: null, deviation: null, count: 0, of: values.length };
  const mean = own.reduce((sum, value) => sum + value, 0) / own.length;
  const squares = own.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    mean,
    deviation: own.length > 1 ? Math.sqrt(squares / (own.length - 1)) : null,
    count: own.length,
    of: values.length,
  };
}
// Of how many runs a mean is, where some of them have no number: those that diverged, say.
const countNote = (one) => (one.count && one.count < one.of ? ` (${one.count} of ${one.of} runs)` : '');

function groupsShown() {
  const groups = new Map();
  doc.runs.forEach((run, index) => {
    if (!state.shown.has(index)) return;
    const key = run.group < 0 ? `r${index}` : `g${run.group}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(index);
  });
  return groups;
}
const hasSeeds = (() => {
  const counts = new Map();
  doc.runs.forEach((run) => run.group >= 0 && counts.set(run.group, (counts.get(run.group) ?? 0) + 1));
  return [...counts.values()].some((count) => count > 1);
})();

// Dark and light: as the system has it, until the switch is used.
const system = window.matchMedia('(prefers-color-scheme: dark)');
function kept(name, value) {
  try {
    if (value === undefined) return localStorage.getItem(name);
    localStorage.setItem(name, value);
  } catch {
    // a page that may keep nothing is as the system has it
  }
  return null;
}
const isDark = () => document.documentElement.dataset.theme === 'dark';
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  tell('theme');
}
setTheme(kept('tfvae-theme') ?? (system.matches ? 'dark' : 'light'));
system.addEventListener('change', () => kept('tfvae-theme') ?? setTheme(system.matches ? 'dark' : 'light'));

// Parts of the page.
function section(id, title, about, ...children) {
  const heading = el('h2', { id: `${id}-title` }, title);
  const text = about ? el('p', { class: 'about' }, about) : null;
  return el('section', { id, 'aria-labelledby': `${id}-title` }, heading, text, ...children);
}

function copyButton(text) {
  const button = el('button', { type: 'button', title: 'Copy the command' }, 'Copy');
  button.addEventListener('click', async () => {
    let done = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = el('textarea', { style: 'position:fixed;opacity:0' }, text);
      (button.closest('dialog') ?? document.body).append(area);
      area.select();
      done = document.execCommand('copy');
      area.remove();
    }
    button.textContent = done ? 'Copied' : 'Select it';
    setTimeout(() => (button.textContent = 'Copy'), 1600);
  });
  return button;
}

const command = (text) => el('div', { class: 'command' }, el('pre', { tabindex: 0 }, text), copyButton(text));

// The address of a file beside the page.
const addressOf = (path) => path.split('/').map(encodeURIComponent).join('/');

// A labelled list to choose from: [[value, text]] or {group: [[value, text]]}.
function picker(label, options, value, change) {
  const choices = (list) => list.map(([key, text]) => el('option', { value: key, selected: key === value }, text));
  const children = Array.isArray(options)
    ? choices(options)
    : Object.entries(options)
        .filter(([, list]) => list.length)
        .map(([group, list]) => el('optgroup', { label: group }, choices(list)));
  const select = el('select', { onchange: () => change(select.value) }, children);
  return el('label', {}, label, select);
}

function check(label, value, change) {
  const input = el('input', { type: 'checkbox', checked: value, onchange: () => change(input.checked) });
  return el('label', { class: 'check' }, input, label);
}

// The numbers to choose from, main ones first.
function metricOptions(own = numberColumns) {
  const splits = [...new Set(own.map((column) => column.split))];
  const groups = {};
  for (const split of splits) {
    const of = own.filter((column) => column.split === split);
    groups[`${split} split, main numbers`] = of.filter(isMain).map((column) => [column.id, nameOf(column)]);
    groups[`${split} split, others`] = of
      .filter((column) => !isMain(column))
      .map((column) => [column.id, nameOf(column)]);
  }
  return groups;
}
const metricNamed = (...names) => {
  const own = numberColumns.filter((column) => column.split === ownSplit);
  for (const name of names) {
    const found = own.find((column) => column.name === name);
    if (found) return found;
  }
  return own.find(isMain) ?? numberColumns[0] ?? null;
};
const rateColumns = numberColumns.filter((column) => /^rate(\/|$)/.test(column.name));

// Two lines of a text that may be long; a click shows all of it.
function clamped(text) {
  if (text.length < 120) return text;
  const own = el('span', { class: 'clamped', title: text, onclick: () => own.classList.toggle('open') }, text);
  return own;
}

// A name or a list with places where a line may end.
const broken = (text) =>
  String(text ?? '')
    .split(/(?<=[,._/=])/)
    .flatMap((part, i) => (i ? [el('wbr'), part] : [part]));

// [[field, value]] with defaults and what fields are.
function fieldTable(pairs) {
  const head = el(
    'thead',
    {},
    el(
      'tr',
      {},
      ['field', 'value', 'default', 'what it is'].map((text) => el('th', { scope: 'col' }, text)),
    ),
  );
  const body = pairs.map(([name, value]) =>
    el(
      'tr',
      {},
      el('td', { class: 'code' }, broken(name)),
      el('td', { class: 'value', 'data-label': 'value' }, broken(value)),
      el('td', { class: 'default', 'data-label': 'default' }, broken(doc.fields[name]?.default)),
      el('td', { class: 'text' }, clamped(doc.fields[name]?.text ?? '')),
    ),
  );
  return el('div', { class: 'box' }, el('table', { class: 'facts stack' }, head, el('tbody', {}, body)));
}
