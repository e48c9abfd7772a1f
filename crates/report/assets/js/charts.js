'use strict';
// Charts: sparklines and bars as SVG, the large ones by uPlot.

/** The charts that stand on the page; they are drawn anew when colours change. */
const CHARTS = new Set();

/** The value of a colour of the style sheet, for canvases. */
function colour(name, alpha = 1) {
  const probe = el('span', { style: { color: `var(--${name})`, display: 'none' } });
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  const parts = found.match(/[\d.]+/g);
  return alpha === 1 || !parts ? found : `rgba(${parts[0]}, ${parts[1]}, ${parts[2]}, ${alpha})`;
}

/** Smallest and largest of the finite values; null if there are none. */
function rangeOf(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (!isNumber(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? [low, high] : null;
}

/** A tiny learning curve of 100 by 24; empty where there are no losses. */
function sparkline(losses) {
  const range = rangeOf(losses ?? []);
  if (!range) return el('span', { class: 'dim', text: DASH });
  const [low, high] = range;
  const kept = losses.map((loss, at) => [at, loss]).filter(([, loss]) => isNumber(loss));
  const x = (at) => (losses.length < 2 ? 50 : 2 + (at * 96) / (losses.length - 1)).toFixed(1);
  const y = (loss) => (high === low ? 12 : 21 - (18 * (loss - low)) / (high - low)).toFixed(1);
  const points = kept.map(([at, loss]) => `${x(at)},${y(loss)}`).join(' ');
  const [bestAt] = kept.reduce((best, one) => (one[1] < best[1] ? one : best));
  const [start, end] = [kept[0][1], kept[kept.length - 1][1]];
  const label = `Validation loss from ${number(start)} to ${number(end)}, lowest ${number(low)}`;
  return svg(
    'svg',
    { class: 'spark', viewBox: '0 0 100 24', role: 'img', 'aria-label': label },
    svg('polyline', { points }),
    svg('circle', { cx: x(bestAt), cy: y(low), r: 2.2 }),
  );
}

/** A bar to the right (good) or left (bad) of a middle line; `scale` is the share that fills a half. */
function skillBar(skill, scale) {
  if (!isNumber(skill)) return null;
  const width = Math.min(1, Math.abs(skill) / scale) * 50;
  const bar = el('i', {
    style: { width: `${width.toFixed(1)}%`, left: `${(skill < 0 ? 50 - width : 50).toFixed(1)}%` },
  });
  return el('span', { class: `skillbar ${skill < 0 ? 'bad' : 'good'}`, 'aria-hidden': 'true' }, bar);
}

/** From smallest to largest with the median, on a scale that holds nought. */
function spread({ min, median, max }, limit) {
  const x = (value) => (50 + (50 * Math.max(-limit, Math.min(limit, value))) / limit).toFixed(1);
  return svg(
    'svg',
    { class: 'spread', viewBox: '0 0 100 16', 'aria-hidden': 'true', preserveAspectRatio: 'none' },
    svg('line', { class: 'zero', x1: 50, x2: 50, y1: 0, y2: 16 }),
    svg('line', { class: 'whole', x1: x(min), x2: x(max), y1: 8, y2: 8 }),
    svg('line', { class: 'median', x1: x(median), x2: x(median), y1: 3, y2: 13 }),
  );
}

/** Axes in the page's colours. `grid` is left out where lines would say nothing. */
function axes(x, y) {
  const common = () => ({
    stroke: colour('muted'),
    font: '11px system-ui, sans-serif',
    grid: { stroke: colour('grid'), width: 1 },
    ticks: { show: false },
  });
  return [
    { ...common(), size: 26, gap: 4, ...x },
    { ...common(), size: 52, gap: 4, ...y },
  ];
}

/** What all large charts share. */
function plotOptions(given) {
  return {
    legend: { show: false },
    padding: [8, 18, 0, 0],
    ...given,
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 }, ...given.cursor },
  };
}

