// The table of runs: what differs and what came out.

const SHOWN = ['elbo', 'log_likelihood', 'rate', 'rate/*', 'log_evidence', 'mse', 'psnr', 'accuracy', 'cross_entropy'];
const BEST = ['probe/', 'reconstruction_accuracy/', 'inception_score/', 'fid/', 'task/accuracy', 'marginal_kl_ratio/'];
const MOST_FIRST = 9; // numbers that are shown before others are chosen

function firstColumns() {
  const own = numberColumns.filter((column) => column.split === ownSplit);
  const found = [];
  for (const pattern of SHOWN) {
    const begin = pattern.replace('*', '');
    found.push(
      ...own.filter(
        (column) => column.name === pattern || (begin !== pattern && column.name.startsWith(begin) && column.main),
      ),
    );
  }
  for (const begin of BEST)
    found.push(...own.filter((column) => column.main && column.name.startsWith(begin)).slice(0, 1));
  if (!found.length) found.push(...own.filter(isMain));
  return new Set([...found].slice(0, MOST_FIRST).map((column) => column.id));
}

function runsTable() {
  const hasPictures = doc.runs.some((run) => run.pictures.length);
  const hasStatus = doc.runs.some((run) => run.status !== 'finished');
  const chosen = firstColumns();
  for (const column of fieldColumns.slice(0, MOST_FIELDS)) chosen.add(column.id);
  let sort = { key: null, down: false };
  const body = el('tbody');
  const head = el('thead');
  const count = el('p', { class: 'small soft', role: 'status' });

  const special = [
    { id: 'run', name: 'run', value: (run, index) => index, cell: runCell },
    hasPictures && { id: 'pictures', name: 'samples', value: null, cell: (run) => pictureCell(run) },
    hasStatus && { id: 'status', name: 'status', value: (run) => run.status, cell: (run) => statusCell(run) },
  ].filter(Boolean);

  function shownColumns() {
    const list = [...fieldColumns, ...numberColumns].filter((column) => chosen.has(column.id));
    return [
      ...special,
      ...list.map((column) => {
        const values = doc.runs.map((run) => valueOf(run, column));
        const decimals = column.kind === 'number' ? decimalsOf(values) : null;
        const best = column.kind === 'number' ? bestOf(values, column.better) : null;
        return {
          id: column.id,
          column,
          name: nameOf(column),
          unit: unitOf(column),
          numeric: column.numeric,
          value: (run) => valueOf(run, column),
          cell: (run) => numberCell(run, column, decimals, best),
        };
      }),
    ];
  }

  function drawHead(list) {
    head.replaceChildren(
      el(
        'tr',
        {},
        list.map((of) => {
          const title = of.column ? `${of.column.id}${of.column.text ? `: ${of.column.text}` : ''}` : null;
          const direction = sort.key === of.id ? (sort.down ? 'descending' : 'ascending') : 'none';
          const label = [of.name, of.unit ? el('span', { class: 'unit' }, of.unit) : null];
          const inside = of.value
            ? el('button', { type: 'button', title, onclick: () => sortBy(of) }, label)
            : el('button', { type: 'button', tabindex: -1, disabled: true }, label);
          return el(
            'th',
            {
              scope: 'col',
              'data-column': of.id,
              'aria-sort': of.value ? direction : null,
              class: of.numeric ? 'number' : null,
            },
            inside,
          );
        }),
      ),
    );
  }

  function sortBy(of) {
    const better = of.column?.better ?? 0;
    sort = sort.key === of.id ? { key: of.id, down: !sort.down } : { key: of.id, down: better > 0 };
    draw();
    head.querySelector(`th[data-column="${CSS.escape(of.id)}"] button`)?.focus();
  }

  function draw() {
    const list = shownColumns();
    drawHead(list);
    const order = [...state.shown];
    const by = list.find((of) => of.id === sort.key);
    if (by) order.sort((a, b) => compare(by.value(doc.runs[a], a), by.value(doc.runs[b], b), sort.down));
    rows.order = order;
    body.replaceChildren(
      ...order.map((index) => {
        const run = doc.runs[index];
        const cells = list.map((of) => of.cell(run, index));
        return el(
          'tr',
          { 'data-run': run.name, onclick: (event) => event.target.closest('a') || openRun(index) },
          cells,
        );
      }),
    );
    count.textContent = `${order.length} of ${doc.runs.length} runs`;
  }

  on('filter', draw);
  draw();
  const table = el('table', {}, el('caption', { class: 'skip' }, 'Runs'), head, body);
  return [
    chooser(chosen, draw),
    el('div', { class: 'box runs', tabindex: 0, role: 'region', 'aria-label': 'Table of runs' }, table),
    count,
  ];
}
const rows = { order: [...doc.runs.keys()] };

function compare(a, b, down) {
  const missing = (value) => value === null || value === undefined || value === '';
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  const difference = isNumber(a) && isNumber(b) ? a - b : String(a).localeCompare(String(b), 'en', { numeric: true });
  return down ? -difference : difference;
}

function bestOf(values, better) {
  const own = values.filter(isNumber);
  if (!better || own.length < 2) return null;
  const best = extent(own)[better > 0 ? 1 : 0];
  return own.every((value) => value === best) ? null : best;
}

function runCell(run, index) {
  const link = el(
    'a',
    {
      href: hashOf(run),
      title: run.name,
      onclick: (event) => {
        event.preventDefault();
        openRun(index);
      },
    },
    run.name.replaceAll('objective.beta.', 'beta.'),
  );
  return el('td', {}, link, run.aside ? el('span', { class: 'soft small' }, ' (set aside)') : null);
}

function statusCell(run) {
  return el('td', { title: run.message || null }, el('span', { class: `status ${run.status}` }, run.status));
}

function pictureCell(run) {
  const first = run.pictures[0];
  if (!first) return el('td');
  return el(
    'td',
    { class: 'picture' },
    el(
      'div',
      { class: 'thumb' },
      el('img', { class: first.pixels ? null : 'smooth', src: first.src, alt: '', loading: 'lazy' }),
    ),
  );
}

function numberCell(run, column, decimals, best) {
  const value = valueOf(run, column);
  if (column.kind === 'field') return el('td', { class: column.numeric ? 'number' : null }, written(value, 6));
  const error = column.error ? valueOf(run, columnOf.get(column.error)) : null;
  const more = isNumber(error) ? el('span', { class: 'error' }, ` \u00b1 ${written(error, 2)}`) : null;
  return el(
    'td',
    { class: value !== null && value === best ? 'number best' : 'number' },
    aligned(value, decimals),
    more,
  );
}

// Which columns are shown.
function chooser(chosen, draw) {
  const inside = el('div');
  const search = el('input', {
    type: 'search',
    placeholder: 'Find a column',
    'aria-label': 'Find a column',
    oninput: fill,
  });
  function fill() {
    const wanted = search.value.toLowerCase();
    const found = [...fieldColumns, ...numberColumns].filter((column) => column.id.toLowerCase().includes(wanted));
    inside.replaceChildren(
      ...found.slice(0, 300).map((column) => {
        const input = el('input', {
          type: 'checkbox',
          checked: chosen.has(column.id),
          onchange: () => {
            input.checked ? chosen.add(column.id) : chosen.delete(column.id);
            draw();
          },
        });
        return el('label', { title: column.text }, input, column.kind === 'field' ? column.id : nameOf(column));
      }),
    );
  }
  fill();
  return el('details', { class: 'columns' }, el('summary', {}, 'Choose columns'), search, inside);
}
