'use strict';
// The table of symbols: sorted, filtered, updated in place.

/** Orders text as people do: `A2` before `A10`. */
const COLLATOR = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

/** The columns: how each is ordered, which way first, and what stands in it. */
const COLUMNS = [
  { key: 's', title: 'Symbol', first: 1, value: (row) => row.s, cell: symbolCell },
  {
    key: 'state',
    title: 'State',
    first: 1,
    value: (row) => STATE_ORDER.indexOf(row.state),
    cell: (row) => badge(row.state),
  },
  {
    key: 'spark',
    title: 'Validation loss',
    first: 1,
    value: (row) => row.best ?? row.val,
    cell: (row) => sparkline(row.spark),
  },
  {
    key: 'test',
    title: 'Test loss',
    num: true,
    first: 1,
    value: (row) => row.test,
    cell: (row) => fixed(row.test),
  },
  {
    key: 'base',
    title: 'Baseline',
    num: true,
    first: 1,
    value: (row) => row.base,
    cell: (row) => fixed(row.base),
  },
  {
    key: 'skill',
    title: 'Skill',
    num: true,
    first: -1,
    value: skillOf,
    cell: skillCell,
    help: 'How much lower than the baseline the test loss is: + is better, − is worse',
  },
  {
    key: 'change',
    title: 'Change',
    num: true,
    first: -1,
    value: changeOf,
    cell: changeCell,
    help: 'Test loss against the generation before: + is worse, − is better',
  },
  {
    key: 'gen',
    title: 'Gen.',
    num: true,
    first: -1,
    value: (row) => row.gen,
    cell: (row) => count(row.gen),
    help: 'Newest generation in the store',
  },
  {
    key: 'seconds',
    title: 'Time',
    num: true,
    first: -1,
    value: (row) => row.seconds,
    cell: (row) => duration(row.seconds),
  },
  { key: 'attempts', title: 'Tries', num: true, first: -1, value: (row) => row.attempts, cell: attemptsCell },
  {
    key: 'memory',
    title: 'Memory',
    num: true,
    first: -1,
    value: (row) => row.memory,
    cell: (row) => bytes(row.memory),
    help: 'Most memory of the worker',
  },
  { key: 'what', title: 'What happened', first: 1, value: (row) => whatWords(row) || null, cell: whatCell },
];

/** What can be asked of a symbol besides its state. */
const QUESTIONS = {
  worse: {
    label: 'worse than last generation',
    test: (row) => isCurrent(row) && verdictOf(changeOf(row), false) === 'bad',
  },
  behind: {
    label: 'behind the baseline',
    test: (row) => isCurrent(row) && verdictOf(skillOf(row), true) === 'bad',
  },
  retried: { label: 'retried', test: (row) => row.attempts > 1 },
  notes: { label: 'data notes', test: (row) => row.notes > 0 },
};

function symbolCell(row) {
  return el('a', { href: `#${encodeURIComponent(row.s)}`, class: 'sym', text: row.s });
}

function skillCell(row) {
  const skill = skillOf(row);
  return [skillBar(skill, skillBar.scale ?? 0.1), el('span', { text: percent(skill, 1, true) })];
}

function changeCell(row) {
  const change = changeOf(row);
  const sense = verdictOf(change, false);
  return el('span', { class: sense, text: percent(change, 1, true) });
}

function attemptsCell(row) {
  return row.attempts > 1 ? el('b', { text: count(row.attempts) }) : row.attempts ? count(row.attempts) : DASH;
}

/** What there is to say about a symbol, in words. */
function whatWords(row) {
  if (row.state === 'running') {
    if (!row.epoch) return 'loading';
    const rate = isNumber(row.rate) ? `, ${count(Math.round(row.rate))} samples/s` : '';
    return `epoch ${row.epoch}${row.epochs ? ` of ${row.epochs}` : ''}${rate}`;
  }
  const kind = row.kind ? `${row.kind.replaceAll('_', ' ')}: ` : '';
  if (row.cause) return `${kind}${row.cause}`;
  return row.notes ? plural(row.notes, 'data note') : '';
}

function whatCell(row) {
  const words = el('span', { class: 'clip', text: whatWords(row) });
  if (row.state !== 'running' || !row.epoch || !row.epochs) return words;
  const done = el('i', { style: { width: `${Math.min(100, (100 * row.epoch) / row.epochs).toFixed(1)}%` } });
  return [words, el('span', { class: 'progress', 'aria-hidden': 'true' }, done)];
}

