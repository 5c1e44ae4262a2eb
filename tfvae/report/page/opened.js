// A run, or several, opened over the page.

// Over the page, with an address of its own, so that the browser's back button closes it.
const dialog = document.getElementById('opened');

function openRun(index) {
  go(hashOf(doc.runs[index]));
}
const openGroup = (key) => go(`#group=${key}`);
const openSeveral = (indices) => go(`#runs=${indices.join(',')}`);

function go(hash) {
  if (dialog.open) history.replaceState({ opened: true }, '', hash);
  else history.pushState({ opened: true }, '', hash);
  follow();
}

function close() {
  if (history.state?.opened) history.back();
  else {
    history.replaceState(null, '', location.pathname + location.search);
    follow();
  }
}

// Shows what the address says.
function follow() {
  const [, what, text] = location.hash.match(/^#(run|group|runs)=(.*)$/) ?? [];
  let filled = null;
  if (what === 'run') {
    let name = text;
    try {
      name = decodeURIComponent(text);
    } catch {
      // an address that was cut off names no run
    }
    const index = runOf.get(name);
    if (index !== undefined) filled = () => fillRun(index);
  } else if (what === 'group') {
    const indices = groupsShown().get(text);
    if (indices) filled = () => fillSeveral(indices);
  } else if (what === 'runs') {
    const indices = text
      .split(',')
      .map(Number)
      .filter((index) => doc.runs[index]);
    if (indices.length) filled = () => fillSeveral(indices);
  }
  if (!filled) {
    if (dialog.open) dialog.close();
    return;
  }
  filled();
  if (!dialog.open) dialog.showModal();
  dialog.querySelector('.body').scrollTop = 0;
}

function frame(title, about, buttons, ...children) {
  const closing = el(
    'button',
    { type: 'button', onclick: close, 'aria-label': 'Close', title: 'Close (Esc)' },
    '\u2715',
  );
  dialog.replaceChildren(
    el(
      'div',
      { class: 'head' },
      el('div', { style: 'flex:1;min-width:0' }, el('h2', { id: 'opened-title' }, title), about),
      el('div', { class: 'buttons' }, buttons, closing),
    ),
    el('div', { class: 'body', tabindex: -1 }, children),
  );
  forget();
}

function fillRun(index) {
  const run = doc.runs[index];
  const at = rows.order.indexOf(index);
  const step = (by, text, label) => {
    const other = at < 0 ? undefined : rows.order[at + by];
    return el(
      'button',
      {
        type: 'button',
        disabled: other === undefined,
        'aria-label': label,
        title: label,
        onclick: () => openRun(other),
      },
      text,
    );
  };
  frame(
    broken(run.name),
    statusLine(run),
    [step(-1, '\u2190', 'The run above in the table'), step(1, '\u2192', 'The run below in the table')],
    runSections(run, index),
  );
}

function fillSeveral(indices) {
  const list = indices.map((index) => {
    const run = doc.runs[index];
    const first = run.pictures[0];
    const numbers = [...firstColumns()]
      .map((id) => columnOf.get(id))
      .filter((column) => column.kind === 'number' && valueOf(run, column) !== null)
      .slice(0, 5);
    return el(
      'article',
      { class: 'card' },
      el(
        'h3',
        {},
        el(
          'a',
          {
            href: hashOf(run),
            onclick: (event) => {
              event.preventDefault();
              openRun(index);
            },
          },
          run.name,
        ),
      ),
      first
        ? el(
            'div',
            { class: 'thumb whole' },
            el('img', { class: first.pixels ? null : 'smooth', src: first.src, alt: first.title }),
          )
        : null,
      numbers.map((column) => el('p', { class: 'small' }, `${nameOf(column)} ${written(valueOf(run, column))}`)),
    );
  });
  frame(
    `${indices.length} runs`,
    el('p', { class: 'soft' }, 'Together here, as they are one point of the chart.'),
    [],
    el('div', { class: 'cards' }, list),
  );
}

dialog.addEventListener('cancel', (event) => {
  event.preventDefault();
  close();
});
dialog.addEventListener('click', (event) => {
  if (event.target === dialog) close();
});
window.addEventListener('popstate', follow);
window.addEventListener('hashchange', follow);
