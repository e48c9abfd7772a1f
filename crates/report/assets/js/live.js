'use strict';
// The live page: asks for the run, follows what happens to it, loses nothing that the reader chose.

/** How many runs a page without one names. */
const RUNS_NAMED = 10;
/** How many runs the server tells of at most. */
const RUNS_TOLD = 50;

/** The run that the address names; null without one. */
function namedRun() {
  return new URLSearchParams(location.search).get('run') || null;
}

/** The connection. `chosen` is the run that the address names; without one the newest is followed. */
const link = { source: null, lost: false, chosen: namedRun(), retry: 0 };
const WORDS = {
  wait: 'connecting',
  live: 'live',
  lost: 'reconnecting',
  ended: 'ended',
  none: 'no run',
  paused: 'paused',
};

/** Says how the connection is. */
function say(state) {
  const node = document.getElementById('live');
  if (!node || node.dataset.live === state) return;
  node.dataset.live = state;
  node.textContent = WORDS[state];
}

/** What the state of the run says of the connection. */
function sayRun() {
  const state = runState(app.page);
  say(state === 'running' ? 'live' : state === 'paused' ? 'paused' : 'ended');
}

/** Asks the server; throws unless it answers with JSON, with the `status` if it answers at all. */
async function ask(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== null);
  const answer = await fetch(`${path}?${new URLSearchParams(given)}`, {
    headers: { accept: 'application/json' },
    cache: 'no-store',
  });
  if (!answer.ok) throw Object.assign(new Error(`${path}: ${answer.status}`), { status: answer.status });
  return answer.json();
}

/** The details of a symbol. */
function fetchDetail(index) {
  return ask('/api/symbol', { run: app.page.run.id, symbol: app.page.symbols[index].s });
}

/** Loads the page; until there is one, says so and tries again. */
async function loadPage() {
  clearTimeout(link.timer);
  const { chosen } = link;
  let page;
  try {
    page = shownPage(await ask('/api/page', { run: chosen }));
  } catch (error) {
    return chosen === link.chosen ? noPage(error.status) : undefined;
  }
  if (chosen !== link.chosen) return;
  link.retry = 0;
  adopt(page);
  connect(page.run.id);
}

/** There is no page: says why, and looks again unless that would change nothing. */
function noPage(status) {
  if ([400, 404].includes(status) && link.chosen) return noSuchRun(link.chosen);
  if (status === 404)
    notice('No run yet', 'none', [
      el('p', {}, el('code', { text: 'mambafleet train' }), ' begins one. This page looks again every few seconds.'),
    ]);
  else if (app.page) say('lost');
  else if (status === 401 || status === 403)
    notice('A token is needed', 'lost', [el('p', { text: 'Open the address that the server printed when it began.' })]);
  else notice('The server does not answer', 'lost', [el('p', { text: 'This page looks again every few seconds.' })]);
  again(loadPage);
}

/** Says that there is no run of a name, and which there are. Nothing is asked any more. */
async function noSuchRun(name, told = null) {
  forgetPage();
  let runs = told;
  try {
    runs ??= (await ask('/api/page', { run: null })).runs;
  } catch {
    runs = [];
  }
  if (name !== link.chosen) return;
  const way = (run) =>
    el(
      'li',
      {},
      el('a', { href: `?run=${encodeURIComponent(run.id)}` }, el('code', { text: run.id })),
      ` ${runWords(run)}`,
    );
  const words = runs.length
    ? [
        el('p', {}, 'It may have been deleted. ', el('a', { href: location.pathname }, 'Show the newest run')),
        el('h2', { text: 'Runs that there are' }),
        el('ul', { class: 'plain-list' }, runs.slice(0, RUNS_NAMED).map(way)),
      ]
    : [el('p', {}, 'There is none at all yet: ', el('code', { text: 'mambafleet train' }), ' begins one.')];
  const short = name.length > 60 ? `${name.slice(0, 60)}…` : name;
  notice(`There is no run ${short}`, 'none', words, runs);
}

/** Shows words instead of a run, below the bar at the top. */
function notice(heading, state, words, runs = []) {
  const shown = document.querySelector('.notice h1')?.textContent;
  if (shown === heading && !app.page) return;
  forgetPage();
  const empty = { live: true, synthetic: false, runs, run: { id: null } };
  document
    .getElementById('top')
    .replaceChildren(...topBar(empty, { nav: null, theme: themeButton(), choose: chooseRun }));
  say(state);
  document
    .getElementById('main')
    .replaceChildren(el('section', { class: 'panel hero notice', role: 'status' }, el('h1', { text: heading }), words));
  document.getElementById('bottom').replaceChildren();
  document.title = `${heading} · mambafleet`;
}

/** Forgets the page that was shown, and follows its run no longer. */
function forgetPage() {
  link.source?.close();
  link.dirty.clear();
  Object.assign(link, { source: null, lost: false });
  Object.assign(app, { page: null, opened: null, inside: false });
}