/**
 * A chart that follows the width of its box and the colours of the page. `build()` gives uPlot's options
 * and data, `read(at)` the values at a place in words (for pointer and arrow keys), `label` what it shows.
 */
function chart({ label, height, build, read, key = [] }) {
  const box = el('div', {
    class: 'chart',
    role: 'img',
    tabindex: '0',
    'aria-label': label,
    style: { height: `${height}px` },
  });
  const told = el('p', { class: 'readout', 'aria-live': 'polite', text: read ? read(null) : '' });
  const state = { box, plot: null, draw: null };
  const follow = (plot) => {
    if (read) told.textContent = read(plot.cursor.idx ?? null);
  };
  state.draw = () => {
    const width = Math.floor(box.clientWidth);
    if (width < 40) return;
    state.plot?.destroy();
    const { options, data } = build(width);
    const hooks = { ...options.hooks, setCursor: [follow] };
    state.plot = new uPlot(plotOptions({ ...options, width, height, hooks }), data, box);
  };
  new ResizeObserver(() => resized(state, height)).observe(box);
  box.addEventListener('keydown', (event) => step(state, event));
  CHARTS.add(state);
  return el('figure', {}, legend(key), box, read ? told : null);
}

/** Follows the width of the box; the first time there is one, draws. */
function resized(state, height) {
  const width = Math.floor(state.box.clientWidth);
  if (!state.plot) state.draw();
  else if (width >= 40 && Math.abs(width - state.plot.width) > 1) state.plot.setSize({ width, height });
}

/** Arrow keys move the cursor of a chart. */
function step({ plot }, event) {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!plot || !by) return;
  event.preventDefault();
  const last = plot.data[0].length - 1;
  const from = plot.cursor.idx ?? (by > 0 ? -1 : last + 1);
  const at = Math.max(0, Math.min(last, from + by));
  plot.setCursor({ left: plot.valToPos(plot.data[0][at], 'x'), top: plot.over.clientHeight / 2 });
}

/** What the colours of a chart mean. */
function legend(key) {
  if (!key.length) return null;
  return el(
    'ul',
    { class: 'legend' },
    key.map(([name, kind]) => el('li', {}, el('i', { class: `key ${kind}` }), name)),
  );
}

/** Draws every chart that is still on the page anew, as after a change of colours. */
function redrawCharts() {
  for (const state of CHARTS) {
    if (state.box.isConnected) state.draw();
    else forget(state);
  }
}

/** Forgets a chart that has left the page. */
function forget(state) {
  state.plot?.destroy();
  CHARTS.delete(state);
}

/** A line of a chart. */
function line(name, extra = {}) {
  return { stroke: colour(name), width: 1.75, points: { show: false }, ...extra };
}

/** Dots on a line. */
function hollow(show, size) {
  return { show, size, fill: colour('surface') };
}

/** Dots without a line. */
function dots(name, size) {
  const fill = colour(name);
  return { stroke: fill, paths: () => null, points: { show: true, size, fill, width: 0 } };
}

/** Training and validation loss by epoch. */
function curvesChart({ train, val, best }) {
  const epochs = Math.max(train.length, val.length);
  const x = Array.from({ length: epochs }, (_, at) => at + 1);
  const told = (at) =>
    at === null
      ? `${plural(epochs, 'epoch')}${best ? `, the best is ${best} with ${number(val[best - 1])}` : ''}`
      : `epoch ${at + 1}: training ${number(train[at])}, validation ${number(val[at])}`;
  const mark = (plot) => {
    if (!best) return;
    const [left, { top, height }] = [plot.valToPos(best, 'x', true), plot.bbox];
    plot.ctx.strokeStyle = colour('muted');
    plot.ctx.setLineDash([4, 4]);
    plot.ctx.strokeRect(left, top, 0, height);
    plot.ctx.setLineDash([]);
  };
  const build = () => ({
    options: {
      scales: { x: { time: false } },
      hooks: { draw: [mark] },
      axes: axes(
        { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] },
        { values: (_, all) => all.map((one) => number(one)) },
      ),
      series: [
        {},
        line('series-b', { points: hollow(epochs < 30, 5) }),
        line('series-a', { points: hollow(epochs < 30, 5) }),
      ],
    },
    data: [x, train, val],
  });
  const key = [
    ['training', 'line b'],
    ['validation', 'line a'],
  ];
  if (best) key.push(['best epoch', 'dash']);
  const ends = `Validation loss ${number(val[0])} at first, ${number(val[val.length - 1])} at the end.`;
  const label = `Learning curves over ${plural(epochs, 'epoch')}. ${ends}`;
  return chart({ label, height: 220, build, read: told, key });
}

