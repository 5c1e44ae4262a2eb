// Many runs: what came out against the rates of layers: bounds, hulls, the information plane, surfaces.

// A metric against a rate: points, with the bound of accuracies and the hull of best points where x is the total rate.
function againstRate(id, title, about, xOptions, x, metric) {
  if (!x || !metric) return null;
  const controls = [];
  if (xOptions.length > 1)
    controls.push(
      picker(
        'rate',
        xOptions.map((column) => [column.id, nameOf(column)]),
        x.id,
        (value) => {
          x = columnOf.get(value);
          own.refresh();
        },
      ),
    );
  controls.push(
    picker('number', metricOptions(), metric.id, (value) => {
      metric = columnOf.get(value);
      own.refresh();
    }),
    ...colorPicker(),
  );
  const own = chart({
    name: id,
    label: title,
    height: 460,
    controls,
    about: () => [
      metricText(metric),
      meansNote(),
      equalNote(pointsOf([x, metric])),
      hullNote(x, metric),
      boundNote(x, metric),
    ],
    build: () => {
      const points = pointsOf([x, metric]);
      if (!points.length) return `No run has both ${nameOf(x)} and ${nameOf(metric)}.`;
      const data = [...hullTraces(x, metric), ...boundTraces(x, metric, points)];
      data.push(
        ...scatter(points, [x, metric], (of) => ({
          x: of.map((p) => p.values[0]),
          y: of.map((p) => p.values[1]),
          error_x: errors(of, 0),
          error_y: errors(of, 1),
        })),
      );
      return {
        data,
        layout: {
          xaxis: axis(titleOf(x)),
          yaxis: axis(titleOf(metric)),
          showlegend: data.some((trace) => trace.showlegend && trace.name),
        },
      };
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
    return {
      x: runs.map((run) => valueOf(run, x)),
      y: runs.map((run) => valueOf(run, metric)),
      mode: 'lines',
      line: { color: color('faint'), width: 1.5, dash: 'dash' },
      hoverinfo: 'skip',
      name: 'hull of the best points',
      showlegend: i === 0,
    };
  });
}
const hullNote = (x, metric) =>
  isTotal(x) && doc.analysis.hulls[metric.id]
    ? 'Dashed: the best side of the convex hull of all single runs, no means, whatever the filter: no mixture of them is better at its rate. '
    : '';

function boundTraces(x, metric, points) {
  if (!isBounded(x, metric)) return [];
  const most = extent(points.map((point) => point.values[0]))[1] * 1.03;
  return ofSplit(metric).map((bound) => ({
    ...upTo(bound, most),
    mode: 'lines',
    line: { color: color('bad'), width: 2 },
    hovertemplate: `bound ${plain(bound.text)}: %{y:.3f} at %{x:.3g} nats<extra></extra>`,
    name: plain(`bound of accuracies ${bound.text}`.trim()),
    showlegend: true,
  }));
}
// A curve from its beginning to a place, straight between its points and level behind them.
function upTo({ x, y }, most) {
  const inside = x.filter((value) => value < most).length;
  let last = y[Math.min(inside, y.length - 1)];
  if (inside > 0 && inside < x.length)
    last = y[inside - 1] + ((y[inside] - y[inside - 1]) * (most - x[inside - 1])) / (x[inside] - x[inside - 1]);
  return { x: [...x.slice(0, inside), most], y: [...y.slice(0, inside), last] };
}
const boundNote = (x, metric) =>
  isBounded(x, metric)
    ? 'Solid line: no classifier of samples of these codes can be right more often at this rate. '
    : '';

// The information plane: rate against distortion.
function plane() {
  const rate = metricNamed('rate');
  const likelihood = numberColumns.find((column) => column.name === 'log_likelihood' && column.split === ownSplit);
  const others = numberColumns.filter(
    (column) => ['mse', 'nll_per_dimension'].includes(column.name) && column.split === ownSplit,
  );
  const options = [
    ...(likelihood ? [[likelihood.id, 'distortion, -log_likelihood']] : []),
    ...others.map((column) => [column.id, nameOf(column)]),
  ];
  if (rate?.name !== 'rate' || !options.length) return null;
  let y = columnOf.get(options[0][0]);
  const own = chart({
    name: 'plane',
    label: 'The information plane',
    height: 460,
    controls: [
      ...(options.length > 1
        ? [
            picker('distortion', options, y.id, (value) => {
              y = columnOf.get(value);
              own.refresh();
            }),
          ]
        : []),
      ...colorPicker(),
    ],
    about: () => [
      y === likelihood
        ? 'Distortion: -E_q log p(x|z). On a dotted line the ELBO is the same; further down and left it is higher. '
        : metricText(y),
      meansNote(),
      equalNote(pointsOf([rate, y])),
    ],
    build: () => {
      const sign = y === likelihood ? -1 : 1;
      const points = pointsOf([rate, y]);
      if (!points.length) return 'No run has both.';
      const at = (of) => ({
        x: of.map((p) => p.values[0]),
        y: of.map((p) => sign * p.values[1]),
        error_x: errors(of, 0),
        error_y: errors(of, 1),
      });
      const data = [...(sign < 0 ? sameElbo(points) : []), ...scatter(points, [rate, y], at)];
      return {
        data,
        layout: {
          xaxis: axis(titleOf(rate)),
          yaxis: axis(sign < 0 ? 'distortion [nats]' : titleOf(y)),
          showlegend: data.some((trace) => trace.showlegend && trace.name),
        },
      };
    },
  });
  return section(
    'plane',
    'The information plane',
    'What codes hold of x, and what reconstructions from them lose.',
    own,
  );
}

function sameElbo(points) {
  const rates = points.map((point) => point.values[0]);
  const losses = points.map((point) => point.values[0] - point.values[1]); // minus the ELBO
  const [left, right] = extent(rates);
  const [low, high] = extent(losses);
  if (!(right > left)) return [];
  const levels = [0, 0.25, 0.5, 0.75, 1].map((share) => low + share * (high - low));
  return levels.map((level) => ({
    x: [left, right],
    y: [level - left, level - right],
    mode: 'lines',
    line: { color: color('rule'), width: 1, dash: 'dot' },
    hovertemplate: `ELBO ${written(-level)} nats<extra></extra>`,
    showlegend: false,
  }));
}
