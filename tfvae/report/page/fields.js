// Many runs over two of their fields: heat maps, and pictures.

// Heat maps over two fields, and the pictures of the same runs.
const overFields = fieldColumns.filter((column) => new Set(doc.runs.map((run) => valueOf(run, column))).size > 1);

function firstTwo() {
  const own = [...overFields].sort(
    (a, b) =>
      SEEDS.includes(a.id) - SEEDS.includes(b.id) ||
      b.id.startsWith('objective.beta.') - a.id.startsWith('objective.beta.'),
  );
  return own.slice(0, 2);
}

// The runs at each pair of values. Those that have neither field have no place: what they have in common is not known.
function cellsOf(x, y, indices) {
  const at = (index, column) => valueOf(doc.runs[index], column);
  const own = indices.filter((index) => at(index, x) !== null || at(index, y) !== null);
  const sorted = (column) => [...new Set(own.map((index) => at(index, column)))].sort((a, b) => compare(a, b, false));
  const [xs, ys] = [sorted(x), sorted(y)];
  const cells = ys.map(() => xs.map(() => []));
  for (const index of own) cells[ys.indexOf(at(index, y))][xs.indexOf(at(index, x))].push(index);
  return { xs, ys, cells, left: indices.length - own.length };
}
// Whether all runs of a cell have equal betas in all layers, where both axes are betas.
const isEqualCell = (x, y, cell) =>
  x.id !== y.id &&
  [x, y].every((column) => column.id.startsWith('objective.beta.')) &&
  cell.length > 0 &&
  cell.every((index) => doc.runs[index].kind === 'equal');

function heatMaps() {
  if (overFields.length < 2) return null;
  const first = metricNamed('elbo', 'accuracy');
  if (!first) return null;
  const layer = rateColumns.find((column) => column.split === ownSplit && column.name !== 'rate');
  const second = layer ?? metricNamed('mse', 'psnr', 'cross_entropy');
  const two = [first, second].filter((metric, i) => i === 0 || metric !== first).map((metric, i) => heatMap(metric, i));
  return section(
    'heat',
    'Over two fields',
    'Means over the runs of a cell that the filter lets through, their seeds among them. Framed: equal betas.',
    el('div', { class: 'pair' }, two),
  );
}

function heatMap(metric, i) {
  let [x, y] = firstTwo();
  const list = overFields.map((column) => [column.id, nameOf(column)]);
  const own = chart({
    name: `heat-${i}`,
    label: 'Heat map over two fields',
    height: 480,
    controls: [
      picker('number', metricOptions(), metric.id, (value) => {
        metric = columnOf.get(value);
        own.refresh();
      }),
      picker('across', list, x.id, (value) => {
        x = columnOf.get(value);
        own.refresh();
      }),
      picker('along', list, y.id, (value) => {
        y = columnOf.get(value);
        own.refresh();
      }),
    ],
    about: () => [metricText(metric), leftText(cellsOf(x, y, [...state.shown]).left, x, y)],
    build: () => heatOf(x, y, metric),
    open: (point) => openCell(point.customdata),
  });
  return own;
}

function leftText(left, x, y) {
  const fields = x === y ? `no ${nameOf(x)}` : `neither ${nameOf(x)} nor ${nameOf(y)}`;
  return left ? `Not here: ${left} run${left > 1 ? 's' : ''} in which ${fields} holds. ` : '';
}

function openCell(indices) {
  if (!indices?.length) return;
  if (indices.length === 1) openRun(indices[0]);
  else openSeveral(indices);
}

function heatOf(x, y, metric) {
  const { xs, ys, cells } = cellsOf(x, y, [...state.shown]);
  if (!cells.flat(2).some((index) => isNumber(valueOf(doc.runs[index], metric))))
    return `No run that is shown and has a place here has ${nameOf(metric)}.`;
  const several = cells.map((row) => row.map((of) => spread(of.map((index) => valueOf(doc.runs[index], metric)))));
  const few = xs.length <= (window.innerWidth < 640 ? 4 : 7);
  const label = (value) => (value === null ? '(none)' : written(value, 4) || "''");
  const shapes = [];
  ys.forEach((_, j) =>
    xs.forEach(
      (_, i) =>
        isEqualCell(x, y, cells[j][i]) &&
        shapes.push({
          type: 'rect',
          x0: i - 0.5,
          x1: i + 0.5,
          y0: j - 0.5,
          y1: j + 0.5,
          line: { color: color('bad'), width: 2 },
        }),
    ),
  );
  const text = several.map((row, j) =>
    row.map((one, i) =>
      one.count
        ? [
            `${plain(nameOf(x))} = ${plain(label(xs[i]))}`,
            `${plain(nameOf(y))} = ${plain(label(ys[j]))}`,
            `${plain(nameOf(metric))} = <b>${written(one.mean)}</b>${one.deviation === null ? '' : ` \u00b1 ${written(one.deviation, 2)}`}`,
            countNote(one).trim() || `${one.count} run${one.count > 1 ? 's' : ''}`,
          ].join('<br>')
        : '',
    ),
  );
  const trace = {
    type: 'heatmap',
    x: xs.map((_, i) => i),
    y: ys.map((_, j) => j),
    z: several.map((row) => row.map((one) => one.mean)),
    text,
    customdata: cells,
    hovertemplate: '%{text}<extra></extra>',
    hoverongaps: false,
    colorscale: SCALE,
    reversescale: metric.better < 0,
    xgap: 1,
    ygap: 1,
    colorbar: {
      thickness: 11,
      outlinewidth: 0,
      title: { text: plain(titleOf(metric)), side: 'right', font: { size: 12 } },
      tickfont: { size: 11 },
    },
  };
  const notes = few
    ? several
        .flatMap((row, j) =>
          row.map(
            (one, i) =>
              one.count && {
                x: i,
                y: j,
                text: written(one.mean, 4),
                showarrow: false,
                font: { size: 12, color: '#ffffff' },
                bgcolor: 'rgba(20,23,26,.64)',
                borderpad: 2,
              },
          ),
        )
        .filter(Boolean)
    : [];
  const ticks = (values) => {
    const every = Math.ceil(values.length / 8);
    return {
      tickvals: values.map((_, i) => i).filter((i) => i % every === 0),
      ticktext: values.filter((_, i) => i % every === 0).map((value) => plain(label(value))),
    };
  };
  return {
    data: [trace],
    layout: {
      shapes,
      annotations: notes,
      xaxis: axis(nameOf(x), { ...ticks(xs), showgrid: false, zeroline: false }),
      yaxis: axis(nameOf(y), { ...ticks(ys), showgrid: false, zeroline: false }),
      margin: { l: 50, r: 10, t: 14, b: 46 },
    },
  };
}