/** Builds the section of the table. `open(index)` opens a symbol. */
function createTable(page, open) {
  const state = {
    page,
    open,
    rows: [],
    order: [],
    sort: { key: 'state', way: 1 },
    text: '',
    states: new Set(),
    asked: new Set(),
    changed: () => {},
  };
  skillBar.scale = skillScale(page.symbols);
  state.body = el('tbody', { role: 'rowgroup' });
  state.shown = el('span', { class: 'dim', role: 'status' });
  state.empty = el(
    'p',
    { class: 'empty', hidden: true },
    'No symbol matches. ',
    button({ on: { click: () => clearFilters(state) } }, 'Show all'),
  );
  const whole = el(
    'table',
    { class: 'symbols', role: 'table', 'aria-labelledby': 'h-symbols' },
    headOf(state),
    state.body,
  );
  const node = section('symbols', 'Symbols', toolRow(state), el('div', { class: 'sheet' }, whole), state.empty);
  state.body.addEventListener('click', (event) => clicked(state, event));
  state.rows = page.symbols.map((row, at) => rowOf(row, at));
  arrange(state);
  return {
    node,
    state,
    order: () => state.order,
    update: (indices) => updateRows(state, indices),
    ask: (question) => toggleIn(state, state.asked, question),
    only: (name) => toggleIn(state, state.states, name),
    set changed(act) {
      state.changed = act;
    },
  };
}

/** The heads of the columns, each a button that sorts. */
function headOf(state) {
  state.heads = COLUMNS.map((column) => {
    const sorter = button(
      { title: column.help, on: { click: () => sortBy(state, column.key) } },
      column.title,
      el('i', { 'aria-hidden': 'true' }),
    );
    return el(
      'th',
      { scope: 'col', role: 'columnheader', class: column.num ? 'num' : null, data: { col: column.key } },
      sorter,
    );
  });
  return el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, state.heads));
}

/** The box to type in, the chips, and for narrow screens a list of orders. */
function toolRow(state) {
  state.box = el('input', {
    type: 'search',
    placeholder: 'Filter by symbol or cause',
    'aria-label': 'Filter by symbol or cause',
    autocomplete: 'off',
    spellcheck: 'false',
    on: {
      input: () => {
        state.text = state.box.value.trim().toLowerCase();
        arrange(state);
      },
    },
  });
  state.chips = el('div', { class: 'chips', role: 'group', 'aria-label': 'Filter by state' });
  const orders = COLUMNS.map(({ key, title }) => el('option', { value: key, text: `Sort by ${title.toLowerCase()}` }));
  state.orders = el(
    'select',
    { class: 'orders', 'aria-label': 'Sort by', on: { change: () => sortBy(state, state.orders.value) } },
    orders,
  );
  return el(
    'div',
    { class: 'tools' },
    el('div', { class: 'tools controls' }, state.box, state.orders),
    state.shown,
    el('div', { class: 'controls' }, state.chips),
  );
}

/** One row of the table. */
function rowOf(row, at) {
  return el('tr', { role: 'row', data: { at, state: row.state } }, cellsOf(row));
}

/** The cells of a row. */
function cellsOf(row) {
  return COLUMNS.map(({ key, num, cell, title }, at) =>
    el(
      at ? 'td' : 'th',
      {
        role: at ? 'cell' : 'rowheader',
        scope: at ? null : 'row',
        class: num ? 'num' : null,
        data: { col: key, title },
      },
      cell(row),
    ),
  );
}

/** Orders by a column; a second time, the other way round. */
function sortBy(state, key) {
  const column = COLUMNS.find((one) => one.key === key);
  const again = state.sort.key === key;
  state.sort = { key, way: again ? -state.sort.way : column.first };
  arrange(state);
}

/** Compares two rows by a column; what is missing comes last either way. */
function comparer(symbols, { key, way }) {
  const { value } = COLUMNS.find((one) => one.key === key);
  const values = symbols.map((row) => value(row) ?? null);
  const none = (one) => one === null || Number.isNaN(one);
  return (a, b) => {
    const [x, y] = [values[a], values[b]];
    if (none(x) || none(y)) return none(x) - none(y) || a - b;
    const order = typeof x === 'string' ? COLLATOR.compare(x, y) : x - y;
    return order * way || COLLATOR.compare(symbols[a].s, symbols[b].s);
  };
}

