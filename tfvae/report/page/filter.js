// The filter: `objective.beta.z2 > 1 elbo >= 30 status:finished word -other`; all terms must hold.

const COMPARE = {
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
  '>=': (a, b) => a >= b,
  '<=': (a, b) => a <= b,
  '=': (a, b) => a === b,
  '!=': (a, b) => a !== b,
};
const TERM = /(-?)("[^"]*"|[^\s<>=!:"]+)\s*(>=|<=|!=|==|=|>|<|:)\s*("[^"]*"|[^\s"]+)?|(-?"[^"]*"|\S+)/g;
const unquoted = (text) => text.replace(/^"|"$/g, '');

// The column, or what else of a run, that a name means: itself, or the one whose name ends so. An array: too many.
function resolved(name) {
  if (['name', 'status', 'step', 'steps', 'message'].includes(name) && !columnOf.has(name)) return (run) => run[name];
  const exact = columnOf.get(name) ?? columnOf.get(`${ownSplit}/${name}`);
  if (exact) return (run) => valueOf(run, exact);
  const ends = columns.filter((column) => column.id.endsWith(`.${name}`) || column.id.endsWith(`/${name}`));
  if (ends.length === 1) return (run) => valueOf(run, columnOf.get(ends[0].id));
  if (ends.length > 1) return ends.map((column) => column.id);
  for (const names of [Object.keys(doc.fields), specNames]) {
    const own = names.includes(name) ? [name] : names.filter((field) => field.endsWith(`.${name}`));
    if (own.length) return own.length > 1 ? own : (run) => fieldValue(run, own[0]);
  }
  return null;
}
const specNames = [...new Set([doc.spec, ...doc.runs.map((run) => run.spec)].flatMap(Object.keys))];

// The value of any field of a run's spec, a number where it is one.
function fieldValue(run, field) {
  const text = field in run.spec ? run.spec[field] : doc.spec[field];
  return text !== null && text !== undefined && text !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

const haystacks = doc.runs.map((run) =>
  [run.name, run.status, run.message, ...fieldColumns.map((column) => `${column.id}=${valueOf(run, column) ?? ''}`)]
    .join(' ')
    .toLowerCase(),
);

// {test: (run, index) => whether it is shown, problems: what is not understood}.
function parseFilter(text) {
  const tests = [];
  const problems = [];
  for (const [whole, not, left, sign, right, word] of text.matchAll(TERM)) {
    if (word !== undefined) {
      const out = word.startsWith('-') && word.length > 1;
      const wanted = unquoted(out ? word.slice(1) : word).toLowerCase();
      if (/^[<>=!:]+$/.test(wanted)) problems.push(`${wanted}: a name before it is missing`);
      else tests.push((_, index) => haystacks[index].includes(wanted) !== out);
      continue;
    }
    const name = unquoted(left);
    const of = resolved(name);
    if (of === null) problems.push(`${name}: there is no such column or field`);
    else if (Array.isArray(of))
      problems.push(`${name}: which of ${of.slice(0, 3).join(', ')}${of.length > 3 ? ', ...' : ''}?`);
    else if (right === undefined) problems.push(`${whole.trim()}: a value after it is missing`);
    else {
      const test = comparison(of, sign === '==' ? '=' : sign, unquoted(right), problems, whole);
      tests.push(not ? (run) => !test(run) : test);
    }
  }
  return { test: (run, index) => tests.every((test) => test(run, index)), problems };
}

function comparison(of, sign, wanted, problems, whole) {
  if (sign === ':')
    return (run) =>
      String(of(run) ?? '')
        .toLowerCase()
        .includes(wanted.toLowerCase());
  const number = Number(wanted);
  if (Number.isFinite(number)) {
    return (run) => {
      const value = of(run);
      return isNumber(value) ? COMPARE[sign](value, number) : sign === '!=';
    };
  }
  if (sign !== '=' && sign !== '!=') {
    problems.push(`${whole.trim()}: after ${sign} a number is needed`);
    return () => true;
  }
  return (run) => COMPARE[sign](String(of(run) ?? ''), wanted);
}

function applyFilter(text) {
  const { test, problems } = parseFilter(text);
  state.shown = new Set([...doc.runs.keys()].filter((index) => test(doc.runs[index], index)));
  tell('filter');
  return problems;
}
