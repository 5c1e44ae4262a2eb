// Many runs: what came out against the rates, over two fields, over seeds; which to choose.

function colorPicker() {
  if (colorColumns.length < 2) return [];
  const select = picker('colour', colorColumns.map((column) => [column.id, nameOf(column)]), state.color, (value) => { state.color = value; tell('color'); });
  on('color', () => (select.querySelector('select').value = state.color));
  return [select];
}

const metricText = (column) => (column?.text ? `${nameOf(column)}: ${column.text}. ` : '');
const meansNote = () => (state.means ? 'Points are means over seeds, bars one standard deviation. ' : '');
const equalNote = (points) => (points.some((p) => p.kind === 'equal') && points.some((p) => p.kind !== 'equal') ? 'Diamonds: equal betas in all layers. ' : '');

const MOST_FIELDS = 8; // that differ, before the others are folded

// What differs, and what all runs have in common.
function overview() {
  const facts = fieldColumns.map((column) => {
    const values = [...new Set(doc.runs.map((run) => valueOf(run, column)))].sort((a, b) => compare(a, b, false));
    const text = values.map((value) => (value === null ? '(no such field)' : written(value, 6) || "''"));
    return el('tr', {}, el('td', { class: 'code' }, broken(column.id)), el('td', { class: 'value', 'data-label': 'values' }, text.length > 24 ? `${text.slice(0, 22).join(', ')}, \u2026 (${text.length} values)` : text.join(', ')), el('td', { class: 'default', 'data-label': 'default' }, column.default), el('td', { class: 'text' }, clamped(column.text)));
  });
  const head = el('thead', {}, el('tr', {}, ['field', 'values', 'default', 'what it is'].map((text) => el('th', { scope: 'col' }, text))));
  const table = (own) => el('div', { class: 'box' }, el('table', { class: 'facts stack' }, head.cloneNode(true), el('tbody', {}, own)));
  const first = facts.splice(0, facts.length > MOST_FIELDS + 2 ? MOST_FIELDS : facts.length);
  const differ = first.length ? table(first) : el('p', {}, 'The runs do not differ in any field.');
  const further = facts.length ? el('details', {}, el('summary', {}, `${facts.length} more fields in which they differ`), table(facts)) : null;
  const common = doc.common.length
    ? el('details', {}, el('summary', {}, `${doc.common.length} more fields are not at their defaults, the same in all runs`), fieldTable(doc.common))
    : null;
  const sweeps = doc.sweeps.filter((sweep) => sweep.command).map((sweep) => [el('p', { class: 'label' }, `The command that makes the grid${sweep.name === '.' ? '' : ` ${sweep.name}`} again`), command(sweep.command)]);
  return section('fields', 'What differs', null, differ, further, common, ...sweeps.flat());
}

// Two lines of a text that may be long; a click shows all of it.
function clamped(text) {
  if (text.length < 120) return text;
  const own = el('span', { class: 'clamped', title: text, onclick: () => own.classList.toggle('open') }, text);
  return own;
}

// A name or a list with places where a line may end.
const broken = (text) => String(text ?? '').split(/(?<=[,._/=])/).flatMap((part, i) => (i ? [el('wbr'), part] : [part]));

// [[field, value]] with defaults and what fields are.
function fieldTable(pairs) {
  const head = el('thead', {}, el('tr', {}, ['field', 'value', 'default', 'what it is'].map((text) => el('th', { scope: 'col' }, text))));
  const body = pairs.map(([name, value]) => el('tr', {}, el('td', { class: 'code' }, broken(name)), el('td', { class: 'value', 'data-label': 'value' }, broken(value)), el('td', { class: 'default', 'data-label': 'default' }, broken(doc.fields[name]?.default)), el('td', { class: 'text' }, clamped(doc.fields[name]?.text ?? ''))));
  return el('div', { class: 'box' }, el('table', { class: 'facts stack' }, head, el('tbody', {}, body)));
}