function gallery() {
  const kinds = [...new Set(doc.runs.flatMap((run) => run.pictures.map((picture) => picture.title)))];
  let [x, y] = firstTwo();
  if (!kinds.length || !x) return null;
  let kind = kinds[0];
  const list = overFields.map((column) => [column.id, nameOf(column)]);
  const host = el('div', { class: 'gallery box', tabindex: 0, role: 'region', 'aria-label': 'Pictures of the runs' });
  function draw() {
    const { xs, ys, cells, left } = cellsOf(
      x,
      y ?? x,
      [...doc.runs.keys()].filter((index) => doc.runs[index].pictures.some((picture) => picture.title === kind)),
    );
    const label = (value) => (value === null ? '(none)' : written(value, 4));
    const cell = (of) => {
      const index = of.find((one) => state.shown.has(one)) ?? of[0];
      if (index === undefined) return el('td');
      const picture = doc.runs[index].pictures.find((one) => one.title === kind);
      const image = el('img', {
        src: picture.src,
        alt: `${kind} of ${doc.runs[index].name}`,
        loading: 'lazy',
        class: picture.pixels ? null : 'smooth',
      });
      const classes = [isEqualCell(x, y ?? x, of) && 'equal', !state.shown.has(index) && 'hidden']
        .filter(Boolean)
        .join(' ');
      return el(
        'td',
        { class: classes || null },
        el(
          'a',
          {
            href: hashOf(doc.runs[index]),
            title: doc.runs[index].name,
            onclick: (event) => {
              event.preventDefault();
              openRun(index);
            },
          },
          image,
        ),
      );
    };
    const bodyRows = [...ys.keys()].reverse().map((j) =>
      el(
        'tr',
        {},
        el('th', { scope: 'row' }, y ? label(ys[j]) : ''),
        xs.map((_, i) => cell(cells[j][i])),
      ),
    );
    const foot = el(
      'tr',
      {},
      el('th', {}, y ? `${nameOf(y)} \u2191  ${nameOf(x)} \u2192` : `${nameOf(x)} \u2192`),
      xs.map((a) => el('th', { scope: 'col' }, label(a))),
    );
    if (!y)
      bodyRows.splice(
        0,
        bodyRows.length,
        el(
          'tr',
          {},
          el('th'),
          xs.map((_, i) => cell(cells.map((row) => row[i]).flat())),
        ),
      );
    host.className = `gallery box ${xs.length > 14 ? 'most' : xs.length > 9 ? 'many' : xs.length < 6 ? 'few' : ''}`;
    const note = left ? el('p', { class: 'small soft', style: 'margin:.4rem .6rem' }, leftText(left, x, y ?? x)) : null;
    host.replaceChildren(...[el('table', {}, el('tbody', {}, bodyRows, foot)), note].filter(Boolean));
  }
  const controls = el(
    'div',
    { class: 'controls' },
    kinds.length > 1
      ? picker(
          'pictures',
          kinds.map((one) => [one, one]),
          kind,
          (value) => {
            kind = value;
            draw();
          },
        )
      : null,
    y
      ? [
          picker('across', list, x.id, (value) => {
            x = columnOf.get(value);
            draw();
          }),
          picker('along', list, y.id, (value) => {
            y = columnOf.get(value);
            draw();
          }),
        ]
      : null,
  );
  on('filter', draw);
  draw();
  return section(
    'pictures',
    'Pictures',
    'The same runs as pictures, each a pixel of the data to a pixel; of several runs in a place the first.',
    controls,
    host,
  );
}
