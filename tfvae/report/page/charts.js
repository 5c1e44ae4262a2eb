// Charts: drawn when they come into sight, again when what they show changes, each by Plotly in the page's own colours.

const OKABE_ITO = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#56b4e9', '#e69f00', '#8f7700', '#7d7d7d'];
const DASHES = ['solid', 'dash', 'dot', 'dashdot', 'longdash'];
const SYMBOLS = { betas: 'circle', equal: 'diamond', targets: 'square' };
const KINDS = { betas: 'other betas', equal: 'equal betas', targets: 'targets of rates' };
const SCALE = 'Viridis'; // even in lightness, and told apart by colour-blind eyes

const charts = new Set();
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
// Names are text: what Plotly would read as its markup is written out.
const plain = (text) => String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

function axis(title, more = {}) {
  return {
    title: { text: plain(title), standoff: 8, font: { size: 13 } },
    gridcolor: color('grid'),
    zerolinecolor: color('rule'),
    linecolor: color('rule'),
    tickfont: { size: 12 },
    automargin: true,
    ...more,
  };
}

function layoutOf(more) {
  const font = { family: getComputedStyle(document.body).fontFamily, color: color('ink'), size: 13 };
  return {
    font,
    paper_bgcolor: 'rgba(0,0,0,0)',
    plot_bgcolor: 'rgba(0,0,0,0)',
    margin: { l: 56, r: 18, t: 18, b: 48 },
    hoverlabel: {
      font: { family: font.family, size: 13, color: color('ink') },
      bgcolor: color('raised'),
      bordercolor: color('rule'),
      align: 'left',
    },
    hovermode: 'closest',
    colorway: OKABE_ITO,
    legend: { orientation: 'h', y: 1.02, yanchor: 'bottom', x: 0, font: { size: 12 } },
    showlegend: false,
    ...more,
  };
}

const CONFIG = {
  responsive: true,
  displaylogo: false,
  showSendToCloud: false, // nothing is sent anywhere
  plotlyServerURL: '',
  modeBarButtonsToRemove: ['lasso2d', 'select2d', 'autoScale2d'],
  toImageButtonOptions: { format: 'svg' },
};

const seen = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const own = entry.target.chart;
      own.visible = entry.isIntersecting;
      if (own.visible) own.draw();
    }
  },
  { rootMargin: '250px 0px' },
);

// A figure with controls above, a text below, and a plot that `build` gives: {data, layout}, or a text where there is none.
function chart({ name, label, about, controls = [], height = 420, build, open = openPoint }) {
  const plot = el('div', {
    class: 'plot',
    role: 'img',
    'aria-label': label ?? name,
    'data-chart': name,
    style: `height:${height}px`,
  });
  const caption = el('figcaption');
  const own = {
    plot,
    dirty: true,
    visible: false,
    draw() {
      if (!own.dirty || !plot.isConnected) return;
      own.dirty = false;
      const built = build();
      const text = typeof built === 'string' ? built : null;
      caption.replaceChildren(...[typeof about === 'function' ? about() : about].flat().filter(Boolean));
      if (text !== null) {
        Plotly.purge(plot);
        plot.replaceChildren(el('p', { class: 'empty' }, text));
        return;
      }
      plot.querySelector('.empty')?.remove();
      Plotly.react(plot, built.data, layoutOf({ height, ...built.layout }), CONFIG);
      if (!own.listens) {
        own.listens = true;
        plot.on('plotly_click', (event) => open(event.points[0]));
      }
    },
    refresh() {
      own.dirty = true;
      if (own.visible) own.draw();
    },
  };
  plot.chart = own;
  charts.add(own);
  seen.observe(plot);
  const bar = controls.length ? el('div', { class: 'controls' }, controls) : null;
  return Object.assign(el('figure', { class: 'chart' }, bar, plot, caption), { refresh: own.refresh });
}

function refreshAll() {
  forget();
  charts.forEach((own) => own.refresh());
}

