'use strict';
// The timeline of workers: who trained what when, retries, waits for locks, gaps, pauses.

/** How attempts end, as the timeline names it; `look` is a state of `STATES` whose drawing is used. */
const SPANS = {
  running: { label: 'running', look: 'running' },
  ok: { label: 'done', look: null },
  up_to_date: { label: 'up to date', look: 'up_to_date' },
  skipped: { label: 'skipped', look: 'skipped' },
  failed: { label: 'failed', look: 'failed' },
  lost: { label: 'worker lost', look: 'failed' },
};
const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200];
const ZOOMS = [1, 2, 4, 8, 16, 32];
const LANE_LABEL = 92;

/** Builds the section of the timeline. `open(index)` opens a symbol. */
function createTimeline(page, open) {
  const inner = el('div', { class: 'tl-inner' });
  const scroller = el(
    'div',
    {
      class: 'tl-scroll',
      role: 'group',
      'aria-label': 'Timeline of workers; arrow keys move from attempt to attempt',
    },
    inner,
  );
  const state = { page, open, inner, scroller, zoom: 0, told: tooltip(), range: [0, 1] };
  state.sum = el('p', { class: 'dim', role: 'status' });
  const list = el('div', {});
  const details = el('details', { class: 'more' }, el('summary', { text: 'The same as a table' }), list);
  details.addEventListener('toggle', () => {
    if (details.open) list.replaceChildren(spanTable(state.page));
  });
  listen(state);
  const node = section(
    'timeline',
    'Workers over time',
    state.sum,
    zoomButtons(state),
    scroller,
    spanKey(),
    details,
    state.told.node,
  );
  new ResizeObserver(() => drawTicks(state)).observe(scroller);
  drawTimeline(state);
  return { node, update: () => drawTimeline(state) };
}

/** Buttons that stretch the time axis. */
function zoomButtons(state) {
  const by = (steps) => () => zoomTo(state, Math.max(0, Math.min(ZOOMS.length - 1, state.zoom + steps)));
  return el(
    'div',
    { class: 'tools controls' },
    button({ 'aria-label': 'Shorter: zoom out', on: { click: by(-1) } }, '−'),
    button({ 'aria-label': 'Longer: zoom in', on: { click: by(1) } }, '+'),
    button({ on: { click: () => zoomTo(state, 0) } }, 'Whole run'),
  );
}

/** Stretches the axis and keeps the middle where it is. */
function zoomTo(state, zoom) {
  const { scroller, inner } = state;
  const middle = (scroller.scrollLeft + scroller.clientWidth / 2) / scroller.scrollWidth;
  state.zoom = zoom;
  inner.style.width = `${ZOOMS[zoom] * 100}%`;
  drawTicks(state);
  scroller.scrollLeft = middle * scroller.scrollWidth - scroller.clientWidth / 2;
}

/** From when to when the axis goes. */
function rangeOfTimeline({ timeline, generated_at: made, live, run }) {
  const now = live ? Math.max(made, Date.now()) : made;
  const ends = timeline.lanes.flatMap((lane) => [lane.ended, ...lane.spans.map((span) => span.to)]).filter(isNumber);
  const end = timeline.end ?? (run.state === 'running' ? now : Math.max(timeline.start, ...ends));
  return [timeline.start, Math.max(end, timeline.start + 1000)];
}

/** Draws the lanes; where nothing has come, they only grow. Zoom, scroll position and focus stay. */
function drawTimeline(state) {
  const { timeline } = state.page;
  state.range = rangeOfTimeline(state.page);
  const shape = JSON.stringify([
    timeline.lanes.map((lane) => [lane.worker, lane.lost, lane.spans.length]),
    timeline.retries.length,
  ]);
  if (shape === state.shape) growLanes(state);
  else buildLanes(state);
  state.shape = shape;
  state.sum.textContent = timelineWords(timeline, state.range);
  drawTicks(state);
}