/** Tries again after a while that grows to ten seconds. */
function again(act) {
  link.retry += 1;
  clearTimeout(link.timer);
  link.timer = setTimeout(act, Math.min(10000, 1000 * link.retry));
}

/** Whether two pages have the same symbols in the same places. */
function sameSymbols(a, b) {
  return (
    a.run.id === b.run.id &&
    a.symbols.length === b.symbols.length &&
    a.symbols.every((row, at) => row.s === b.symbols[at].s)
  );
}

/** Takes a page over: into what is shown if it is the same run, anew if not. */
function adopt(page) {
  if (!app.page || !sameSymbols(app.page, page)) {
    build(page);
    return;
  }
  Object.assign(app.page, page);
  app.table.update(page.symbols.map((_, at) => at));
  app.timeline.update();
  refreshSummary();
  swap('compare', compareSection(app.page));
  swap('evaluation', evaluationSection(app.page));
  refreshNav();
  showRuns();
  refreshOpened();
}

/** Follows a run. */
function connect(run) {
  if (link.source && link.run === run && link.source.readyState !== EventSource.CLOSED) return sayRun();
  link.source?.close();
  link.run = run;
  const source = new EventSource(`/api/stream?run=${encodeURIComponent(run)}`);
  link.source = source;
  source.addEventListener('open', opened);
  source.addEventListener('error', () => failed(source));
  source.addEventListener('update', (event) => merge(JSON.parse(event.data)));
  source.addEventListener('page', () => loadPage());
  source.addEventListener('runs', (event) => runsCame(JSON.parse(event.data).runs));
}

/** The stream is there; after a gap, what was missed is loaded. */
function opened() {
  sayRun();
  if (!link.lost) return;
  link.lost = false;
  loadPage();
}

/** The stream is gone. The browser tries again by itself unless it was refused. */
function failed(source) {
  link.lost = true;
  say('lost');
  if (source.readyState === EventSource.CLOSED && source === link.source) again(loadPage);
}

/** Calls `act` at most once in `ms`, and only while there is a page. */
function later(act, ms) {
  return throttled(() => app.page && act(), ms);
}

const summaryLater = later(() => {
  refreshSummary();
  sayRun();
}, 1000);
const compareLater = later(() => swap('compare', compareSection(app.page)), 1000);
const timelineLater = later(() => app.timeline.update(), 1000);
const openedLater = later(() => refreshOpened(), 2000);
const rowsLater = later(() => {
  const indices = [...link.dirty];
  link.dirty.clear();
  app.table.update(indices);
}, 250);
link.dirty = new Set();

/** Takes over what has changed. */
function merge(data) {
  const { page } = app;
  if (data.run !== page.run.id) return;
  page.generated_at = Date.now();
  if (data.counts) page.counts = data.counts;
  if (data.time) page.time = data.time;
  for (const [at, row] of data.rows ?? []) {
    page.symbols[at] = shownRow(row);
    link.dirty.add(at);
    if (at === app.opened) openedLater();
  }
  if (data.rows?.length) {
    rowsLater();
    compareLater();
  }
  if (data.timeline) {
    page.timeline = data.timeline;
    timelineLater();
  }
  summaryLater();
}

/** Loads the open symbol's details anew. */
function refreshOpened() {
  if (app.opened !== null) showDetail(app.opened, false);
}

/** Runs have come, ended or gone. Who chose none is taken to the newest that runs. */
function runsCame(runs) {
  if (!app.page) return;
  const named = (list) => list.some((run) => run.id === app.page.run.id);
  // A list that is full does not name every run there is.
  if (runs.length < RUNS_TOLD && named(app.page.runs) && !named(runs)) return runGone(runs);
  app.page.runs = runs;
  showRuns();
  const newest = runs.find((run) => run.state === 'running');
  if (
    !link.chosen &&
    newest &&
    newest.id !== app.page.run.id &&
    app.page.run.state !== 'running' &&
    app.opened === null
  )
    loadPage();
}

/** The run that is shown has been deleted: who chose it is told so, who did not sees the newest there is. */
function runGone(runs) {
  if (link.chosen) return noSuchRun(link.chosen, runs);
  forgetPage();
  loadPage();
}

/** Brings the list of runs up to date. */
function showRuns() {
  const old = document.getElementById('runs');
  if (!old || document.activeElement === old) return;
  const fresh = runPicker(app.page, chooseRun);
  if (fresh) old.replaceWith(fresh);
}

/** Shows another run; the address names it from now on. */
function chooseRun(id) {
  link.chosen = id;
  history.pushState(null, '', `${location.pathname}?run=${encodeURIComponent(id)}`);
  loadPage();
}

/** Begins, and lets clocks tick while a run runs. */
function startLive() {
  addEventListener('popstate', () => {
    const named = namedRun();
    if (named === link.chosen) return;
    link.chosen = named;
    loadPage();
  });
  setInterval(() => {
    if (app.page?.run.state !== 'running' || document.hidden) return;
    summaryLater();
    timelineLater();
  }, 1000);
  loadPage();
}
