'use strict';
// Elements, words and numbers: what every other file of the page uses.

const SVG = 'http://www.w3.org/2000/svg';
/** What stands where there is no value. */
const DASH = '–';

/**
 * The states that a symbol can be in, in the order in which they ask for attention. `icon` is the path of
 * a drawing of 12 by 12, so that no state is told by its colour alone.
 */
const STATES = {
  failed: { label: 'failed', icon: 'M2.5 2.5l7 7M9.5 2.5l-7 7' },
  interrupted: { label: 'interrupted', icon: 'M4 2.5v7M8 2.5v7' },
  unbegun: {
    label: 'not begun',
    more: 'the run ended before it was its turn',
    icon: 'M6 2.5a3.5 3.5 0 1 0 .01 0',
  },
  skipped: { label: 'skipped', icon: 'M2.5 2.5L6 6l-3.5 3.5M6.5 2.5L10 6l-3.5 3.5' },
  retrying: { label: 'retrying', icon: 'M9.8 4.5A4 4 0 1 0 10 6M10 2v2.7H7.3' },
  running: { label: 'running', icon: 'M4 2.5v7L9.5 6z' },
  kept: {
    label: 'kept',
    more: 'the new model was worse, the old one stays',
    icon: 'M4.5 2L2 4.5 4.5 7M2 4.5h5a2.7 2.7 0 0 1 0 5.4H4',
  },
  trained: { label: 'trained', icon: 'M2 6.5L5 9.5l5-7' },
  up_to_date: {
    label: 'up to date',
    more: 'nothing has changed since the newest generation',
    icon: 'M2.5 4.5h7M2.5 7.5h7',
  },
  waiting: { label: 'waiting', icon: 'M6 1.8a4.2 4.2 0 1 0 .01 0M6 3.5V6l1.8 1.4' },
};
const STATE_ORDER = Object.keys(STATES);

/** A row as it is shown: what was interrupted without an attempt had not begun. */
function shownRow(row) {
  return row.state === 'interrupted' && !row.attempts ? { ...row, state: 'unbegun' } : row;
}

/** A page as it is shown. */
function shownPage(page) {
  return { ...page, symbols: page.symbols.map(shownRow) };
}

/** The forecasts that are compared, as a table names them. */
const CONTENDERS = {
  model: 'model',
  raw: 'model, not shrunk',
  zero: 'no change',
  train_mean: 'mean of training',
  ridge: 'ridge on lagged returns',
  ewma_quantiles: 'EWMA quantiles',
};

/** Puts attributes on an element: `text`, `on` (listeners), `style` and `data` are objects or special. */
function put(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'text') node.textContent = value;
    else if (name === 'on') for (const [type, act] of Object.entries(value)) node.addEventListener(type, act);
    else if (name === 'style') for (const [key, one] of Object.entries(value)) node.style.setProperty(key, one);
    else if (name === 'data') Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  return node;
}

/** Adds children: nodes, strings, lists of them; null adds nothing. */
function add(node, children) {
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An HTML element. */
function el(tag, attributes = {}, ...children) {
  return add(put(document.createElement(tag), attributes), children);
}

/** An SVG element. */
function svg(tag, attributes = {}, ...children) {
  return add(put(document.createElementNS(SVG, tag), attributes), children);
}

/** A push button. */
function button(attributes, ...children) {
  return el('button', { type: 'button', ...attributes }, ...children);
}

/** A section with its heading, named by it. */
function section(id, title, ...children) {
  const heading = el('h2', { id: `h-${id}`, text: title });
  return el('section', { id: `s-${id}`, class: 'panel', 'aria-labelledby': `h-${id}` }, heading, ...children);
}

/** The drawing of a state, for eyes alone. */
function icon(state) {
  const path = svg('path', { d: STATES[state].icon });
  return svg('svg', { class: 'icon', viewBox: '0 0 12 12', 'aria-hidden': 'true' }, path);
}

/** A state as a badge. */
function badge(state) {
  return el('span', { class: 'badge', title: STATES[state].more, data: { state } }, icon(state), STATES[state].label);
}

/** Whether a value is a finite number. */
function isNumber(value) {
  return typeof value === 'number' && Number.isFinite(value);
}

/** A number with four significant digits. */
function number(value, digits = 4) {
  if (!isNumber(value)) return DASH;
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e6))
    return value.toExponential(2).replace('-', '−');
  return value.toLocaleString('en-GB', { maximumSignificantDigits: digits, useGrouping: true }).replace('-', '−');
}

/** A number with a fixed count of decimals, so that columns line up. */
function fixed(value, decimals = 4) {
  return isNumber(value) ? value.toFixed(decimals).replace('-', '−') : DASH;
}

/** A count with separators. */
function count(value) {
  return isNumber(value) ? value.toLocaleString('en-GB') : DASH;
}

/** A share as per cent; `signed` puts a plus where it belongs. */
function percent(share, decimals = 1, signed = false) {
  if (!isNumber(share)) return DASH;
  const text = Math.abs(share * 100).toFixed(decimals);
  const zero = Number(text) === 0;
  const sign = zero ? '' : share < 0 ? '−' : signed ? '+' : '';
  return `${sign}${text} %`;
}