// A metric against a rate: points, with the bound of accuracies and the hull of best points where x is the total rate.
function againstRate(id, title, about, xOptions, x, metric) {
  if (!x || !metric) return null;
  const controls = [];
  if (xOptions.length > 1) controls.push(picker('rate', xOptions.map((column) => [column.id, nameOf(column)]), x.id, (value) => { x = columnOf.get(value); own.refresh(); }));
  controls.push(picker('number', metricOptions(), metric.id, (value) => { metric = columnOf.get(value); own.refresh(); }), ...colorPicker());
  const own = chart({
    name: id, label: title, height: 460, controls,
    about: () => [metricText(metric), meansNote(), equalNote(pointsOf([x, metric])), hullNote(x, metric), boundNote(x, metric)],
    build: () => {
      const points = pointsOf([x, metric]);
      if (!points.length) return `No run has both ${nameOf(x)} and ${nameOf(metric)}.`;
      const data = [...hullTraces(x, metric), ...boundTraces(x, metric, points)];
      data.push(...scatter(points, [x, metric], (of) => ({ x: of.map((p) => p.values[0]), y: of.map((p) => p.values[1]), error_x: errors(of, 0), error_y: errors(of, 1) })));
      return { data, layout: { xaxis: axis(titleOf(x)), yaxis: axis(titleOf(metric)), showlegend: data.some((trace) => trace.showlegend && trace.name) } };
    },
  });
  return section(id, title, about, own);
}

