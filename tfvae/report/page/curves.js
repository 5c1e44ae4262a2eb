// Curves over training: of one run in detail, of several over each other.

const splitLabel = (split) => split.replace(' (evaluated)', ', evaluated');

// Limits of values without the first tenths of curves, whose beginnings would hide the rest; null where all are wanted.
function limits(series) {
  const rest = series.flatMap((values) => values.slice(Math.floor(values.length / 10))).filter(isNumber);
  if (rest.length < 4) return null;
  const [low, high] = extent(rest);
  const margin = 0.08 * Math.max(high - low, 1e-6);
  return [low - margin, high + margin];
}

// A logarithmic axis with few ticks: 1, 2 and 5 times powers of ten, or the powers alone.
function logarithmic(values) {
  const own = values.filter((value) => isNumber(value) && value > 0);
  const [low, high] = extent(own);
  if (!(high > 0)) return {};
  const wide = high / low > 300;
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const digit of wide ? [1] : [1, 2, 5]) ticks.push(digit * 10 ** power);
  return { type: 'log', tickvals: ticks, ticktext: ticks.map((value) => written(value, 3)) };
}

const FAMILIES = [
  ['ELBO and its parts', ['elbo', 'log_likelihood'], 'nats; the first tenth may be cut off'],
  ['rate of each layer', ['rate', 'rate/*'], 'nats'],
  ['error of reconstructions', ['mse'], 'log'],
  ['sigma of the decoder', ['sigma'], ''],
  ['PSNR', ['psnr'], 'dB'],
  ['loss', ['loss', 'loss/*'], 'nats'],
  ['entropies', ['entropy/*', 'entropy_sum'], 'nats'],
  ['ELBO minus entropies', ['elbo_minus_entropies'], 'nats'],
  ['betas in effect', ['beta/*'], ''],
  ['constraints: what was reached, from what was asked', ['constraint/*', 'constraint_average/*'], 'zero'],
  ['multipliers', ['multiplier/*'], 'log'],
  ['targets and thresholds', ['threshold/*'], ''],
  ['active units', ['active_units', 'active_units/*'], ''],
  ['accuracy', ['accuracy'], ''],
  ['cross-entropy', ['cross_entropy'], 'nats'],
  ['relaxed bound', ['relaxed/*'], 'nats'],
  ['norm of the gradient', ['gradient_norm', 'gradient_norm/*'], 'log'],
];

