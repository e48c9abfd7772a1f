'use strict';
// The page as a whole: views, addresses, keys, light and dark, print.

/** What the page is at the moment. */
const app = {
  page: null,
  parts: {},
  table: null,
  timeline: null,
  opened: null,
  then: null,
  horizon: null,
  scroll: [0, 0],
  inside: false,
  detail: null,
};
const LIVE = document.documentElement.hasAttribute('data-live');
const THEME_KEY = 'mambafleet-theme';
const BRIEFLY = [
  ['failures', 'Failures'],
  ['symbols', 'Symbols'],
  ['compare', 'Changes'],
  ['timeline', 'Timeline'],
  ['evaluation', 'Forecasts'],
  ['time', 'Time'],
];

/** What was remembered, where storage is allowed. */
function remembered(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Remembers, where storage is allowed. */
function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // The choice then holds as long as the page is open.
  }
}

/** Whether the page is dark at the moment. */
function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}

/** The switch between light and dark. */
function themeButton() {
  const node = button({
    id: 'theme',
    class: 'controls',
    on: { click: () => setTheme(isDark() ? 'light' : 'dark', true) },
  });
  const half = svg(
    'svg',
    { viewBox: '0 0 16 16', 'aria-hidden': 'true' },
    svg('circle', { cx: 8, cy: 8, r: 6.2, fill: 'none' }),
    svg('path', { d: 'M8 2a6 6 0 0 1 0 12z' }),
  );
  node.append(half);
  const name = () => {
    for (const what of ['aria-label', 'title'])
      node.setAttribute(what, `Switch to ${isDark() ? 'light' : 'dark'} colours`);
  };
  document.addEventListener('themed', name);
  name();
  return node;
}

/** Light or dark from now on. */
function setTheme(theme, keep) {
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  if (keep) remember(THEME_KEY, theme);
  document.dispatchEvent(new Event('themed'));
  redrawCharts();
}

/** What the reader has unfolded stays so in a part that takes another's place. */
function keepFolds(old, fresh) {
  for (const one of old.querySelectorAll('details[data-fold]')) {
    const next = fresh.querySelector(`details[data-fold="${one.dataset.fold}"]`);
    if (next) next.open = one.open;
  }
}

/** Exchanges a part of the page if it has changed; focus stays on what stands in the same place. */
function swap(name, fresh) {
  const old = app.parts[name];
  if (old && fresh) keepFolds(old, fresh);
  if (old && fresh && old.isEqualNode(fresh)) return old;
  const buttons = (node) => [...node.querySelectorAll('button, a')];
  const focused = old?.contains(document.activeElement) ? buttons(old).indexOf(document.activeElement) : -1;
  const node = fresh ?? el('span', { hidden: true });
  if (old) old.replaceWith(node);
  app.parts[name] = node;
  if (focused >= 0) buttons(node)[focused]?.focus({ preventScroll: true });
  return node;
}

/** Filters the table by a state or a question and shows it. */
function filterTable(name) {
  if (name in QUESTIONS) app.table.ask(name);
  else app.table.only(name);
  showSection('symbols');
}

/** Scrolls to a section and puts the focus there. */
function showSection(id) {
  const node = document.getElementById(`s-${id}`);
  if (!node) return;
  node.scrollIntoView({
    behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth',
    block: 'start',
  });
  node.tabIndex = -1;
  node.focus({ preventScroll: true });
}

/** Goes to a section, from the section of a symbol too. */
function visit(id) {
  app.then = id;
  if (app.opened === null) arrived();
  else leave();
}

/** Shows the section that was asked for while a symbol was open. */
function arrived() {
  const id = app.then;
  app.then = null;
  if (id) showSection(id);
}

/** The ways to the sections that there are. */
function sectionNav() {
  const there = BRIEFLY.filter(([id]) => app.overview.querySelector(`#s-${id}`));
  const followed = (id) => (event) => {
    event.preventDefault();
    visit(id);
  };
  const links = there.map(([id, title]) => el('a', { href: `#s-${id}`, on: { click: followed(id) } }, title));
  return el('nav', { class: 'controls', 'aria-label': 'Sections' }, links);
}