/** Builds every lane anew. */
function buildLanes(state) {
  const { timeline } = state.page;
  const focused = state.inner.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  state.overlay = el('div', { class: 'tl-overlay', 'aria-hidden': 'true' });
  state.axis = el('div', { class: 'tl-axis', 'aria-hidden': 'true' });
  const lanes = timeline.lanes.map((lane) => laneOf(state, lane));
  state.inner.replaceChildren(state.overlay, state.axis, ...lanes, ...retryLane(state, timeline.retries));
  const first = state.inner.querySelector(focused ? `[data-key="${focused}"]` : '.tl-span');
  if (first) first.tabIndex = 0;
  if (focused && first) first.focus({ preventScroll: true });
}

/** Brings the lanes that stand there up to date; a click that has begun on one of their attempts stays one. */
function growLanes(state) {
  const nodes = state.inner.querySelectorAll('.tl-lane');
  state.page.timeline.lanes.forEach((lane, at) => {
    const fresh = laneOf(state, lane);
    nodes[at].setAttribute('aria-label', fresh.getAttribute('aria-label'));
    nodes[at].firstChild.replaceWith(fresh.firstChild);
    const [now, then] = [nodes[at].lastChild.children, fresh.lastChild.children];
    [...then].forEach((one, place) => follow(now[place], one));
  });
  const [waits] = retryLane(state, state.page.timeline.retries);
  if (waits) nodes[nodes.length - 1].replaceWith(waits);
}

/** Makes an element look like a fresh one; the element itself stays. */
function follow(node, fresh) {
  node.style.cssText = fresh.style.cssText;
  if (
    node.dataset.state === fresh.dataset.state &&
    node.getAttribute('aria-label') === fresh.getAttribute('aria-label')
  )
    return;
  node.dataset.state = fresh.dataset.state;
  node.setAttribute('aria-label', fresh.getAttribute('aria-label'));
  node.replaceChildren(...fresh.childNodes);
}

/** Left edge and width of a stretch of time, in per cent. */
function placed(state, from, to) {
  const [start, end] = state.range;
  const share = (ms) => Math.max(0, Math.min(100, ((ms - start) / (end - start)) * 100));
  const left = share(from);
  return { left: `${left.toFixed(3)}%`, width: `${Math.max(0, share(to ?? end) - left).toFixed(3)}%` };
}

/** One worker: its name, the share of time in which it worked, its attempts. */
function laneOf(state, lane) {
  const end = lane.ended ?? state.range[1];
  const busy = lane.spans.reduce((sum, span) => sum + Math.max(0, (span.to ?? end) - span.from), 0);
  const share = percent(Math.min(1, busy / Math.max(1, end - lane.started)), 0);
  const alive = el('i', { class: 'tl-alive', style: placed(state, lane.started, end) });
  const lost = lane.lost
    ? el('i', { class: 'tl-lost', title: lane.lost, style: { left: placed(state, end, end).left } })
    : null;
  const track = el(
    'div',
    { class: 'tl-track' },
    alive,
    lane.spans.map((span, at) => spanOf(state, lane, span, at)),
    lost,
  );
  const name = el(
    'div',
    { class: 'tl-name' },
    `worker ${lane.worker}`,
    el('small', { text: lane.lost ? 'lost' : `${share} busy` }),
  );
  return el(
    'div',
    {
      class: 'tl-lane',
      role: 'group',
      'aria-label': `worker ${lane.worker}, ${share} busy${lane.lost ? `, lost: ${lane.lost}` : ''}`,
    },
    name,
    track,
  );
}

/** One attempt. */
function spanOf(state, lane, span, at) {
  const seconds = ((span.to ?? state.range[1]) - span.from) / 1000;
  const name = state.page.symbols[span.i]?.s ?? '?';
  const { label, look } = SPANS[span.state] ?? SPANS.ok;
  const lock =
    span.lock > 0
      ? el('i', {
          class: 'tl-lock',
          style: { width: `${Math.min(100, (span.lock / Math.max(seconds, 0.001)) * 100).toFixed(1)}%` },
        })
      : null;
  const words = [
    name,
    `attempt ${span.attempt}`,
    `${label}${span.state === 'running' ? ' for' : ' after'} ${duration(seconds)}`,
    span.cause,
  ];
  return button(
    {
      class: 'tl-span',
      tabindex: '-1',
      style: placed(state, span.from, span.to),
      data: { state: span.state, key: `${lane.worker}-${at}`, at, worker: lane.worker },
      'aria-label': words.filter(Boolean).join(', '),
    },
    look ? icon(look) : null,
    el('span', { text: name }),
    lock,
  );
}