function fits(name, pattern) {
  return pattern.endsWith('/*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

// A chart for each family of numbers that the run has.
function curveCharts(run) {
  const splits = Object.keys(run.curves);
  const found = [];
  for (const [title, patterns, note] of FAMILIES) {
    const names = [...new Set(splits.flatMap((split) => Object.keys(run.curves[split].series)))].filter((name) =>
      patterns.some((pattern) => fits(name, pattern)),
    );
    const single = names.filter((name) => name.split('/').length < 3); // of a layer that repeats, not each step
    const own = (single.length ? single : names).filter((name) =>
      splits.some((split) => (run.curves[split].series[name] ?? []).some(isNumber)),
    );
    if (own.length === 2 && own.includes('rate') && own.some((name) => name.startsWith('rate/')))
      own.splice(own.indexOf('rate'), 1);
    if (own.length)
      found.push(
        chart({
          name: `curves-${patterns[0]}`,
          label: `${title} over training`,
          height: 300,
          build: () => family(run, title, own, note),
        }),
      );
  }
  return found;
}

function family(run, title, names, note) {
  const data = [];
  const splits = Object.keys(run.curves);
  names.forEach((name, i) => {
    splits.forEach((split) => {
      const values = run.curves[split].series[name];
      if (!values || !values.some(isNumber)) return;
      const training = split === 'train';
      const points = run.curves[split].step.length;
      data.push({
        x: run.curves[split].step,
        y: values,
        name: plain(`${name}, ${splitLabel(split)}`),
        mode: points === 1 ? 'markers' : training ? 'lines' : 'lines+markers',
        line: { color: OKABE_ITO[i % OKABE_ITO.length], width: training ? 1.8 : 1.2, dash: training ? 'solid' : 'dot' },
        marker: { size: 6, symbol: splits.indexOf(split) > 1 ? 'square' : 'circle' },
        connectgaps: true,
        hovertemplate: `${plain(name)}, ${plain(splitLabel(split))}<br>step %{x}<br><b>%{y:.5g}</b><extra></extra>`,
      });
    });
  });
  const y = axis('', { tickformat: '~g', exponentformat: 'power' });
  if (note === 'log' && data.every((trace) => trace.y.every((value) => !isNumber(value) || value > 0)))
    Object.assign(y, logarithmic(data.flatMap((trace) => trace.y)));
  if (names.includes('elbo')) Object.assign(y, { range: limits(data.map((trace) => trace.y)) ?? undefined });
  const unit = doc.metrics[names[0]]?.unit?.replace(/[,(;].*$/, '').trim() ?? '';
  return {
    data,
    layout: {
      title: {
        text: plain(unit ? `${title} [${unit}]` : title),
        font: { size: 14 },
        x: 0.02,
        xanchor: 'left',
        y: 0.97,
        yanchor: 'top',
      },
      showlegend: data.length > 1,
      legend: { orientation: 'h', y: -0.22, yanchor: 'top', x: 0, font: { size: 11 } },
      margin: { l: 52, r: 14, t: 40, b: 40 },
      xaxis: axis('step'),
      yaxis: y,
    },
  };
}

// All runs over each other, those that the filter lets through in colour, the others as ghosts.
function overlaid() {
  const splits = {};
  for (const run of doc.runs)
    for (const [split, own] of Object.entries(run.curves))
      for (const name of Object.keys(own.series)) (splits[split] ??= new Set()).add(name);
  const options = Object.fromEntries(
    Object.entries(splits).map(([split, names]) => [
      splitLabel(split),
      [...names].map((name) => [`${split}/${name}`, `${name} (${splitLabel(split)})`]),
    ]),
  );
  const all = Object.values(options).flat();
  if (!all.length) return null;
  const isCurve = (split, name) =>
    doc.runs.some((run) => (run.curves[split]?.series[name] ?? []).filter(isNumber).length > 2);
  const first = [ownSplit, 'train']
    .flatMap((split) => ['elbo', 'accuracy'].map((name) => [split, name]))
    .find(([split, name]) => isCurve(split, name));
  let metric = first ? first.join('/') : all[0][0];
  const own = chart({
    name: 'curves',
    label: 'Curves of all runs',
    height: 460,
    controls: [
      picker('number', options, metric, (value) => {
        metric = value;
        own.refresh();
      }),
      ...colorPicker(),
    ],
    about: () => {
      const name = metric.slice(metric.indexOf('/') + 1);
      const text = doc.metrics[name]?.text;
      return [
        text ? `${name}: ${text}. ` : '',
        'Each line is a run, thinned to at most 100 points; what the filter leaves out is grey. ',
        state.means ? 'Means over seeds, with a band of one standard deviation where seeds have the same steps.' : '',
      ];
    },
    build: () => curvesOf(metric),
  });
  return own;
}

function curvesOf(metric) {
  const at = metric.indexOf('/');
  const [split, name] = [metric.slice(0, at), metric.slice(at + 1)];
  const lines = doc.runs
    .map((run, index) => ({ run, index, step: run.curves[split]?.step, values: run.curves[split]?.series[name] }))
    .filter((line) => line.values?.some(isNumber));
  if (!lines.length) return 'No run has such a curve.';
  const shown = lines.filter((line) => state.shown.has(line.index));
  const data = [];
  const ghosts = lines.filter((line) => !state.shown.has(line.index));
  if (ghosts.length)
    data.push({
      ...joined(ghosts),
      mode: 'lines',
      line: { color: color('ghost'), width: 0.8 },
      opacity: 0.6,
      hoverinfo: 'skip',
      showlegend: false,
    });
  const colors = coloring();
  const means = state.means ? meanLines(shown) : null;
  for (const [key, own] of byColor(means ?? shown, colors)) {
    const marker = own[0].values.length === 1 || own.some((line) => line.values.filter(isNumber).length === 1);
    if (means) for (const line of own) if (line.band) data.push(band(line, key.color));
    data.push({
      ...joined(own),
      mode: marker ? 'lines+markers' : 'lines',
      marker: { size: 5 },
      line: { color: key.color, width: lines.length > 60 ? 1 : 1.6 },
      opacity: lines.length > 200 ? 0.6 : 1,
      name: plain(key.name),
      showlegend: key.legend,
      hovertemplate: '%{text}<br>step %{x}: <b>%{y:.5g}</b><extra></extra>',
    });
  }
  if (colors.scaled)
    data.push({
      x: [null],
      y: [null],
      mode: 'markers',
      showlegend: false,
      hoverinfo: 'skip',
      marker: {
        color: [colors.range[0]],
        cmin: colors.range[0],
        cmax: colors.range[1],
        colorscale: SCALE,
        showscale: true,
        colorbar: colors.bar,
      },
    });
  const y = axis(name, { tickformat: '~g' });
  if (/^(elbo|log_likelihood|relaxed|loss)/.test(name)) y.range = limits(shown.map((line) => line.values)) ?? undefined;
  const all = lines.flatMap((line) => line.values).filter(isNumber);
  if (/^(mse|gradient_norm|multiplier)/.test(name) && all.every((value) => value > 0))
    Object.assign(y, logarithmic(all));
  return { data, layout: { xaxis: axis('step'), yaxis: y, showlegend: data.some((trace) => trace.showlegend) } };
}

// Lines as one trace with gaps between them.
function joined(lines) {
  const found = { x: [], y: [], customdata: [], text: [] };
  for (const line of lines) {
    found.x.push(...line.step, null);
    found.y.push(...line.values, null);
    const of = line.of ?? line.index;
    const label = plain(line.label ?? line.run.name);
    for (let i = 0; i <= line.step.length; i++) {
      found.customdata.push(of);
      found.text.push(label);
    }
  }
  return found;
}

function byColor(lines, colors) {
  const found = [];
  for (const { name, color: own, fits } of shades(colors)) {
    const of = lines.filter((line) => fits(line.run));
    if (own) found.push([{ color: own, name: name ?? 'runs', legend: Boolean(name) }, of]);
    else found.push(...onScale(of, colors));
  }
  return found.filter(([, of]) => of.length);
}

// Lines by their values on the scale of colours.
function onScale(lines, colors) {
  const found = new Map();
  for (const line of lines) {
    const value = valueOf(line.run, colors.column);
    if (!found.has(value)) found.set(value, []);
    found.get(value).push(line);
  }
  return [...found]
    .sort((a, b) => a[0] - b[0])
    .map(([value, own]) => {
      const share = (colors.turn(value) - colors.range[0]) / (colors.range[1] - colors.range[0] || 1);
      return [{ color: viridis(share), name: `${nameOf(colors.column)} ${written(value)}`, legend: false }, own];
    });
}

const VIRIDIS = [
  '#440154',
  '#482878',
  '#3e4989',
  '#31688e',
  '#26828e',
  '#1f9e89',
  '#35b779',
  '#6ece58',
  '#b5de2b',
  '#fde725',
];
function viridis(share) {
  const at = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const [low, high] = [Math.floor(at), Math.ceil(at)].map((i) =>
    [1, 3, 5].map((k) => parseInt(VIRIDIS[i].slice(k, k + 2), 16)),
  );
  return `rgb(${low.map((value, i) => Math.round(value + (high[i] - value) * (at - Math.floor(at)))).join(',')})`;
}

// Means over the runs of each group, at the steps that all have.
function meanLines(lines) {
  const lineOf = new Map(lines.map((line) => [line.index, line]));
  const groups = [...groupsShown()].map(([key, indices]) => {
    const own = indices.map((index) => lineOf.get(index)).filter(Boolean);
    return { key, own, count: own.length < indices.length ? `${own.length} of ${indices.length}` : own.length };
  });
  const drawn = groups.filter(({ own }) => own.length);
  return drawn.map(({ key, own, count }) => {
    if (own.length === 1) return own[0];
    const tables = own.map((line) => new Map(line.step.map((step, i) => [step, line.values[i]])));
    const step = own[0].step.filter((at) => tables.every((table) => isNumber(table.get(at))));
    const several = step.map((at) => spread(tables.map((table) => table.get(at))));
    return {
      run: own[0].run,
      of: key,
      label: `mean of ${count} seeds`,
      step,
      values: several.map((one) => one.mean),
      band: several.map((one) => one.deviation),
    };
  });
}

function band(line, of) {
  const up = line.values.map((value, i) => value + line.band[i]);
  const down = line.values.map((value, i) => value - line.band[i]);
  return {
    x: [...line.step, ...[...line.step].reverse()],
    y: [...up, ...down.reverse()],
    fill: 'toself',
    fillcolor: of.startsWith('#') ? `${of}2e` : of.replace('rgb', 'rgba').replace(')', ',0.18)'),
    line: { width: 0 },
    mode: 'lines',
    hoverinfo: 'skip',
    showlegend: false,
  };
}