// Lets go of charts that are no longer there: those of a run that was open.
function forget() {
  for (const own of charts) {
    if (own.plot.isConnected) continue;
    charts.delete(own);
    seen.unobserve(own.plot);
    Plotly.purge(own.plot);
  }
}
on('filter theme means color', () => requestAnimationFrame(refreshAll));
// On paper all charts are drawn, on white.
let screen = null;
window.addEventListener('beforeprint', () => {
  screen = document.documentElement.dataset.theme;
  if (screen === 'dark') setTheme('light');
  for (const own of charts) {
    own.dirty ||= screen === 'dark';
    own.draw();
  }
});
window.addEventListener('afterprint', () => {
  if (screen === 'dark') setTheme('dark');
});

// A point that was clicked: its customdata is the number of a run, or 'g' and that of a group.
function openPoint(point) {
  const of = Array.isArray(point.customdata) ? point.customdata[0] : point.customdata;
  if (typeof of === 'number') openRun(of);
  else if (typeof of === 'string') openGroup(of);
}

// The points of a chart: single runs or means over seeds, {of, label, kind, values, deviations}, by columns.
function pointsOf(own) {
  const complete = (values) => values.every(isNumber);
  if (!state.means) {
    return doc.runs
      .map((run, index) => ({
        of: index,
        run,
        label: run.name,
        kind: run.kind,
        values: own.map((column) => valueOf(run, column)),
        deviations: own.map(() => null),
        notes: own.map(() => ''),
        shown: state.shown.has(index),
      }))
      .filter((point) => complete(point.values));
  }
  const found = [];
  for (const [key, indices] of groupsShown()) {
    const several = own.map((column) => spread(indices.map((index) => valueOf(doc.runs[index], column))));
    const run = doc.runs[indices[0]];
    const label = indices.length > 1 ? `mean of ${indices.length} seeds` : run.name;
    found.push({
      of: indices.length > 1 ? key : indices[0],
      run,
      label,
      kind: run.kind,
      values: several.map((one) => one.mean),
      deviations: several.map((one) => one.deviation),
      notes: several.map(countNote),
      shown: true,
    });
  }
  return found.filter((point) => complete(point.values));
}

function hover(point, own) {
  const fields = fieldColumns
    .filter((column) => !state.means || !SEEDS.includes(column.id))
    .filter((column) => valueOf(point.run, column) !== null)
    .slice(0, 8)
    .map((column) => `${plain(nameOf(column))} = ${plain(written(valueOf(point.run, column), 6))}`);
  const numbers = own.map((column, i) => {
    const deviation = point.deviations[i];
    return `${plain(nameOf(column))} = <b>${written(point.values[i])}</b>${deviation === null ? '' : ` \u00b1 ${written(deviation, 2)}`} ${unitOf(column)}${point.notes[i]}`;
  });
  const label = point.label.length > 60 ? `${point.label.slice(0, 57)}...` : point.label;
  return [`<b>${plain(label)}</b>`, ...fields, ...numbers].join('<br>');
}

// By what points are coloured: a field, on a scale of colours where it is a number, else a colour for each value.
const colorColumns = fieldColumns.filter((column) => !SEEDS.includes(column.id));
state.color = (colorColumns.find((column) => column.id.startsWith('objective.beta.')) ?? colorColumns[0])?.id ?? null;

function coloring() {
  const column = state.color ? columnOf.get(state.color) : null;
  if (!column) return { column: null, scaled: false };
  const values = [...new Set(doc.runs.map((run) => valueOf(run, column)))].filter((value) => value !== null);
  if (!column.numeric || values.length < 4) {
    values.sort((a, b) => compare(a, b, false));
    return {
      column,
      scaled: false,
      values,
      of: (value) => OKABE_ITO[values.indexOf(value) % OKABE_ITO.length],
    };
  }
  values.sort((a, b) => a - b);
  const log = values[0] > 0 && values.at(-1) / values[0] > 20;
  const turn = log ? Math.log10 : (value) => value;
  const ticks = values.length <= 9 ? values : values.filter((_, i) => i % Math.ceil(values.length / 7) === 0);
  return {
    column,
    scaled: true,
    values,
    turn,
    range: [turn(values[0]), turn(values.at(-1))],
    bar: {
      title: { text: plain(nameOf(column)), side: 'right', font: { size: 12 } },
      thickness: 11,
      len: 0.9,
      outlinewidth: 0,
      tickvals: ticks.map(turn),
      ticktext: ticks.map((value) => written(value, 3)),
      tickfont: { size: 11 },
    },
  };
}