/** Seconds in words of at most two units. */
function duration(seconds) {
  if (!isNumber(seconds)) return DASH;
  if (seconds < 0.0005) return '0 s';
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  const two = (value) => String(value).padStart(2, '0');
  return hours ? `${hours} h ${two(minutes)} min` : `${minutes} min ${two(whole % 60)} s`;
}

/** Bytes with a unit. */
function bytes(value) {
  if (!isNumber(value)) return DASH;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let step = 0;
  let left = value;
  for (; left >= 999.5 && step < units.length - 1; step += 1) left /= 1000;
  return `${left.toLocaleString('en-GB', { maximumSignificantDigits: 3 })} ${units[step]}`;
}

const DATE = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
});
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  timeZone: 'UTC',
});

/** A moment in the reader's time zone, with UTC for machines and for those who hover. */
function when(ms) {
  if (!isNumber(ms)) return el('span', { text: DASH });
  const moment = new Date(ms);
  return el('time', {
    datetime: moment.toISOString(),
    title: `${moment.toISOString()} (UTC)`,
    text: DATE.format(moment),
  });
}

/** The time of day. */
function clock(ms) {
  return isNumber(ms) ? CLOCK.format(new Date(ms)) : DASH;
}

/** A day given as days since 1970. */
function dayOf(days) {
  return DAY.format(new Date(days * 86400000));
}

/** `3 symbols`, `1 symbol`. */
function plural(value, word, words = `${word}s`) {
  return `${count(value)} ${value === 1 ? word : words}`;
}

/** A list in words. */
function listed(words) {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words[words.length - 1]}`;
}

/** How much better than the baseline: `1 - test / baseline`; above nought is better. */
function skillOf(row) {
  return isNumber(row.test) && isNumber(row.base) && row.base !== 0 ? 1 - row.test / row.base : null;
}

/** The test loss against the generation before, as a share; above nought is worse. */
function changeOf(row) {
  if (!row.prev || !isNumber(row.test) || !isNumber(row.prev.test) || row.prev.test === 0) return null;
  return (row.test - row.prev.test) / Math.abs(row.prev.test);
}

/** Outcomes after which the newest generation is what this run wanted it to be. */
const GOOD = ['trained', 'up_to_date', 'kept'];

/** Whether the figures of a symbol are this run's, and not those of a model of an earlier one. */
function isCurrent(row) {
  return GOOD.includes(row.state);
}

/** `good`, `bad` or nothing, for a value whose sign means better or worse; what rounds to nought is neither. */
function verdictOf(value, goodIsUp) {
  if (!isNumber(value) || Math.abs(value) < 0.0005) return null;
  return value > 0 === goodIsUp ? 'good' : 'bad';
}

/** Terms with their values, as a list of definitions. */
function facts(pairs, attributes = {}) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined);
  return el(
    'dl',
    { class: 'facts', ...attributes },
    shown.map(([name, value]) => el('div', {}, el('dt', { text: name }), el('dd', {}, value))),
  );
}

/** A table in a box of its own that scrolls; `head` are the column titles. Cells are nodes or strings. */
function table(caption, head, rows, { numeric = [] } = {}) {
  const kind = (at) => (numeric.includes(at) ? 'num' : null);
  const title = head.map((text, at) => el('th', { scope: 'col', class: kind(at) }, text));
  const line = (cells) =>
    el(
      'tr',
      {},
      cells.map((cell, at) => (at === 0 ? el('th', { scope: 'row' }, cell) : el('td', { class: kind(at) }, cell))),
    );
  const body = rows.map(line);
  const whole = el(
    'table',
    { class: 'plain' },
    el('caption', { class: 'sr', text: caption }),
    el('thead', {}, el('tr', {}, title)),
    el('tbody', {}, body),
  );
  return scrolling(caption, whole);
}

/** A box that scrolls by itself and can be reached by keyboard. */
function scrolling(label, ...children) {
  return el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': label }, ...children);
}

/** Calls `act` at most once in `ms`, the last time with the newest arguments. */
function throttled(act, ms) {
  let timer = null;
  let last = -Infinity;
  let newest = [];
  const fire = () => {
    timer = null;
    last = performance.now();
    act(...newest);
  };
  return (...given) => {
    newest = given;
    if (timer === null) timer = setTimeout(fire, Math.max(0, last + ms - performance.now()));
  };
}

/** A small box beside what the pointer or the focus is on. */
function tooltip() {
  const node = el('div', { class: 'tip', role: 'tooltip', hidden: true });
  const hide = () => {
    node.hidden = true;
  };
  const show = (target, lines) => {
    node.replaceChildren(...lines.filter(Boolean).map((text, at) => el(at ? 'span' : 'b', { text })));
    node.hidden = false;
    const [box, own] = [target.getBoundingClientRect(), node.getBoundingClientRect()];
    const left = Math.max(8, Math.min(innerWidth - own.width - 8, Math.max(box.left, 8)));
    const above = box.top - own.height - 8;
    node.style.left = `${left}px`;
    node.style.top = `${above > 8 ? above : box.bottom + 8}px`;
  };
  return { node, show, hide };
}

/** The share of skill that fills half a bar: what nine in ten symbols stay below. */
function skillScale(rows) {
  const all = rows
    .map(skillOf)
    .filter(isNumber)
    .map(Math.abs)
    .sort((a, b) => a - b);
  return Math.max(0.02, all[Math.floor(all.length * 0.9)] ?? 0.1);
}