const ofSplit = (metric) => doc.analysis.bounds.filter((bound) => bound.split === metric.split);
const isTotal = (x) => x.name === 'rate';
// Samples of codes tell no more of a label than their rate: of all layers the total, of the first ones where that is known.
function isBounded(x, metric) {
  if (!/^(probe|probe_train|accuracy_bound_information)\//.test(metric.name) || !ofSplit(metric).length) return false;
  const layers = metric.name.split('/').at(-1);
  return isTotal(x) || (x.name === `rate/${layers}` && columnOf.has(`${metric.split}/accuracy_bound_rate/${layers}`));
}

function hullTraces(x, metric) {
  if (!isTotal(x)) return [];
  return (doc.analysis.hulls[metric.id] ?? []).map((hull, i) => {
    const runs = hull.map((index) => doc.runs[index]);
    return { x: runs.map((run) => valueOf(run, x)), y: runs.map((run) => valueOf(run, metric)), mode: 'lines', line: { color: color('faint'), width: 1.5, dash: 'dash' }, hoverinfo: 'skip', name: 'hull of the best points', showlegend: i === 0 };
  });
}
const hullNote = (x, metric) => (isTotal(x) && doc.analysis.hulls[metric.id] ? 'Dashed: the best side of the convex hull of all runs, whatever the filter: no mixture of them is better at its rate. ' : '');

function boundTraces(x, metric, points) {
  if (!isBounded(x, metric)) return [];
  const most = Math.max(...points.map((point) => point.values[0])) * 1.03;
  return ofSplit(metric).map((bound) => ({ x: [...bound.x.filter((value) => value < most), most], y: [...bound.y.slice(0, bound.x.filter((value) => value < most).length), bound.y.at(-1)], mode: 'lines', line: { color: color('bad'), width: 2 }, hovertemplate: `bound ${plain(bound.text)}: %{y:.3f} at %{x:.3g} nats<extra></extra>`, name: plain(`bound of accuracies ${bound.text}`.trim()), showlegend: true }));
}
const boundNote = (x, metric) => (isBounded(x, metric) ? 'Solid line: no classifier of samples of these codes can be right more often at this rate. ' : '');

// The information plane: rate against distortion.
function plane() {
  const rate = metricNamed('rate');
  const likelihood = numberColumns.find((column) => column.name === 'log_likelihood' && column.split === ownSplit);
  const others = numberColumns.filter((column) => ['mse', 'nll_per_dimension'].includes(column.name) && column.split === ownSplit);
  const options = [...(likelihood ? [[likelihood.id, 'distortion, -log_likelihood']] : []), ...others.map((column) => [column.id, nameOf(column)])];
  if (rate?.name !== 'rate' || !options.length) return null;
  let y = columnOf.get(options[0][0]);
  const own = chart({
    name: 'plane', label: 'The information plane', height: 460,
    controls: [...(options.length > 1 ? [picker('distortion', options, y.id, (value) => { y = columnOf.get(value); own.refresh(); })] : []), ...colorPicker()],
    about: () => [y === likelihood ? 'Distortion: -E_q log p(x|z). On a dotted line the ELBO is the same; further down and left it is higher. ' : metricText(y), meansNote(), equalNote(pointsOf([rate, y]))],
    build: () => {
      const sign = y === likelihood ? -1 : 1;
      const points = pointsOf([rate, y]);
      if (!points.length) return 'No run has both.';
      const at = (of) => ({ x: of.map((p) => p.values[0]), y: of.map((p) => sign * p.values[1]), error_x: errors(of, 0), error_y: errors(of, 1) });
      const data = [...(sign < 0 ? sameElbo(points) : []), ...scatter(points, [rate, y], at)];
      return { data, layout: { xaxis: axis(titleOf(rate)), yaxis: axis(sign < 0 ? 'distortion [nats]' : titleOf(y)), showlegend: data.some((trace) => trace.showlegend && trace.name) } };
    },
  });
  return section('plane', 'The information plane', 'What codes hold of x, and what reconstructions from them lose.', own);
}

function sameElbo(points) {
  const rates = points.map((point) => point.values[0]);
  const losses = points.map((point) => point.values[0] - point.values[1]); // minus the ELBO
  const [left, right] = [Math.min(...rates), Math.max(...rates)];
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  if (!(right > left)) return [];
  const levels = [0, 0.25, 0.5, 0.75, 1].map((share) => low + share * (high - low));
  return levels.map((level) => ({ x: [left, right], y: [level - left, level - right], mode: 'lines', line: { color: color('rule'), width: 1, dash: 'dot' }, hovertemplate: `ELBO ${written(-level)} nats<extra></extra>`, showlegend: false }));
}

// A metric over two rates in space: points and the surface through them.
function space() {
  const own = rateColumns.filter((column) => column.split === ownSplit && column.name.split('/').length < 3);
  const layers = own.filter((column) => column.name !== 'rate');
  const numeric = fieldColumns.filter((column) => column.numeric && !SEEDS.includes(column.id));
  const options = [...layers, ...own.filter((column) => column.name === 'rate'), ...numeric];
  if (options.length < 2 || doc.runs.length < 3) return null;
  let metric = metricNamed('elbo', 'psnr');
  const pairs = options.flatMap((y, i) => options.slice(i + 1).map((x) => [y, x]));
  const pair = pairs.find((two) => doc.runs.filter((run) => [...two, metric].every((column) => isNumber(valueOf(run, column)))).length > 2);
  if (!pair) return null;
  let [y, x] = pair;
  let shows = 'both';
  const list = options.map((column) => [column.id, nameOf(column)]);
  const kinds = el('span', { class: 'segments', role: 'group', 'aria-label': 'What is drawn' }, [['both', 'Points and surface'], ['points', 'Points'], ['surface', 'Surface'], ['hull', 'Hull']].map(([key, text]) =>
    el('button', { type: 'button', 'aria-pressed': String(key === shows), onclick: (event) => { shows = key; kinds.querySelectorAll('button').forEach((button) => button.setAttribute('aria-pressed', String(button === event.target))); shown.refresh(); } }, text)));
  const shown = chart({
    name: 'space', label: 'A number over two rates', height: 560,
    controls: [picker('number', metricOptions(), metric.id, (value) => { metric = columnOf.get(value); shown.refresh(); }), picker('across', list, x.id, (value) => { x = columnOf.get(value); shown.refresh(); }), picker('along', list, y.id, (value) => { y = columnOf.get(value); shown.refresh(); }), kinds, ...colorPicker()],
    about: () => [metricText(metric), meansNote(), spaceNote(x, y, metric, shows), 'Drag to turn it.'],
    build: () => spaceOf(x, y, metric, shows),
  });
  return section('space', 'Over the rates of two layers', 'The result of a grid of betas is a surface: each number over the rates that the layers came to.', shown);
}

// The surface of all runs, and the hull of the best, as they were found with the page, where they are of these axes.
const surfaceOf = (x, y, metric) => (state.shown.size === doc.runs.length && doc.analysis.space?.x === x.id && doc.analysis.space.y === y.id ? doc.analysis.space.surfaces[metric.id] : null);
const hullOf = (x, y, metric) => (doc.analysis.space?.x === x.id && doc.analysis.space.y === y.id ? doc.analysis.space.hulls[metric.id] : null);

function spaceNote(x, y, metric, shows) {
  if (shows === 'points') return '';
  if (shows === 'hull') return hullOf(x, y, metric) ? 'The best side of the convex hull of all runs, whatever the filter: no mixture of them is better at its rates. ' : '';
  return surfaceOf(x, y, metric) ? 'The surface goes through all runs, cubic between them (Clough and Tocher). ' : 'The surface is linear between the points that the filter lets through. ';
}

function spaceOf(x, y, metric, shows) {
  const points = pointsOf([x, y, metric]);
  const inside = points.filter((point) => point.shown);
  if (!inside.length) return 'No run has these numbers.';
  const at = (of) => ({ x: of.map((p) => p.values[0]), y: of.map((p) => p.values[1]), z: of.map((p) => p.values[2]) });
  const data = [];
  if (shows !== 'surface') data.push(...scatter(points, [x, y, metric], at, 'scatter3d'));
  const alone = shows === 'surface';
  const look = { colorscale: 'Cividis', opacity: alone ? 1 : 0.62, showscale: alone, reversescale: metric.better < 0, colorbar: { thickness: 11, len: 0.8, outlinewidth: 0, title: { text: plain(nameOf(metric)), side: 'right' } } };
  if (shows === 'hull') {
    const facets = hullOf(x, y, metric);
    if (!facets) return `There is no hull of ${nameOf(metric)} over ${nameOf(x)} and ${nameOf(y)}: it is of main numbers of which more, or less, is better, over the rates of the first two layers.`;
    const all = doc.runs.map((run) => ({ values: [x, y, metric].map((column) => valueOf(run, column)) }));
    data.push({ type: 'mesh3d', ...at(all), i: facets.map((f) => f[0]), j: facets.map((f) => f[1]), k: facets.map((f) => f[2]), intensity: all.map((p) => p.values[2]), ...look, flatshading: true, hoverinfo: 'skip' });
  } else if (shows !== 'points') {
    const smooth = surfaceOf(x, y, metric);
    if (smooth) data.push({ type: 'mesh3d', ...smooth, intensity: smooth.z, ...look, hovertemplate: `${plain(nameOf(x))} %{x:.4g}<br>${plain(nameOf(y))} %{y:.4g}<br>${plain(nameOf(metric))} about %{z:.4g}<extra></extra>` });
    else if (inside.length > 2) data.push({ type: 'mesh3d', ...at(inside), intensity: inside.map((p) => p.values[2]), ...look, delaunayaxis: 'z', flatshading: true, text: inside.map((p) => hover(p, [x, y, metric])), customdata: inside.map((p) => p.of), hovertemplate: '%{text}<extra></extra>' });
  }
  const side = (column) => ({ title: { text: plain(titleOf(column)), font: { size: 12 } }, gridcolor: color('grid'), zerolinecolor: color('rule'), backgroundcolor: color('raised'), showbackground: true, tickfont: { size: 11 } });
  const far = window.innerWidth < 640 ? 1.95 : 1;
  const scene = { xaxis: side(x), yaxis: side(y), zaxis: side(metric), camera: { eye: { x: -1.2 * far, y: -1.36 * far, z: 0.66 * far }, center: { x: 0, y: 0, z: -0.17 } }, aspectmode: 'cube', uirevision: 'kept' };
  return { data, layout: { scene, margin: { l: 0, r: 0, t: 8, b: 0 }, showlegend: data.some((trace) => trace.showlegend), uirevision: 'kept' } };
}

// Heat maps over two fields, and the pictures of the same runs.
const overFields = fieldColumns.filter((column) => new Set(doc.runs.map((run) => valueOf(run, column))).size > 1);

function firstTwo() {
  const own = [...overFields].sort((a, b) => SEEDS.includes(a.id) - SEEDS.includes(b.id) || b.id.startsWith('objective.beta.') - a.id.startsWith('objective.beta.'));
  return own.slice(0, 2);
}

function cellsOf(x, y, indices) {
  const sorted = (column) => [...new Set(indices.map((index) => valueOf(doc.runs[index], column)))].sort((a, b) => compare(a, b, false));
  const [xs, ys] = [sorted(x), sorted(y)];
  const cells = ys.map(() => xs.map(() => []));
  for (const index of indices) cells[ys.indexOf(valueOf(doc.runs[index], y))][xs.indexOf(valueOf(doc.runs[index], x))].push(index);
  return { xs, ys, cells };
}
const isEqualCell = (x, y, a, b) => x.id !== y.id && x.id.startsWith('objective.beta.') && y.id.startsWith('objective.beta.') && a === b;

function heatMaps() {
  if (overFields.length < 2) return null;
  const first = metricNamed('elbo', 'accuracy');
  if (!first) return null;
  const layer = rateColumns.find((column) => column.split === ownSplit && column.name !== 'rate');
  const second = layer ?? metricNamed('mse', 'psnr', 'cross_entropy');
  const two = [first, second].filter((metric, i) => i === 0 || metric !== first).map((metric, i) => heatMap(metric, i));
  return section('heat', 'Over two fields', 'Means over the runs of a cell that the filter lets through, their seeds among them. Framed: equal betas.', el('div', { class: 'pair' }, two));
}

function heatMap(metric, i) {
  let [x, y] = firstTwo();
  const list = overFields.map((column) => [column.id, nameOf(column)]);
  const own = chart({
    name: `heat-${i}`, label: 'Heat map over two fields', height: 480,
    controls: [picker('number', metricOptions(), metric.id, (value) => { metric = columnOf.get(value); own.refresh(); }), picker('across', list, x.id, (value) => { x = columnOf.get(value); own.refresh(); }), picker('along', list, y.id, (value) => { y = columnOf.get(value); own.refresh(); })],
    about: () => [metricText(metric)],
    build: () => heatOf(x, y, metric),
    open: (point) => openCell(point.customdata),
  });
  return own;
}

function openCell(indices) {
  if (!indices?.length) return;
  if (indices.length === 1) openRun(indices[0]);
  else openSeveral(indices);
}

function heatOf(x, y, metric) {
  const indices = [...state.shown].filter((index) => isNumber(valueOf(doc.runs[index], metric)));
  if (!indices.length) return `No run that is shown has ${nameOf(metric)}.`;
  const { xs, ys, cells } = cellsOf(x, y, indices);
  const several = cells.map((row) => row.map((of) => spread(of.map((index) => valueOf(doc.runs[index], metric)))));
  const few = xs.length <= (window.innerWidth < 640 ? 4 : 7);
  const label = (value) => (value === null ? '(none)' : written(value, 4) || "''");
  const shapes = [];
  ys.forEach((b, j) => xs.forEach((a, i) => isEqualCell(x, y, a, b) && cells[j][i].length && shapes.push({ type: 'rect', x0: i - 0.5, x1: i + 0.5, y0: j - 0.5, y1: j + 0.5, line: { color: color('bad'), width: 2 } })));
  const text = several.map((row, j) => row.map((one, i) => (one.count ? [`${plain(nameOf(x))} = ${plain(label(xs[i]))}`, `${plain(nameOf(y))} = ${plain(label(ys[j]))}`, `${plain(nameOf(metric))} = <b>${written(one.mean)}</b>${one.deviation === null ? '' : ` \u00b1 ${written(one.deviation, 2)}`}`, `${one.count} run${one.count > 1 ? 's' : ''}`].join('<br>') : '')));
  const trace = {
    type: 'heatmap', x: xs.map((_, i) => i), y: ys.map((_, j) => j), z: several.map((row) => row.map((one) => one.mean)), text, customdata: cells, hovertemplate: '%{text}<extra></extra>', hoverongaps: false, colorscale: SCALE, reversescale: metric.better < 0, xgap: 1, ygap: 1,
    colorbar: { thickness: 11, outlinewidth: 0, title: { text: plain(titleOf(metric)), side: 'right', font: { size: 12 } }, tickfont: { size: 11 } },
  };
  const notes = few ? several.flatMap((row, j) => row.map((one, i) => one.count && { x: i, y: j, text: written(one.mean, 4), showarrow: false, font: { size: 12, color: '#ffffff' }, bgcolor: 'rgba(20,23,26,.64)', borderpad: 2 })).filter(Boolean) : [];
  const ticks = (values) => { const every = Math.ceil(values.length / 8); return { tickvals: values.map((_, i) => i).filter((i) => i % every === 0), ticktext: values.filter((_, i) => i % every === 0).map((value) => plain(label(value))) }; };
  return { data: [trace], layout: { shapes, annotations: notes, xaxis: axis(nameOf(x), { ...ticks(xs), showgrid: false, zeroline: false }), yaxis: axis(nameOf(y), { ...ticks(ys), showgrid: false, zeroline: false }), margin: { l: 50, r: 10, t: 14, b: 46 } } };
}

function gallery() {
  const kinds = [...new Set(doc.runs.flatMap((run) => run.pictures.map((picture) => picture.title)))];
  let [x, y] = firstTwo();
  if (!kinds.length || !x) return null;
  let kind = kinds[0];
  const list = overFields.map((column) => [column.id, nameOf(column)]);
  const host = el('div', { class: 'gallery box', tabindex: 0, role: 'region', 'aria-label': 'Pictures of the runs' });
  function draw() {
    const { xs, ys, cells } = cellsOf(x, y ?? x, [...doc.runs.keys()].filter((index) => doc.runs[index].pictures.some((picture) => picture.title === kind)));
    const label = (value) => (value === null ? '(none)' : written(value, 4));
    const cell = (of, a, b) => {
      const index = of.find((one) => state.shown.has(one)) ?? of[0];
      if (index === undefined) return el('td');
      const picture = doc.runs[index].pictures.find((one) => one.title === kind);
      const image = el('img', { src: picture.src, alt: `${kind} of ${doc.runs[index].name}`, loading: 'lazy', class: picture.pixels ? null : 'smooth' });
      const classes = [isEqualCell(x, y ?? x, a, b) && 'equal', !state.shown.has(index) && 'hidden'].filter(Boolean).join(' ');
      return el('td', { class: classes || null }, el('a', { href: hashOf(doc.runs[index]), title: doc.runs[index].name, onclick: (event) => { event.preventDefault(); openRun(index); } }, image));
    };
    const bodyRows = [...ys.keys()].reverse().map((j) => el('tr', {}, el('th', { scope: 'row' }, y ? label(ys[j]) : ''), xs.map((a, i) => cell(cells[j][i], a, ys[j]))));
    const foot = el('tr', {}, el('th', {}, y ? `${nameOf(y)} \u2191  ${nameOf(x)} \u2192` : `${nameOf(x)} \u2192`), xs.map((a) => el('th', { scope: 'col' }, label(a))));
    if (!y) bodyRows.splice(0, bodyRows.length, el('tr', {}, el('th'), xs.map((a, i) => cell(cells.map((row) => row[i]).flat(), a, null))));
    host.className = `gallery box ${xs.length > 14 ? 'most' : xs.length > 9 ? 'many' : xs.length < 6 ? 'few' : ''}`;
    host.replaceChildren(el('table', {}, el('tbody', {}, bodyRows, foot)));
  }
  const controls = el('div', { class: 'controls' }, kinds.length > 1 ? picker('pictures', kinds.map((one) => [one, one]), kind, (value) => { kind = value; draw(); }) : null, y ? [picker('across', list, x.id, (value) => { x = columnOf.get(value); draw(); }), picker('along', list, y.id, (value) => { y = columnOf.get(value); draw(); })] : null);
  on('filter', draw);
  draw();
  return section('pictures', 'Pictures', 'The same runs as pictures, each a pixel of the data to a pixel; of several runs in a place the first.', controls, host);
}

// Means and spread over seeds, as a table.
function seeds() {
  if (!hasSeeds) return null;
  const host = el('div', { class: 'box runs', tabindex: 0, role: 'region', 'aria-label': 'Means over seeds' });
  const fields = fieldColumns.filter((column) => !SEEDS.includes(column.id));
  const chosen = [...firstColumns()].map((id) => columnOf.get(id)).filter((column) => column.kind === 'number');
  function draw() {
    const head = el('tr', {}, el('th', { scope: 'col', style: 'padding:.5rem .7rem' }, 'runs'), [...fields, ...chosen].map((column) => el('th', { scope: 'col', class: 'number', style: 'padding:.5rem .7rem', title: column.text }, nameOf(column))));
    const decimals = chosen.map((column) => decimalsOf(doc.runs.map((run) => valueOf(run, column))));
    const body = [...groupsShown()].map(([key, indices]) => {
      const first = doc.runs[indices[0]];
      const link = el('a', { href: '#', onclick: (event) => { event.preventDefault(); indices.length > 1 ? openGroup(key) : openRun(indices[0]); } }, indices.length > 1 ? `${indices.length} seeds` : '1 run');
      const cells = chosen.map((column, i) => {
        const { mean, deviation } = spread(indices.map((index) => valueOf(doc.runs[index], column)));
        return el('td', { class: 'number' }, mean === null ? '' : aligned(mean, decimals[i]), deviation === null ? null : el('span', { class: 'error' }, ` \u00b1 ${written(deviation, 2)}`));
      });
      return el('tr', {}, el('td', {}, link), fields.map((column) => el('td', { class: column.numeric ? 'number' : null }, written(valueOf(first, column), 6))), cells);
    });
    host.replaceChildren(el('table', {}, el('thead', {}, head), el('tbody', {}, body)));
  }
  on('filter', draw);
  draw();
  return section('seeds', 'Mean and spread over seeds', 'Runs that differ in their seeds alone, taken together: mean \u00b1 standard deviation (of n \u2212 1) of those that the filter lets through.', host);
}

// Which to choose.
function recommendations() {
  const own = doc.analysis.choices;
  if (!own.length) return null;
  const cards = own.map((one) => {
    const column = columnOf.get(`${one.split}/${one.number}`);
    const [mean, deviation, count] = one.value;
    const value = `${written(mean)}${deviation === null ? '' : ` \u00b1 ${written(deviation, 2)}`} ${column ? unitOf(column) : ''}`.trim();
    const links = one.runs.slice(0, 4).flatMap((index, i) => [i ? ', ' : '', el('a', { href: hashOf(doc.runs[index]), onclick: (event) => { event.preventDefault(); openRun(index); } }, doc.runs[index].name)]);
    const fields = one.fields.split(', ').flatMap((text, i) => [i ? el('br') : null, broken(text.replace(/^objective\./, ''))]);
    return el('article', { class: 'card' }, el('h3', {}, `For ${one.purpose}`), el('p', { class: 'big' }, fields), el('p', {}, `${one.number} ${value}`, el('span', { class: 'soft' }, ` (${count} seed${count > 1 ? 's' : ''}, ${one.split} split)`)), el('p', { class: 'small soft' }, one.doubt.replaceAll('objective.beta.', 'beta.')), el('p', { class: 'small' }, links, one.runs.length > 4 ? `, and ${one.runs.length - 4} more` : ''));
  });
  return section('choose', 'Which to choose', 'What is best by its mean over seeds, of all runs whatever the filter, and what is not told apart from it.', el('div', { class: 'cards' }, cards));
}

function leftOut() {
  const failed = doc.runs.filter((run) => run.message || ['failed', 'interrupted', 'begun'].includes(run.status));
  if (!failed.length && !doc.absent.length && !doc.problems.length) return null;
  const item = (name, status, message) => el('li', {}, el('span', { class: `status ${status}` }, status), ' ', el('span', { class: 'code' }, name), message ? `: ${message}` : '');
  const runs = [...failed.map((run) => item(run.name, run.status, run.message)), ...doc.absent.map((point) => item(point.name, point.status, point.message))];
  return section('problems', 'Not finished, or left out', null, runs.length ? el('ul', { class: 'notes' }, runs) : null, doc.problems.length ? el('ul', { class: 'notes' }, doc.problems.map((text) => el('li', {}, text))) : null);
}
