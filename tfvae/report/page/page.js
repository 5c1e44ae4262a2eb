// The page: its head, its bar, its sections in order.

function heading() {
  document.title = `${doc.title} \u2013 tfvae report`;
  document.getElementById('title').textContent = doc.title;
  const lead = document.getElementById('lead');
  if (doc.alone) {
    lead.append(statusLine(doc.runs[0]));
    return;
  }
  const counts = {};
  for (const run of [...doc.runs, ...doc.absent]) counts[run.status] = (counts[run.status] ?? 0) + 1;
  const total = doc.runs.length + doc.absent.length;
  const states = Object.entries(counts)
    .map(([status, count]) => (count === total ? (total === 1 ? status : `all ${status}`) : `${count} ${status}`))
    .join(', ');
  const fields = fieldColumns
    .slice(0, 4)
    .map((column) => nameOf(column))
    .join(', ');
  const more = fieldColumns.length > 4 ? ` and ${fieldColumns.length - 4} more fields` : '';
  lead.textContent = `${total} run${total === 1 ? '' : 's'}, ${states}${fields ? `; they differ in ${fields}${more}` : ''}.`;
}

function filterBar() {
  const problem = el('p', { class: 'problem', role: 'alert' });
  const count = el('span', { class: 'count', role: 'status' });
  const example = numberColumns.find((column) => column.name === 'elbo') ?? numberColumns[0];
  const field = fieldColumns.find((column) => column.numeric && !SEEDS.includes(column.id));
  const hint = [field && `${nameOf(field)} > 1`, example && `${example.name} >= 30`].filter(Boolean).join('  ');
  const input = el('input', {
    type: 'search',
    id: 'filter',
    placeholder: `Filter: ${hint || 'words'}`,
    'aria-label': 'Filter runs',
    autocomplete: 'off',
    spellcheck: 'false',
    title:
      'Words that the names, fields or status of runs hold (-word: do not), and comparisons of a field or a number: objective.beta.z2 > 1  elbo >= 30  status:finished. All must hold.',
    oninput: () => {
      problem.textContent = applyFilter(input.value).join('; ');
    },
  });
  const tally = () => (count.textContent = `${state.shown.size} of ${doc.runs.length}`);
  on('filter', tally);
  tally();
  return { filter: el('div', { class: 'filter' }, input, count), problem };
}

function themeSwitch() {
  const button = el('button', {
    type: 'button',
    id: 'theme',
    onclick: () => {
      const theme = isDark() ? 'light' : 'dark';
      kept('tfvae-theme', theme);
      setTheme(theme);
    },
  });
  const label = () => {
    button.textContent = isDark() ? '\u2600\ufe0e' : '\u263e\ufe0e';
    button.title = isDark() ? 'Light' : 'Dark';
    button.setAttribute('aria-label', isDark() ? 'Light theme' : 'Dark theme');
  };
  on('theme', label);
  label();
  return button;
}

function meansSwitch() {
  if (!hasSeeds) return null;
  const buttons = [
    [false, 'Runs'],
    [true, 'Means'],
  ].map(([means, text]) =>
    el(
      'button',
      {
        type: 'button',
        'aria-pressed': String(state.means === means),
        title: means ? 'Charts show means over seeds, with standard deviations' : 'Charts show single runs',
        onclick: () => {
          state.means = means;
          buttons.forEach(([of, button]) => button.setAttribute('aria-pressed', String(of === means)));
          tell('means');
        },
      },
      text,
    ),
  );
  buttons.forEach((button, i) => (buttons[i] = [Boolean(i), button]));
  return el(
    'span',
    { class: 'segments', role: 'group', 'aria-label': 'Single runs or means over seeds', id: 'means' },
    buttons.map(([, button]) => button),
  );
}

function severalSections() {
  const total = metricNamed('rate')?.name === 'rate' ? metricNamed('rate') : null;
  const layers = rateColumns.filter((column) => column.split === ownSplit);
  const best =
    numberColumns.find((column) => column.split === ownSplit && column.main && column.name.startsWith('probe/')) ??
    metricNamed('elbo', 'psnr');
  const curves = overlaid();
  return [
    overview(),
    recommendations(),
    doc.runs.length ? section('runs', 'Runs', 'Click a heading to sort, a row to open its run.', ...runsTable()) : null,
    total ? againstRate('total', 'Against the total rate', null, [total], total, best) : null,
    plane(),
    layers.length > 1
      ? againstRate(
          'layers',
          'Against the rate of a layer',
          null,
          layers,
          layers.find((column) => column.name !== 'rate') ?? layers[0],
          metricNamed('elbo'),
        )
      : null,
    space(),
    heatMaps(),
    gallery(),
    curves ? section('curves', 'Curves', null, curves) : null,
    seeds(),
    leftOut(),
  ];
}

function build() {
  heading();
  const main = document.getElementById('content');
  const sections = (doc.alone ? [...runSections(doc.runs[0], 0), leftOut()] : severalSections()).filter(Boolean);
  const SHORT = {
    'Mean and spread over seeds': 'Seeds',
    'What differs from the defaults': 'Differs',
    'What differs': 'Fields',
    'Against the total rate': 'Total rate',
    'Against the rate of a layer': 'Layers',
    'Over the rates of two layers': 'Surface',
    'Over two fields': 'Heat map',
    'The information plane': 'Plane',
    'Which to choose': 'Choose',
    'Not finished, or left out': 'Problems',
    'Samples and reconstructions': 'Pictures',
    'What came out': 'Numbers',
    'All figures of the run': 'Figures',
    'Make it again': 'Command',
  };
  const links = sections.map((own) => {
    const title = own.querySelector('h2').textContent;
    return el('a', { href: `#${own.id}` }, SHORT[title] ?? title);
  });
  const { filter, problem } = doc.alone ? {} : filterBar();
  document
    .querySelector('#bar > div')
    .append(...[el('div', { class: 'links' }, links), filter, meansSwitch(), themeSwitch(), problem].filter(Boolean));
  main.append(...sections);
  const files = doc.files.flatMap((path, i) => [i ? ', ' : '', el('a', { href: addressOf(path) }, path)]);
  document
    .querySelector('#foot > div')
    .append(files.length ? el('p', { style: 'max-width:none' }, 'Beside this page: ', files) : '');
  document
    .querySelector('#foot > div')
    .append(`Made by tfvae ${doc.version} from the files in ${doc.path}. Needs no network.`);
  follow();
}

build();