/** Sections may have come, such as that of the first failure. */
function refreshNav() {
  const [old, fresh] = [document.querySelector('#top nav'), sectionNav()];
  if (!old.isEqualNode(fresh)) old.replaceWith(fresh);
}

/** Builds everything for a page. Sort and filter of an earlier one are kept. */
function build(page) {
  const before = app.table?.state;
  app.page = page;
  app.parts = {};
  app.table = createTable(page, openSymbol);
  app.timeline = createTimeline(page, openSymbol);
  if (before) inherit(app.table.state, before);
  app.overview = el(
    'div',
    { id: 'overview' },
    swap('hero', hero(page, filterTable)),
    swap('failures', failures(page, filterTable)),
    swap('glance', glance(page, filterTable)),
    app.table.node,
    swap('compare', compareSection(page)),
    app.timeline.node,
    swap('evaluation', evaluationSection(page)),
    swap('time', timeSection(page)),
  );
  app.view = el('div', { id: 'symbol', hidden: true });
  document.getElementById('main').replaceChildren(app.overview, app.view);
  document
    .getElementById('top')
    .replaceChildren(...topBar(page, { nav: sectionNav(), theme: themeButton(), choose: chooseRun }));
  document
    .getElementById('bottom')
    .replaceChildren(
      `${page.program}, `,
      LIVE ? 'as of ' : 'written ',
      when(page.generated_at),
      '. Skill: 1 − test loss / loss of the baseline, + is better. Change: test loss against the generation before, − is better. ',
      'Times are in your time zone.',
    );
  title();
  route();
  requestAnimationFrame(() => setTimeout(() => performance.mark('ready')));
}

/** Takes over what was chosen in an earlier table. */
function inherit(state, before) {
  Object.assign(state, { sort: before.sort, text: before.text, states: before.states, asked: before.asked });
  state.box.value = before.box.value;
  arrange(state);
}

/** Draws anew what sums up the run. */
function refreshSummary() {
  swap('hero', hero(app.page, filterTable));
  swap('failures', failures(app.page, filterTable));
  swap('glance', glance(app.page, filterTable));
  swap('time', timeSection(app.page));
  refreshNav();
  title();
}

/** The window's title: the verdict comes first, for it is what fits on a tab. */
function title() {
  const name = app.opened === null ? verdictWords(app.page) : app.page.symbols[app.opened].s;
  document.title = `${name} · ${app.page.run.id} · mambafleet`;
}

/** The place of a symbol's details in this document; the live page asks for them. */
async function loadDetail(index) {
  if (LIVE) return fetchDetail(index);
  const node = document.getElementById(`d-${index}`);
  return node ? JSON.parse(node.textContent) : null;
}

/** Opens a symbol, which is a place in the history of the browser. */
function openSymbol(index) {
  app.inside = true;
  location.hash = `#${encodeURIComponent(app.page.symbols[index].s)}`;
}

/** The symbols that previous and next go through. */
function walk() {
  const order = app.table.order();
  return order.includes(app.opened) ? order : app.page.symbols.map((_, at) => at);
}

/** The symbol before or after the one that is open; nought: back to all. */
function go(by) {
  if (by === 0) return leave();
  const order = walk();
  const next = order[order.indexOf(app.opened) + by];
  if (next === undefined) return;
  history.replaceState(null, '', `#${encodeURIComponent(app.page.symbols[next].s)}`);
  route();
}

/** Back to all symbols. */
function leave() {
  if (app.opened === null) return;
  if (app.inside) {
    app.inside = false;
    history.back();
  } else {
    history.replaceState(null, '', location.pathname + location.search);
    route();
  }
}