/** Symbols that wait for their next attempt, stacked where they overlap. */
function retryLane(state, retries) {
  if (!retries.length) return [];
  const ends = [];
  const waits = [...retries]
    .sort((a, b) => a.at - b.at)
    .map((wait) => {
      const free = ends.findIndex((end) => end <= wait.at);
      const row = free >= 0 ? free : ends.length;
      ends[row] = wait.until;
      const pause = duration((wait.until - wait.at) / 1000);
      const words = `${state.page.symbols[wait.i]?.s}: attempt ${wait.attempt} after a wait of ${pause}`;
      return el('i', {
        class: 'tl-wait',
        title: words,
        style: { ...placed(state, wait.at, wait.until), top: `${row * 8 + 3}px` },
      });
    });
  const track = el('div', { class: 'tl-track', style: { height: `${ends.length * 8 + 6}px` } }, waits);
  const label = `${plural(retries.length, 'wait')} before a retry`;
  return [
    el(
      'div',
      { class: 'tl-lane tl-retries', role: 'group', 'aria-label': label },
      el('div', { class: 'tl-name', text: 'retry waits' }),
      track,
    ),
  ];
}

/** Marks of time along the axis, as many as fit, and pauses. */
function drawTicks(state) {
  if (!state.axis) return;
  const [start, end] = state.range;
  const width = Math.max(100, state.inner.clientWidth - LANE_LABEL);
  const seconds = TICKS.find((one) => (one * 1000 * width) / (end - start) >= 92) ?? 86400;
  const zone = new Date(start).getTimezoneOffset() * 60000;
  const first = Math.ceil((start - zone) / (seconds * 1000)) * seconds * 1000 + zone;
  const [marks, lines] = [[], []];
  for (let at = first; at <= end; at += seconds * 1000) {
    const { left } = placed(state, at, at);
    const text = seconds < 60 ? clock(at) : clock(at).slice(0, 5);
    if (parseFloat(left) < 100 - 5500 / width) marks.push(el('span', { style: { left }, text }));
    lines.push(el('i', { class: 'tl-tick', style: { left } }));
  }
  const pauses = state.page.timeline.pauses.map(([from, to]) =>
    el('i', { class: 'tl-pause', style: placed(state, from, to) }),
  );
  state.axis.replaceChildren(...marks);
  state.overlay.replaceChildren(...lines, ...pauses);
}

/** The timeline in a sentence. */
function timelineWords({ lanes, retries, pauses }, [start, end]) {
  const spans = lanes.flatMap((lane) => lane.spans);
  const busy = spans.reduce((sum, span) => sum + ((span.to ?? end) - span.from), 0);
  const alive = lanes.reduce((sum, lane) => sum + ((lane.ended ?? end) - lane.started), 0);
  const locks = spans.reduce((sum, span) => sum + (span.lock ?? 0), 0);
  const lost = lanes.filter((lane) => lane.lost).length;
  const parts = [
    `${plural(spans.length, 'attempt')} on ${plural(lanes.length, 'worker')} in ${duration((end - start) / 1000)}`,
  ];
  if (alive > 0) parts.push(`${percent(Math.min(1, busy / alive), 0)} of their time at work`);
  if (locks > 0) parts.push(`${duration(locks)} waiting for locks`);
  if (retries.length) parts.push(plural(retries.length, 'retry', 'retries'));
  if (lost) parts.push(`${plural(lost, 'worker')} lost`);
  if (pauses.length) parts.push(plural(pauses.length, 'pause'));
  return parts.join(' · ');
}

