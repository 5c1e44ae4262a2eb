// Many runs: what differs, what to choose, mean and spread over seeds, what is not there.

const MOST_FIELDS = 8; // that differ, before the others are folded

// What differs, and what all runs have in common.
function overview() {
  const facts = fieldColumns.map((column) => {
    const values = [...new Set(doc.runs.map((run) => valueOf(run, column)))].sort((a, b) => compare(a, b, false));
    const text = values.map((value) => (value === null ? '(none)' : written(value, 6) || "''"));
    return el(
      'tr',
      {},
      el('td', { class: 'code' }, broken(column.id)),
      el(
        'td',
        { class: 'value', 'data-label': 'values' },
        text.length > 24 ? `${text.slice(0, 22).join(', ')}, \u2026 (${text.length} values)` : text.join(', '),
      ),
      el('td', { class: 'default', 'data-label': 'default' }, column.default),
      el('td', { class: 'text' }, clamped(column.text)),
    );
  });
  const head = el(
    'thead',
    {},
    el(
      'tr',
      {},
      ['field', 'values', 'default', 'what it is'].map((text) => el('th', { scope: 'col' }, text)),
    ),
  );
  const table = (own) =>
    el('div', { class: 'box' }, el('table', { class: 'facts stack' }, head.cloneNode(true), el('tbody', {}, own)));
  const first = facts.splice(0, facts.length > MOST_FIELDS + 2 ? MOST_FIELDS : facts.length);
  const differ = first.length ? table(first) : el('p', {}, 'The runs do not differ in any field.');
  const further = facts.length
    ? el('details', {}, el('summary', {}, `${facts.length} more fields in which they differ`), table(facts))
    : null;
  const common = doc.common.length
    ? el(
        'details',
        {},
        el('summary', {}, `${doc.common.length} more fields are not at their defaults, the same in all runs`),
        fieldTable(doc.common),
      )
    : null;
  const sweeps = doc.sweeps
    .filter((sweep) => sweep.command)
    .map((sweep) => [
      el('p', { class: 'label' }, `The command that makes the grid${sweep.name === '.' ? '' : ` ${sweep.name}`} again`),
      command(sweep.command),
    ]);
  return section('fields', 'What differs', null, differ, further, common, ...sweeps.flat());
}

// Means and spread over seeds, as a table.
function seeds() {
  if (!hasSeeds) return null;
  const host = el('div', { class: 'box runs', tabindex: 0, role: 'region', 'aria-label': 'Means over seeds' });
  const fields = fieldColumns.filter((column) => !SEEDS.includes(column.id));
  const chosen = [...firstColumns()].map((id) => columnOf.get(id)).filter((column) => column.kind === 'number');
  function draw() {
    const head = el(
      'tr',
      {},
      el('th', { scope: 'col', style: 'padding:.5rem .7rem' }, 'runs'),
      [...fields, ...chosen].map((column) =>
        el('th', { scope: 'col', class: 'number', style: 'padding:.5rem .7rem', title: column.text }, nameOf(column)),
      ),
    );
    const decimals = chosen.map((column) => decimalsOf(doc.runs.map((run) => valueOf(run, column))));
    const body = [...groupsShown()].map(([key, indices]) => {
      const first = doc.runs[indices[0]];
      const link = el(
        'a',
        {
          href: '#',
          onclick: (event) => {
            event.preventDefault();
            indices.length > 1 ? openGroup(key) : openRun(indices[0]);
          },
        },
        indices.length > 1 ? `${indices.length} seeds` : '1 run',
      );
      const cells = chosen.map((column, i) => {
        const one = spread(indices.map((index) => valueOf(doc.runs[index], column)));
        const { mean, deviation } = one;
        return el(
          'td',
          { class: 'number' },
          mean === null ? '' : aligned(mean, decimals[i]),
          deviation === null ? null : el('span', { class: 'error' }, ` \u00b1 ${written(deviation, 2)}`),
          countNote(one) ? el('span', { class: 'soft small' }, countNote(one)) : null,
        );
      });
      return el(
        'tr',
        {},
        el('td', {}, link),
        fields.map((column) =>
          el('td', { class: column.numeric ? 'number' : null }, written(valueOf(first, column), 6)),
        ),
        cells,
      );
    });
    host.replaceChildren(el('table', {}, el('thead', {}, head), el('tbody', {}, body)));
  }
  on('filter', draw);
  draw();
  return section(
    'seeds',
    'Mean and spread over seeds',
    'Runs that differ in their seeds alone, taken together: mean \u00b1 standard deviation (of n \u2212 1) of those that the filter lets through.',
    host,
  );
}

// Which to choose.
function recommendations() {
  const own = doc.analysis.choices;
  if (!own.length) return null;
  const cards = own.map((one) => {
    const column = columnOf.get(`${one.split}/${one.number}`);
    const [mean, deviation, count] = one.value;
    const value =
      `${written(mean)}${deviation === null ? '' : ` \u00b1 ${written(deviation, 2)}`} ${column ? unitOf(column) : ''}`.trim();
    const links = one.runs.slice(0, 4).flatMap((index, i) => [
      i ? ', ' : '',
      el(
        'a',
        {
          href: hashOf(doc.runs[index]),
          onclick: (event) => {
            event.preventDefault();
            openRun(index);
          },
        },
        doc.runs[index].name,
      ),
    ]);
    const fields = one.fields
      .split(', ')
      .flatMap((text, i) => [i ? el('br') : null, broken(text.replace(/^objective\./, ''))]);
    return el(
      'article',
      { class: 'card' },
      el('h3', {}, `For ${one.purpose}`),
      el('p', { class: 'big' }, fields),
      el(
        'p',
        {},
        `${one.number} ${value}`,
        el('span', { class: 'soft' }, ` (${count} seed${count > 1 ? 's' : ''}, ${one.split} split)`),
      ),
      el('p', { class: 'small soft' }, one.doubt.replaceAll('objective.beta.', 'beta.')),
      el('p', { class: 'small' }, links, one.runs.length > 4 ? `, and ${one.runs.length - 4} more` : ''),
    );
  });
  return section(
    'choose',
    'Which to choose',
    'What is best by its mean over seeds, of all runs whatever the filter, and what is not told apart from it.',
    el('div', { class: 'cards' }, cards),
  );
}

function leftOut() {
  const failed = doc.runs.filter((run) => run.message || ['failed', 'interrupted', 'begun'].includes(run.status));
  if (!failed.length && !doc.absent.length && !doc.problems.length) return null;
  const item = (name, status, message) =>
    el(
      'li',
      {},
      el('span', { class: `status ${status}` }, status),
      ' ',
      el('span', { class: 'code' }, name),
      message ? `: ${message}` : '',
    );
  const runs = [
    ...failed.map((run) => item(run.name, run.status, run.message)),
    ...doc.absent.map((point) => item(point.name, point.status, point.message)),
  ];
  return section(
    'problems',
    'Not finished, or left out',
    null,
    runs.length ? el('ul', { class: 'notes' }, runs) : null,
    doc.problems.length
      ? el(
          'ul',
          { class: 'notes' },
          doc.problems.map((text) => el('li', {}, text)),
        )
      : null,
  );
}