// The colours of points or lines: [{name, color, fits}]; one without a colour of its own is on the scale. Runs that have
// no such field, or one that does not hold, are grey.
function shades(colors) {
  if (!colors.column) return [{ name: null, color: OKABE_ITO[0], fits: () => true }];
  const label = nameOf(colors.column);
  const of = (run) => valueOf(run, colors.column);
  const there = colors.scaled
    ? [{ name: null, color: null, fits: (run) => of(run) !== null }]
    : colors.values.map((value) => ({
        name: `${label} ${written(value)}`,
        color: colors.of(value),
        fits: (run) => of(run) === value,
      }));
  return [...there, { name: `${label} (none)`, color: color('faint'), fits: (run) => of(run) === null }];
}

// Traces of points, by kind and colour, those that the filter leaves out as ghosts behind them.
function scatter(points, own, at, type = 'scatter') {
  const colors = coloring();
  const kinds = [...new Set(points.map((point) => point.kind))];
  const marksEqual = kinds.includes('equal') && kinds.length > 1;
  const shapes = kinds.length > 1 && (marksEqual || kinds.includes('targets'));
  const size = type === 'scatter3d' ? 5 : points.length > 150 ? 7 : 9;
  const common = { type, mode: 'markers', hovertemplate: '%{text}<extra></extra>' };
  const traces = [];
  const ghosts = points.filter((point) => !point.shown);
  if (ghosts.length) {
    traces.push({
      ...common,
      ...at(ghosts),
      hoverinfo: 'skip',
      hovertemplate: null,
      showlegend: false,
      marker: { size: size - 3, color: color('ghost'), opacity: 0.55 },
    });
  }
  const shown = points.filter((point) => point.shown);
  let bar = colors.scaled;
  for (const kind of kinds) {
    for (const shade of shades(colors)) {
      const of = shown.filter((point) => point.kind === kind && shade.fits(point.run));
      if (!of.length) continue;
      const symbol = shapes ? SYMBOLS[kind] : 'circle';
      const marker = {
        size: symbol === 'diamond' && type !== 'scatter3d' ? size + 3 : size,
        symbol,
        line: { width: symbol === 'diamond' ? 1.6 : 0.8, color: symbol === 'diamond' ? color('ink') : color('edge') },
      };
      if (shade.color) marker.color = shade.color;
      else {
        Object.assign(marker, {
          color: of.map((point) => colors.turn(valueOf(point.run, colors.column))),
          colorscale: SCALE,
          cmin: colors.range[0],
          cmax: colors.range[1],
          showscale: bar,
          colorbar: bar ? { ...colors.bar } : undefined,
        });
        bar = false;
      }
      const parts = [shade.name, shapes ? KINDS[kind] : null].filter(Boolean);
      traces.push({
        ...common,
        ...at(of),
        text: of.map((point) => hover(point, own)),
        customdata: of.map((point) => point.of),
        marker,
        name: plain(parts.join(', ') || 'runs'),
        showlegend: parts.length > 0,
      });
    }
  }
  return traces;
}

function errors(points, i) {
  if (!points.some((point) => point.deviations[i] !== null)) return undefined;
  return {
    type: 'data',
    array: points.map((point) => point.deviations[i] ?? 0),
    thickness: 1.1,
    width: 3,
    color: color('faint'),
  };
}

// What is said below charts.
function colorPicker() {
  if (colorColumns.length < 2) return [];
  const select = picker(
    'colour',
    colorColumns.map((column) => [column.id, nameOf(column)]),
    state.color,
    (value) => {
      state.color = value;
      tell('color');
    },
  );
  on('color', () => (select.querySelector('select').value = state.color));
  return [select];
}

const metricText = (column) => (column?.text ? `${nameOf(column)}: ${column.text}. ` : '');
const meansNote = () => (state.means ? 'Points are means over seeds, bars one standard deviation. ' : '');
const equalNote = (points) =>
  points.some((p) => p.kind === 'equal') && points.some((p) => p.kind !== 'equal')
    ? 'Diamonds: equal betas in all layers. '
    : '';