/** The widest interval's share of what happened inside it, for a horizon of a fan. */
function insideShare(rows, outcomes) {
  const inside = outcomes.filter((y, at) => y >= rows[at][0] && y <= rows[at][rows[at].length - 1]);
  return outcomes.length ? inside.length / outcomes.length : null;
}

/** What happened, in two parts: inside the widest interval, and outside. */
function outcomesOf(rows, outcomes) {
  const out = (at) => outcomes[at] < rows[at][0] || outcomes[at] > rows[at][rows[at].length - 1];
  return [outcomes.map((y, at) => (out(at) ? null : y)), outcomes.map((y, at) => (out(at) ? y : null))];
}

/** A value in per cent of return, with its sign. */
function signed(value) {
  return `${value > 0 ? '+' : ''}${fixed(value, 2)} %`;
}

/** One moment of a fan in words. */
function fanWords(fan, h, at) {
  const [rows, outcomes] = [fan.q[h], fan.y[h]];
  const span = (low, high) => Math.round((fan.levels[high] - fan.levels[low]) * 100);
  const last = fan.levels.length - 1;
  if (at === null) {
    const days = `${plural(outcomes.length, 'day')} from ${dayOf(fan.days[0])} to ${dayOf(fan.days[fan.days.length - 1])}`;
    const inside = percent(insideShare(rows, outcomes), 0);
    return `${days}; ${inside} of what happened lies inside the ${span(0, last)} % interval`;
  }
  const row = rows[at];
  const bands = fan.levels
    .slice(0, Math.floor(fan.levels.length / 2))
    .map((_, low) => `${span(low, last - low)} % between ${signed(row[low])} and ${signed(row[last - low])}`);
  const median = fan.levels.length % 2 ? `median ${signed(row[last / 2])}, ` : '';
  return `${dayOf(fan.days[at])}: ${median}${bands.reverse().join(', ')}; happened ${signed(outcomes[at])}`;
}

/** Months along a time axis. */
function monthLabels(_, seconds) {
  const text = new Intl.DateTimeFormat('en-GB', { month: 'short', year: 'numeric', timeZone: 'UTC' });
  const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
  const close = seconds.length > 1 && seconds[1] - seconds[0] < 27 * 86400;
  return seconds.map((one) => (close ? day : text).format(new Date(one * 1000)));
}

/** Quantiles of the forecasts as bands, with what happened as dots. `h` is the index of the horizon. */
function fanChart(fan, h) {
  const last = fan.levels.length - 1;
  const pairs = Math.floor(fan.levels.length / 2);
  const columns = fan.levels.map((_, level) => fan.q[h].map((row) => row[level]));
  const [inside, outside] = outcomesOf(fan.q[h], fan.y[h]);
  const edge = () => ({ stroke: 'transparent', width: 1, points: { show: false } });
  const build = (width) => ({
    options: {
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'UTC'),
      axes: axes({ values: monthLabels, space: 70 }, { values: (_, all) => all.map((one) => `${number(one)} %`) }),
      series: [
        {},
        ...fan.levels.map((_, level) => (level * 2 === last ? line('series-a', { width: 1.25 }) : edge())),
        dots('ink', width > 600 ? 4.5 : 3.5),
        dots('bad', width > 600 ? 5.5 : 4.5),
      ],
      bands: Array.from({ length: pairs }, (_, low) => ({
        series: [last - low + 1, low + 1],
        fill: colour('series-a', 0.16 + 0.12 * low),
      })),
      cursor: { points: { show: false } },
    },
    data: [fan.days.map((day) => day * 86400), ...columns, inside, outside],
  });
  const key = Array.from({ length: pairs }, (_, low) => [
    `${Math.round((fan.levels[last - low] - fan.levels[low]) * 100)} % interval`,
    `band b${low}`,
  ]);
  key.push(['median', 'line a'], ['happened', 'dot'], ['happened outside', 'dot out']);
  const label = `Forecasts over ${plural(fan.horizons[h], 'bar')} against what happened. ${fanWords(fan, h, null)}.`;
  return chart({ label, height: 300, build, read: (at) => fanWords(fan, h, at), key });
}

