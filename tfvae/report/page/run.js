// One run: what it is, what came out, its pictures and curves.

const hashOf = (run) => `#run=${encodeURIComponent(run.name)}`;

function runSections(run, index) {
  const telling = (name) => Number(!doc.differing.includes(name)); // what tells it from others first
  const changed = Object.entries(run.changed).sort(([a], [b]) => telling(a) - telling(b));
  const id = (name) => `${doc.alone ? '' : 'run-'}${name}`;
  const differs = section(
    id('differs'),
    'What differs from the defaults',
    changed.length ? null : 'Nothing: all fields are at their defaults.',
    changed.length ? fieldTable(changed) : null,
    wholeSpec(run),
  );
  const again = section(
    id('again'),
    'Make it again',
    null,
    run.commands.flatMap(([what, text]) => [el('p', { class: 'label' }, what), command(text)]),
  );
  const own = [
    differs,
    again,
    evaluation(run, id),
    pictureSection(run, id),
    curveSection(run, id),
    figureSection(run, id),
    environmentSection(run, id),
  ];
  if (!doc.alone)
    own.splice(
      0,
      own.length,
      pictureSection(run, id),
      differs,
      evaluation(run, id),
      again,
      curveSection(run, id),
      figureSection(run, id),
      environmentSection(run, id),
    );
  return own.filter(Boolean);
}

function statusLine(run) {
  const steps = run.steps ? `step ${run.step.toLocaleString('en')} of ${run.steps.toLocaleString('en')}` : 'a study';
  return el(
    'p',
    { class: 'soft' },
    el('span', { class: `status ${run.status}` }, run.status),
    ` \u00b7 ${steps}`,
    run.message ? ` \u00b7 ${run.message}` : '',
  );
}

function wholeSpec(run) {
  const host = el('div');
  const details = el(
    'details',
    {
      ontoggle: () => {
        if (details.open && !host.childElementCount) host.append(fill());
      },
    },
    el('summary', {}, 'The whole spec'),
    host,
  );
  function fill() {
    const names = [...new Set([...Object.keys(doc.spec), ...Object.keys(run.spec)])];
    const values = names
      .map((name) => [name, name in run.spec ? run.spec[name] : doc.spec[name]])
      .filter(([, value]) => value !== null);
    const body = values.map(([name, value]) =>
      el(
        'tr',
        {},
        el('td', { class: 'code' }, name),
        el('td', { class: name in run.changed ? 'value code' : 'code' }, value),
      ),
    );
    return el('div', { class: 'box runs' }, el('table', { class: 'facts' }, el('tbody', {}, body)));
  }
  return details;
}

const MOST_ALIKE = 6; // numbers whose names begin alike that are shown at once

// The numbers of the evaluations: main ones, with units and what each is; all others folded.
function evaluation(run, id) {
  const own = numberColumns.filter((column) => valueOf(run, column) !== null);
  if (!own.length) return section(id('numbers'), 'What came out', 'The run has not been evaluated.');
  const splits = [...new Set(own.map((column) => column.split))];
  const names = [...new Set(own.map((column) => column.name))];
  const rowsOf = (list) =>
    list.map((name) => {
      const first = own.find((column) => column.name === name);
      const cells = splits.map((split) => {
        const column = own.find((one) => one.name === name && one.split === split);
        const value = column ? valueOf(run, column) : null;
        const error = column?.error ? valueOf(run, columnOf.get(column.error)) : null;
        return el(
          'td',
          { class: 'number', 'data-label': value === null ? null : splits.length > 1 ? split : null },
          written(value, 6),
          isNumber(error) ? el('span', { class: 'error' }, ` \u00b1 ${written(error, 2)}`) : null,
        );
      });
      return el(
        'tr',
        {},
        el('td', { class: 'code' }, broken(name)),
        cells,
        el('td', { class: 'default' }, first.unit),
        el('td', { class: 'text' }, first.text),
      );
    });
  const table = (list) =>
    el(
      'div',
      { class: 'box' },
      el(
        'table',
        { class: 'facts stack' },
        el(
          'thead',
          {},
          el(
            'tr',
            {},
            ['number', ...splits, 'unit', 'what it is'].map((text) =>
              el(
                'th',
                { scope: 'col', class: splits.includes(text) ? 'number' : null },
                (run.evaluated[text] ?? run.step) === run.step ? text : `${text} (step ${run.evaluated[text]})`,
              ),
            ),
          ),
        ),
        el('tbody', {}, rowsOf(list)),
      ),
    );
  const folded = (text, list) => (list.length ? el('details', {}, el('summary', {}, text), table(list)) : null);
  const main = names.filter((name) => own.some((column) => column.name === name && column.main));
  const heads = new Map();
  for (const name of main) heads.set(name.split('/')[0], [...(heads.get(name.split('/')[0]) ?? []), name]);
  const few = main.filter((name) => heads.get(name.split('/')[0]).length <= MOST_ALIKE);
  const many = [...heads].filter(([, list]) => list.length > MOST_ALIKE);
  const rest = names.filter((name) => !main.includes(name));
  return section(
    id('numbers'),
    'What came out',
    `The last evaluation of the ${splits.join(' and the ')} split${splits.length > 1 ? 's' : ''}; after \u00b1 one standard error.`,
    few.length ? table(few) : null,
    many.map(([head, list]) => folded(`${head}: ${list.length} numbers`, list)),
    folded(`${rest.length} more number${rest.length > 1 ? 's' : ''}`, rest),
  );
}

function pictureSection(run, id) {
  if (!run.pictures.length) return null;
  const own = run.pictures.map((picture) =>
    el(
      'figure',
      {},
      el('img', {
        class: picture.pixels ? 'pixels' : null,
        src: picture.src,
        alt: picture.title,
        width: picture.width,
        height: picture.height,
      }),
      el('figcaption', {}, picture.title),
    ),
  );
  return section(id('pictures'), 'Samples and reconstructions', null, el('div', { class: 'pictures' }, own));
}

function curveSection(run, id) {
  const own = curveCharts(run);
  return own.length
    ? section(
        id('curves'),
        'Training',
        'Lines: means since the line before, on the training split; dots: evaluations.',
        el('div', { class: 'pair' }, own),
      )
    : null;
}

function figureSection(run, id) {
  if (!run.figures.length) return null;
  const shown = run.figures.filter((figure) => figure.src);
  const linked = run.figures.filter((figure) => !figure.src);
  const link = (figure) => el('a', { href: addressOf(figure.href), target: '_blank', rel: 'noopener' }, figure.title);
  return section(
    id('figures'),
    'All figures of the run',
    shown.length ? null : 'Files of the run, beside this page.',
    shown.length
      ? el(
          'div',
          { class: 'pictures figures' },
          shown.map((figure) =>
            el(
              'figure',
              {},
              el('img', { src: figure.src, alt: figure.title, loading: 'lazy' }),
              el('figcaption', {}, link(figure)),
            ),
          ),
        )
      : null,
    linked.length
      ? el(
          'p',
          {},
          linked.flatMap((figure, i) => [i ? ', ' : '', link(figure)]),
        )
      : null,
  );
}

function environmentSection(run, id) {
  const own = Object.entries(run.environment);
  if (!own.length) return null;
  return section(
    id('environment'),
    'Made with',
    null,
    el(
      'div',
      { class: 'box' },
      el(
        'table',
        { class: 'facts' },
        el(
          'tbody',
          {},
          own.map(([name, value]) =>
            el('tr', {}, el('td', { class: 'soft' }, name), el('td', { class: 'code' }, value)),
          ),
        ),
      ),
    ),
  );
}