/** Whether a row is to be seen. */
function wanted(state, row) {
  if (state.states.size && !state.states.has(row.state)) return false;
  for (const question of state.asked) if (!QUESTIONS[question].test(row)) return false;
  if (!state.text) return true;
  const words = [row.s, STATES[row.state]?.label, row.kind, row.cause, row.hint, row.prev ? '' : 'new'];
  return words.join(' ').toLowerCase().includes(state.text);
}

/** Puts rows in order and hides those that are not asked for; moves only what is not in its place. */
function arrange(state) {
  const { symbols } = state.page;
  const all = symbols.map((_, at) => at).sort(comparer(symbols, state.sort));
  state.order = all.filter((at) => wanted(state, symbols[at]));
  const seen = new Set(state.order);
  const focused = document.activeElement;
  place(
    state.body,
    all.map((at) => state.rows[at]),
  );
  state.rows.forEach((row, at) => {
    if (row.hidden === seen.has(at)) row.hidden = !seen.has(at);
  });
  if (focused !== document.activeElement && state.body.contains(focused)) focused.focus({ preventScroll: true });
  state.heads.forEach((head) => {
    const own = head.dataset.col === state.sort.key;
    if (own) head.setAttribute('aria-sort', state.sort.way > 0 ? 'ascending' : 'descending');
    else head.removeAttribute('aria-sort');
  });
  state.orders.value = state.sort.key;
  state.empty.hidden = state.order.length > 0;
  state.shown.textContent =
    state.order.length === all.length
      ? plural(all.length, 'symbol')
      : `${count(state.order.length)} of ${plural(all.length, 'symbol')}`;
  drawChips(state);
  state.changed();
}

/** Brings children into an order; nothing is touched where it holds already. */
function place(body, rows) {
  const now = body.children;
  const off = rows.reduce((sum, row, at) => sum + (now[at] === row ? 0 : 1), 0);
  if (off === 0 && now.length === rows.length) return;
  if (off > 20) {
    body.append(...rows);
    return;
  }
  rows.forEach((row, at) => {
    if (now[at] !== row) body.insertBefore(row, now[at] ?? null);
  });
}

/** The chips with their counts; those that nothing answers to are left out. */
function drawChips(state) {
  const { symbols } = state.page;
  const focused = state.chips.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const chip = (key, set, label, found, mark) =>
    found || set.has(key)
      ? button(
          {
            class: 'chip',
            'aria-pressed': String(set.has(key)),
            data: { key, state: mark ? key : null },
            on: { click: () => toggleIn(state, set, key) },
          },
          mark ? icon(key) : null,
          `${label} `,
          el('b', { text: count(found) }),
        )
      : null;
  const states = STATE_ORDER.map((key) =>
    chip(key, state.states, STATES[key].label, symbols.filter((row) => row.state === key).length, true),
  );
  const asked = Object.entries(QUESTIONS).map(([key, { label, test }]) =>
    chip(key, state.asked, label, symbols.filter(test).length, false),
  );
  const some = state.states.size || state.asked.size || state.text;
  const clear = some
    ? button({ class: 'clear', data: { key: 'clear' }, on: { click: () => clearFilters(state) } }, 'Show all')
    : null;
  state.chips.replaceChildren(...[...states, ...asked, clear].filter(Boolean));
  if (focused) state.chips.querySelector(`[data-key="${focused}"]`)?.focus({ preventScroll: true });
}

/** Adds to a filter or takes from it. */
function toggleIn(state, set, key) {
  if (!set.delete(key)) set.add(key);
  arrange(state);
}

/** Shows every symbol. */
function clearFilters(state) {
  state.states.clear();
  state.asked.clear();
  state.text = '';
  state.box.value = '';
  arrange(state);
  state.box.focus({ preventScroll: true });
}

/** A click anywhere in a row opens its symbol, unless text is being selected. */
function clicked(state, event) {
  const row = event.target.closest('tr');
  if (!row || event.target.closest('a') || String(getSelection())) return;
  state.open(Number(row.dataset.at));
}

/** Draws rows anew whose symbols have changed; order and filter follow. */
function updateRows(state, indices) {
  for (const at of indices) {
    const [row, node] = [state.page.symbols[at], state.rows[at]];
    const focused = node.contains(document.activeElement);
    node.dataset.state = row.state;
    node.replaceChildren(...cellsOf(row));
    if (focused) node.querySelector('a').focus({ preventScroll: true });
  }
  arrange(state);
}
