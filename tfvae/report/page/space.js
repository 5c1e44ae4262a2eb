// A number over the rates of two layers: points, surface, hull.

// A metric over two rates in space: points and the surface through them.
function space() {
  const own = rateColumns.filter((column) => column.split === ownSplit && column.name.split('/').length < 3);
  const layers = own.filter((column) => column.name !== 'rate');
  const numeric = fieldColumns.filter((column) => column.numeric && !SEEDS.includes(column.id));
  const options = [...layers, ...own.filter((column) => column.name === 'rate'), ...numeric];
  if (options.length < 2 || doc.runs.length < 3) return null;
  let metric = metricNamed('elbo', 'psnr');
  const pairs = options.flatMap((y, i) => options.slice(i + 1).map((x) => [y, x]));
  const pair = pairs.find(
    (two) => doc.runs.filter((run) => [...two, metric].every((column) => isNumber(valueOf(run, column)))).length > 2,
  );
  if (!pair) return null;
  let [y, x] = pair;
  let shows = 'both';
  const list = options.map((column) => [column.id, nameOf(column)]);
  const kinds = el(
    'span',
    { class: 'segments', role: 'group', 'aria-label': 'What is drawn' },
    [
      ['both', 'Points and surface'],
      ['points', 'Points'],
      ['surface', 'Surface'],
      ['hull', 'Hull'],
    ].map(([key, text]) =>
      el(
        'button',
        {
          type: 'button',
          'aria-pressed': String(key === shows),
          onclick: (event) => {
            shows = key;
            kinds
              .querySelectorAll('button')
              .forEach((button) => button.setAttribute('aria-pressed', String(button === event.target)));
            shown.refresh();
          },
        },
        text,
      ),
    ),
  );
  const shown = chart({
    name: 'space',
    label: 'A number over two rates',
    height: 560,
    controls: [
      picker('number', metricOptions(), metric.id, (value) => {
        metric = columnOf.get(value);
        shown.refresh();
      }),
      picker('across', list, x.id, (value) => {
        x = columnOf.get(value);
        shown.refresh();
      }),
      picker('along', list, y.id, (value) => {
        y = columnOf.get(value);
        shown.refresh();
      }),
      kinds,
      ...colorPicker(),
    ],
    about: () => [metricText(metric), meansNote(), spaceNote(x, y, metric, shows), 'Drag to turn it.'],
    build: () => spaceOf(x, y, metric, shows),
  });
  return section(
    'space',
    'Over the rates of two layers',
    'The result of a grid of betas is a surface: each number over the rates that the layers came to.',
    shown,
  );
}

// The hull of the best, as it was found with the page, where it is of these axes.
const hullOf = (x, y, metric) =>
  doc.analysis.space?.x === x.id && doc.analysis.space.y === y.id ? doc.analysis.space.hulls[metric.id] : null;

function spaceNote(x, y, metric, shows) {
  if (shows === 'points') return '';
  if (shows === 'hull')
    return hullOf(x, y, metric)
      ? 'The best side of the convex hull of all single runs, no means, whatever the filter: no mixture of them is better at its rates. '
      : '';
  return 'The surface is linear between the points that the filter lets through. ';
}

function spaceOf(x, y, metric, shows) {
  const points = pointsOf([x, y, metric]);
  const inside = points.filter((point) => point.shown);
  if (!inside.length) return 'No run has these numbers.';
  const at = (of) => ({ x: of.map((p) => p.values[0]), y: of.map((p) => p.values[1]), z: of.map((p) => p.values[2]) });
  const data = [];
  if (shows !== 'surface') data.push(...scatter(points, [x, y, metric], at, 'scatter3d'));
  const alone = shows === 'surface';
  const look = {
    colorscale: 'Cividis',
    opacity: alone ? 1 : 0.62,
    showscale: alone,
    reversescale: metric.better < 0,
    colorbar: { thickness: 11, len: 0.8, outlinewidth: 0, title: { text: plain(nameOf(metric)), side: 'right' } },
  };
  if (shows === 'hull') {
    const facets = hullOf(x, y, metric);
    if (!facets)
      return `There is no hull of ${nameOf(metric)} over ${nameOf(x)} and ${nameOf(y)}: it is of main numbers of which more, or less, is better, over the rates of the first two layers.`;
    const all = doc.runs.map((run) => ({ values: [x, y, metric].map((column) => valueOf(run, column)) }));
    data.push({
      type: 'mesh3d',
      ...at(all),
      i: facets.map((f) => f[0]),
      j: facets.map((f) => f[1]),
      k: facets.map((f) => f[2]),
      intensity: all.map((p) => p.values[2]),
      ...look,
      flatshading: true,
      hoverinfo: 'skip',
    });
  } else if (shows !== 'points' && inside.length > 2) {
    data.push({
      type: 'mesh3d',
      ...at(inside),
      intensity: inside.map((p) => p.values[2]),
      ...look,
      delaunayaxis: 'z',
      flatshading: true,
      text: inside.map((p) => hover(p, [x, y, metric])),
      customdata: inside.map((p) => p.of),
      hovertemplate: '%{text}<extra></extra>',
    });
  }
  const side = (column) => ({
    title: { text: plain(titleOf(column)), font: { size: 12 } },
    gridcolor: color('grid'),
    zerolinecolor: color('rule'),
    backgroundcolor: color('raised'),
    showbackground: true,
    tickfont: { size: 11 },
  });
  const far = window.innerWidth < 640 ? 1.95 : 1;
  const scene = {
    xaxis: side(x),
    yaxis: side(y),
    zaxis: side(metric),
    camera: { eye: { x: -1.32 * far, y: -1.48 * far, z: 0.7 * far }, center: { x: 0, y: 0, z: -0.18 } },
    aspectmode: 'cube',
    uirevision: 'kept',
  };
  return {
    data,
    layout: {
      scene,
      margin: { l: 0, r: 0, t: 8, b: 0 },
      showlegend: data.some((trace) => trace.showlegend),
      uirevision: 'kept',
    },
  };
}