/** The symbol that the address names; null if none. */
function addressed() {
  let name = '';
  try {
    name = decodeURIComponent(location.hash.slice(1));
  } catch {
    return null;
  }
  const index = name ? app.page.symbols.findIndex((row) => row.s === name) : -1;
  return index < 0 ? null : index;
}

/** Shows what the address says. */
function route() {
  const index = addressed();
  if (index === null) return closeView();
  const sheet = document.querySelector('.sheet');
  if (app.opened === null) app.scroll = [scrollY, sheet?.scrollTop ?? 0];
  app.opened = index;
  app.detail = null;
  app.overview.hidden = true;
  app.view.hidden = false;
  title();
  showDetail(index, true);
}

/** Loads and draws a symbol. */
async function showDetail(index, fresh) {
  let detail = null;
  try {
    detail = await loadDetail(index);
  } catch {
    // What the row says is shown all the same.
  }
  if (app.opened !== index) return;
  app.detail = detail;
  drawSymbol(fresh);
}

/** Draws the open symbol; `fresh` when it has just been opened. */
function drawSymbol(fresh) {
  const order = walk();
  const parts = symbolView({
    page: app.page,
    index: app.opened,
    detail: app.detail,
    place: [order.indexOf(app.opened), order.length],
    go,
    horizon: app.horizon,
    choose: (h) => {
      app.horizon = h;
    },
  });
  app.parts.symbol ??= app.view.appendChild(el('div', {}));
  const folds = [...app.view.querySelectorAll('details')].map((one) => one.open);
  swap('symbol', el('div', {}, parts));
  if (fresh) {
    scrollTo(0, 0);
    document.getElementById('symbol-title').focus({ preventScroll: true });
  } else {
    app.view.querySelectorAll('details').forEach((one, at) => {
      one.open = folds[at] ?? false;
    });
  }
}

/** Back to the overview, to where it was left. */
function closeView() {
  const last = app.opened;
  if (last === null) return;
  app.opened = null;
  app.inside = false;
  app.view.hidden = true;
  app.overview.hidden = false;
  title();
  const sheet = document.querySelector('.sheet');
  if (sheet) sheet.scrollTop = app.scroll[1];
  scrollTo(0, app.scroll[0]);
  app.table.state.rows[last]?.querySelector('a').focus({ preventScroll: true });
  arrived();
}

/** Keys of the whole page. */
function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest?.('input, select, textarea');
  if (event.key === 'Escape' && app.opened !== null) leave();
  else if (typing) return;
  else if (event.key === '/' && app.opened === null) {
    event.preventDefault();
    app.table?.state.box.focus();
  } else if (app.opened !== null && (event.key === 'j' || event.key === 'k')) go(event.key === 'j' ? 1 : -1);
}

/** Opens what is folded for paper, and folds it afterwards. */
function forPaper(printing) {
  for (const one of document.querySelectorAll('details.more')) {
    if (printing && !one.open && !one.closest('#s-timeline')) Object.assign(one, { open: true }).dataset.printed = '';
    else if (!printing && 'printed' in one.dataset) Object.assign(one, { open: false }).removeAttribute('data-printed');
  }
  redrawCharts();
}

/** Everything that is listened to once. */
function listenOnce() {
  history.scrollRestoration = 'manual';
  addEventListener('hashchange', () => app.page && route());
  document.addEventListener('keydown', pressed);
  document.addEventListener('click', (event) => {
    if (event.target.closest?.('a.sym')) app.inside = true;
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => setTheme(null, false));
  matchMedia('print').addEventListener('change', (event) => forPaper(event.matches));
  addEventListener('beforeprint', () => forPaper(true));
  addEventListener('afterprint', () => forPaper(false));
  document.querySelector('.skip').addEventListener('click', (event) => {
    event.preventDefault();
    document.getElementById('main').focus();
  });
}

/** Begins. */
function start() {
  setTheme(remembered(THEME_KEY), false);
  listenOnce();
  if (LIVE) startLive();
  else build(shownPage(JSON.parse(document.getElementById('page').textContent)));
}

start();