/** What colours and patterns mean. */
function spanKey() {
  const one = (state, text) => el('li', {}, el('i', { class: 'tl-key', data: { state } }), text);
  return el(
    'ul',
    { class: 'legend' },
    one('ok', 'done'),
    one('up_to_date', 'up to date'),
    one('running', 'running'),
    one('failed', 'failed'),
    one('lost', 'worker lost'),
    one('skipped', 'skipped'),
    one('lock', 'waits for a lock'),
    one('wait', 'waits for a retry'),
    one('idle', 'idle'),
    one('pause', 'run paused'),
  );
}

/** The attempt that an element stands for. */
function attemptOf(state, node) {
  const lane = state.page.timeline.lanes.find((one) => String(one.worker) === node.dataset.worker);
  return lane?.spans[Number(node.dataset.at)];
}

/** What a tooltip says of an attempt. */
function spanWords(state, span) {
  const seconds = ((span.to ?? state.range[1]) - span.from) / 1000;
  const { label } = SPANS[span.state] ?? SPANS.ok;
  return [
    `${state.page.symbols[span.i]?.s} · attempt ${span.attempt}`,
    `${label}, ${duration(seconds)}, from ${clock(span.from)}${span.to ? ` to ${clock(span.to)}` : ''}`,
    span.lock > 0 ? `waited ${duration(span.lock)} for the lock` : null,
    span.cause,
  ];
}

/** Pointer, focus, keys and clicks. */
function listen(state) {
  const { inner, told, scroller } = state;
  const target = (event) => event.target.closest?.('.tl-span');
  const show = (event) => {
    const node = target(event);
    const span = node && attemptOf(state, node);
    if (span) told.show(node, spanWords(state, span));
    else told.hide();
  };
  inner.addEventListener('pointerover', show);
  inner.addEventListener('pointerleave', told.hide);
  inner.addEventListener('focusin', show);
  inner.addEventListener('focusout', told.hide);
  const scrolled = () => {
    const node = inner.contains(document.activeElement) ? document.activeElement : null;
    const span = node && !told.node.hidden && attemptOf(state, node);
    if (span) told.show(node, spanWords(state, span));
    else told.hide();
  };
  scroller.addEventListener('scroll', scrolled, { passive: true });
  document.addEventListener('scroll', scrolled, { passive: true });
  inner.addEventListener('click', (event) => {
    const node = target(event);
    if (node) state.open(attemptOf(state, node).i);
  });
  inner.addEventListener('keydown', (event) => moveFocus(state, event));
}

/** Arrow keys go from attempt to attempt, and to the one above or below. */
function moveFocus(state, event) {
  const node = event.target.closest('.tl-span');
  const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (event.key === 'Escape') state.told.hide();
  if (!node || !by) return;
  event.preventDefault();
  const lanes = [...state.inner.querySelectorAll('.tl-lane')]
    .map((lane) => [...lane.querySelectorAll('.tl-span')])
    .filter((one) => one.length);
  const at = lanes.findIndex((spans) => spans.includes(node));
  const next = by[1] ? lanes[at][lanes[at].indexOf(node) + by[1]] : nearest(lanes[at + by[0]], node);
  if (!next) return;
  node.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

/** The attempt of a lane that lies closest to another one in time. */
function nearest(spans, node) {
  const distance = (one) => Math.abs(one.offsetLeft + one.offsetWidth / 2 - node.offsetLeft - node.offsetWidth / 2);
  return spans?.reduce((best, one) => (distance(one) < distance(best) ? one : best));
}

/** Every attempt in a table. */
function spanTable(page) {
  const rows = page.timeline.lanes.flatMap((lane) =>
    lane.spans.map((span) => [
      `${lane.worker}`,
      page.symbols[span.i]?.s ?? '?',
      `${span.attempt}`,
      clock(span.from),
      span.to ? duration((span.to - span.from) / 1000) : 'running',
      (SPANS[span.state] ?? SPANS.ok).label,
      span.lock > 0 ? duration(span.lock) : DASH,
      span.cause ?? '',
    ]),
  );
  return table(
    'Every attempt by worker',
    ['Worker', 'Symbol', 'Attempt', 'Began', 'Took', 'Ended', 'Lock wait', 'Cause'],
    rows,
    { numeric: [2, 3, 4, 6] },
  );
}