/** Observed shares against levels. */
function calibrationChart({ h, n, levels, model, base }) {
  const told = (at) =>
    at === null
      ? `${plural(n, 'forecast')}; on the diagonal is perfect`
      : `level ${percent(levels[at], 0)}: at or below it fell ${percent(model[at])}${base?.length ? `, baseline ${percent(base[at])}` : ''}`;
  const unit = { range: () => [0, 1] };
  const shares = { values: (_, all) => all.map((one) => percent(one, 0)) };
  const build = () => ({
    options: {
      scales: { x: { time: false, ...unit }, y: unit },
      axes: axes(shares, shares),
      series: [
        {},
        line('muted', { dash: [4, 4], width: 1 }),
        line('series-b', { points: hollow(true, 6) }),
        line('series-a', { points: { show: true, size: 7, fill: colour('series-a') } }),
      ],
    },
    data: [
      [0, ...levels, 1],
      [0, ...levels, 1],
      [null, ...padded(base, levels), null],
      [null, ...model, null],
    ],
  });
  const read = (at) => told(at === null || at < 1 || at > levels.length ? null : at - 1);
  const worst = Math.max(...levels.map((level, at) => Math.abs(model[at] - level)));
  const label =
    `Calibration at ${plural(h, 'bar')}: the share of outcomes at or below each quantile. ` +
    `Largest distance from the diagonal: ${percent(worst)}.`;
  return chart({
    label,
    height: 260,
    build,
    read,
    key: [
      ['model', 'line a'],
      ['baseline', 'line b'],
      ['perfect', 'dash'],
    ],
  });
}

/** Values, or as many nulls as there are places. */
function padded(values, places) {
  return values?.length ? values : places.map(() => null);
}

/** One generation in words. */
function generationWords({ gen, damaged, test, base }) {
  return `generation ${gen}: ${damaged ? `damaged, ${damaged}` : `test loss ${number(test)}, baseline ${number(base)}`}`;
}

/** Test loss and baseline by generation. */
function historyChart(history) {
  const at = history.map((_, index) => index);
  const [test, base] = [history.map((one) => one.test), history.map((one) => one.base)];
  const told = (index) =>
    index === null ? `${plural(history.length, 'generation')} in the store` : generationWords(history[index]);
  const build = () => ({
    options: {
      scales: { x: { time: false, range: () => [-0.5, history.length - 0.5] } },
      axes: axes(
        {
          incrs: [1, 2, 5, 10, 20, 50],
          values: (_, all) => all.map((one) => (history[one] ? `${history[one].gen}` : '')),
        },
        { values: (_, all) => all.map((one) => number(one)) },
      ),
      series: [
        {},
        line('series-b', { points: hollow(true, 6), dash: [5, 4] }),
        line('series-a', { points: { show: true, size: 6, fill: colour('series-a') } }),
      ],
    },
    data: [at, base, test],
  });
  const losses = listed(test.map((one) => number(one)));
  const label = `Test loss of ${plural(history.length, 'generation')}, beside the baseline: ${losses}.`;
  return chart({
    label,
    height: 220,
    build,
    read: told,
    key: [
      ['test loss', 'line a'],
      ['baseline', 'line b dashed'],
    ],
  });
}
