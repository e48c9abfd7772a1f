'use strict';
// The section of one symbol: curves, forecasts, calibration, metrics, history, where it comes from.

/** Builds the view of a symbol. `go` leads to the symbol before, after, or back to all. */
function symbolView({ page, index, detail, place, go, horizon, choose }) {
  const row = page.symbols[index];
  const bodies = detail
    ? symbolParts({ page, row, detail, horizon, choose })
    : [el('p', { class: 'panel dim', text: 'Nothing more is known of it yet.' })];
  return [
    symbolHead(row, page.run.id, place, go),
    trouble(row),
    whoseFigures(row, detail, page.run),
    el('section', { class: 'panel', 'aria-label': 'At a glance' }, verdictLine(row), symbolFacts(row, detail)),
    ...bodies,
  ].filter(Boolean);
}

/** Name, state, and the way to other symbols. */
function symbolHead(row, run, [at, all], go) {
  const way = (label, by, key) =>
    button(
      {
        title: `${label} (${key})`,
        'aria-keyshortcuts': key,
        disabled: by < 0 ? at <= 0 : at < 0 || at >= all - 1,
        on: { click: () => go(by) },
      },
      label,
    );
  const where = at >= 0 ? el('span', { class: 'dim', text: `${at + 1} of ${all}` }) : null;
  return el(
    'div',
    { class: 'symbol-head' },
    button(
      {
        class: 'back controls',
        'aria-keyshortcuts': 'Escape',
        title: 'All symbols (Escape)',
        on: { click: () => go(0) },
      },
      '← All symbols',
    ),
    el(
      'h1',
      { id: 'symbol-title', tabindex: '-1' },
      el('span', { class: 'eyebrow', text: `Run ${run}` }),
      el('span', { class: 'sr', text: ': ' }),
      row.s,
    ),
    badge(row.state),
    el('span', { class: 'gap' }),
    where,
    el('span', { class: 'pair controls' }, way('Previous', -1, 'k'), way('Next', 1, 'j')),
  );
}

/** Cause, hint and log of a symbol that did not get what it was to get. */
function trouble(row) {
  if (!row.cause) return null;
  const kind = ['failed', 'interrupted'].includes(row.state) ? 'bad' : 'warn';
  return el(
    'section',
    { class: `panel trouble ${kind}`, 'aria-label': 'What happened' },
    row.kind ? el('span', { class: 'kind', text: row.kind.replaceAll('_', ' ') }) : null,
    el('p', { class: 'cause', text: row.cause }),
    row.hint ? el('p', { class: 'hint' }, el('b', { text: 'What to do: ' }), row.hint) : null,
    row.log ? el('p', { class: 'log' }, 'Log: ', el('code', { text: row.log })) : null,
  );
}

/** Says so where the figures are not this run's but those of a generation that was there before. */
function whoseFigures(row, detail, run) {
  const generation = detail?.gen ?? row.gen;
  if (isCurrent(row) || !isNumber(generation)) return null;
  const open = run.state === 'running' && OPEN.includes(row.state);
  const why = open ? 'which is in use until this run commits another' : 'for this run committed no other';
  return el(
    'p',
    { class: 'panel note warn whose' },
    'Everything below is ',
    el('b', { text: `generation ${generation}` }),
    `, ${why}. Only attempts, log, time, memory and speed are this run’s.`,
  );
}

/** The symbol in a sentence. */
function verdictLine(row) {
  const [skill, change] = [skillOf(row), changeOf(row)];
  const parts = [];
  const subject =
    isCurrent(row) || row.gen === null
      ? 'The test loss is '
      : `Still in use is generation ${row.gen}: its test loss is `;
  if (skill !== null)
    parts.push(
      el(
        'span',
        {},
        subject,
        el('b', { class: verdictOf(skill, true), text: percent(Math.abs(skill)) }),
        skill >= 0 ? ' below the baseline' : ' above the baseline',
      ),
    );
  if (change !== null) {
    const same = verdictOf(change, false) === null;
    parts.push(
      el(
        'span',
        {},
        same
          ? 'as good as the generation before'
          : [
              el('b', { class: verdictOf(change, false), text: percent(Math.abs(change)) }),
              change > 0 ? ' worse than the generation before' : ' better than the generation before',
            ],
      ),
    );
  }
  return parts.length
    ? el(
        'p',
        { class: 'lead' },
        parts.flatMap((part, at) => (at ? [', ', part] : [part])),
        '.',
      )
    : null;
}

/** The symbol's figures. */
function symbolFacts(row, detail) {
  const best = detail?.curves.best;
  return facts([
    [
      'Generation',
      row.gen === null
        ? DASH
        : el('span', {}, `${row.gen}`, detail?.created_at ? [', ', when(detail.created_at)] : null),
    ],
    ['Test loss', number(row.test)],
    ['Baseline', number(row.base)],
    ['Skill', percent(skillOf(row), 1, true)],
    ['Before', row.prev ? `${number(row.prev.test)} (generation ${row.prev.gen})` : 'first generation'],
    [
      'Best epoch',
      best ? `${best} of ${detail.curves.val.length}` : row.epoch ? `epoch ${row.epoch} of ${row.epochs ?? '?'}` : null,
    ],
    ['Time', duration(row.seconds)],
    ['Attempts', count(row.attempts)],
    ['Memory', bytes(row.memory)],
    isNumber(row.rate) ? ['Speed', `${count(Math.round(row.rate))} samples/s`] : ['', null],
    isNumber(row.lock) ? ['Lock wait', duration(row.lock)] : ['', null],
    isNumber(row.bytes) ? ['Written', bytes(row.bytes)] : ['', null],
  ]);
}

/** Everything that is in the detail. */
function symbolParts({ page, row, detail, horizon, choose }) {
  const curves =
    detail.curves.val.length || detail.curves.train.length
      ? panel('Learning curves', curvesChart(detail.curves))
      : null;
  const history = detail.history.length
    ? panel(
        'Over generations',
        historyWords(detail.history),
        detail.history.length > 1 ? historyChart(detail.history) : null,
        historyTable(detail.history),
      )
    : null;
  return [
    el('div', { class: 'two' }, curves, history),
    forecasts(detail, horizon, choose),
    seriesPart(detail),
    qualityPart(detail, row),
    el('div', { class: 'two' }, attemptsPart(detail, page), provenancePart(detail)),
    logPart(detail),
  ];
}

/** A part with its heading. */
function panel(title, ...children) {
  return el('section', { class: 'panel', 'aria-label': title }, el('h2', { text: title }), ...children);
}

/** The horizons that anything is known of. */
function horizonsOf({ fan, calibration, metrics }) {
  const all = [...(fan?.horizons ?? []), ...calibration.map((one) => one.h), ...metrics.map((one) => one.h)];
  return [...new Set(all)].sort((a, b) => a - b);
}

/** Forecasts on the test window: fan, calibration, metrics, one horizon at a time. */
function forecasts(detail, wished, choose) {
  const horizons = horizonsOf(detail);
  if (!horizons.length) return null;
  const charts = el('div', {});
  const metrics = metricTables(detail, horizons);
  const show = (h) => {
    choose(h);
    for (const one of switches.children) one.setAttribute('aria-pressed', String(one.dataset.h === String(h)));
    charts.replaceChildren(...forecastCharts(detail, h));
    for (const one of metrics) one.dataset.chosen = String(one.dataset.h === String(h));
  };
  const switches = el(
    'span',
    { class: 'pair', role: 'group', 'aria-label': 'Horizon' },
    horizons.map((h) => button({ data: { h }, on: { click: () => show(h) } }, plural(h, 'bar'))),
  );
  const node = panel(
    'Forecasts on the test window',
    el('div', { class: 'tools controls' }, el('span', { class: 'dim', text: 'Horizon' }), switches),
    charts,
    el('h3', { text: 'Beside the baselines' }),
    metrics,
  );
  show(horizons.includes(wished) ? wished : horizons[0]);
  return node;
}

/** The fan and the calibration of a horizon. */
function forecastCharts({ fan, calibration }, h) {
  const at = fan ? fan.horizons.indexOf(h) : -1;
  const found = calibration.find((one) => one.h === h);
  const thinned =
    fan && fan.samples > fan.days.length
      ? el('p', {
          class: 'dim',
          text: `${count(fan.days.length)} of ${count(fan.samples)} test days are drawn.`,
        })
      : null;
  const first =
    at >= 0 && fan.days.length
      ? el(
          'div',
          { class: 'wide' },
          el('h3', { text: 'Forecast and what happened, in % of return' }),
          fanChart(fan, at),
          thinned,
        )
      : null;
  const second = found?.levels.length
    ? el('div', {}, el('h3', { text: 'Calibration' }), calibrationChart(found))
    : null;
  return [el('div', { class: 'fan-and-calibration' }, first, second)];
}

/** A table of metrics for each horizon; the best of each column is in bold. */
function metricTables({ metrics }, horizons) {
  const columns = [
    ['Pinball', 'pinball', 4, -1],
    ['Coverage', 'coverage', null, 0],
    ['RMSE', 'rmse', 5, -1],
    ['MAE', 'mae', 5, -1],
    ['MASE', 'mase', 3, -1],
    ['Skill over no change', 'skill', null, 1],
    ['Direction', 'direction', null, 1],
    ['Always up', 'up', null, 0],
    ['IC', 'ic', 3, 1],
  ];
  return horizons.map((h) => {
    const rows = metrics.filter((one) => one.h === h);
    const cells = rows.map((one) => [
      CONTENDERS[one.of] ?? one.of,
      ...columns.map((column) => metricCell(one, column, rows)),
    ]);
    const nominal = rows.find((one) => isNumber(one.nominal))?.nominal;
    const note = isNumber(nominal)
      ? el('p', {
          class: 'dim',
          text:
            `Coverage: the share of outcomes inside the widest interval; ${percent(nominal, 0)} would be right. ` +
            'MASE: MAE by that of no change in training. IC: rank correlation of forecast and outcome. Bold: the best of a column.',
        })
      : null;
    return el(
      'div',
      { class: 'of-horizon', data: { h } },
      el('h4', { text: `Horizon of ${plural(h, 'bar')}` }),
      table(`Metrics at ${plural(h, 'bar')}`, ['Forecast', ...columns.map(([title]) => title)], cells, {
        numeric: columns.map((_, at) => at + 1),
      }),
      note,
    );
  });
}

/** One metric of one forecast. */
function metricCell(one, [, key, decimals, way], rows) {
  const value = one[key];
  const text = decimals === null ? percent(value, key === 'skill' ? 2 : 1, key === 'skill') : fixed(value, decimals);
  const all = rows.map((row) => row[key]).filter(isNumber);
  const best = way && all.length > 1 && isNumber(value) && value === (way > 0 ? Math.max(...all) : Math.min(...all));
  return best ? el('b', { text }) : text;
}

/** Headline metrics of a series task. */
function seriesPart({ series }) {
  return series?.length
    ? panel(
        'Metrics',
        facts(
          series.map(([name, value]) => [
            name.replaceAll('_', ' '),
            isNumber(value) ? number(value) : String(value ?? DASH),
          ]),
        ),
      )
    : null;
}

/** Whether the symbol gets better or worse, in a sentence. */
function historyWords(history) {
  const sound = history.filter((one) => isNumber(one.test) && !one.damaged);
  if (sound.length < 2)
    return el('p', {
      class: 'dim',
      text: sound.length ? 'There is one generation so far.' : 'No generation can be read.',
    });
  const [before, now] = sound.slice(-2);
  const change = (now.test - before.test) / Math.abs(before.test);
  const best = sound.reduce((found, one) => (one.test < found.test ? one : found));
  const word =
    verdictOf(change, false) === null
      ? 'As good as the generation before'
      : `${change > 0 ? 'Worse' : 'Better'} than the generation before by ${percent(Math.abs(change))}`;
  const record = best === now ? 'the best so far' : `the best was generation ${best.gen} with ${number(best.test)}`;
  return el('p', { class: verdictOf(change, false), text: `${word}; ${record}.` });
}

/** Every generation in a table behind a fold; those that are damaged are told at once. */
function historyTable(history) {
  const damaged = history.filter((one) => one.damaged);
  const warn = damaged.length
    ? el('p', {
        class: 'note bad',
        text: damaged.map((one) => `Generation ${one.gen} is damaged: ${one.damaged}`).join('; '),
      })
    : null;
  const rows = [...history]
    .reverse()
    .map((one) => [
      `${one.gen}`,
      when(one.created_at),
      fixed(one.val),
      fixed(one.test),
      fixed(one.base),
      duration(one.seconds),
      [one.damaged ? 'damaged' : '', one.from ? `restored from ${one.from}` : '', one.run ?? '']
        .filter(Boolean)
        .join(', '),
    ]);
  const whole = table('Generations', ['Gen.', 'Written', 'Validation', 'Test', 'Baseline', 'Time', 'Note'], rows, {
    numeric: [2, 3, 4, 5],
  });
  return [warn, el('details', { class: 'more' }, el('summary', { text: plural(history.length, 'generation') }), whole)];
}

/** What was found in the symbol's data. */
function qualityPart({ quality }) {
  return quality.length
    ? panel(
        'Data quality',
        el(
          'ul',
          { class: 'plain-list' },
          quality.map((text) => el('li', { text })),
        ),
      )
    : null;
}

/** Where the model comes from. */
function provenancePart({ provenance }) {
  return provenance.length
    ? panel(
        'Provenance',
        facts(
          provenance.map(([name, value]) => [name.replaceAll('_', ' '), el('code', { text: String(value ?? DASH) })]),
          { class: 'facts stacked' },
        ),
      )
    : null;
}

/** How an attempt ended; `open` is what is said of one that has not. */
function endOf({ to, kind, cause }, open) {
  if (cause) return el('span', { class: 'bad' }, kind ? `${kind.replaceAll('_', ' ')}: ` : '', cause);
  return to ? 'ended well' : open;
}

/** Every attempt of this run. */
function attemptsPart({ attempts }, { run }) {
  if (!attempts.length) return null;
  const open = run.state === 'running' ? 'running' : 'cut off with the run';
  const rows = attempts.map((one) => [
    `${one.attempt}`,
    `${one.worker ?? DASH}`,
    clock(one.from),
    one.to ? duration((one.to - one.from) / 1000) : DASH,
    endOf(one, open),
    el('code', { text: one.log ?? '' }),
  ]);
  return panel(
    'Attempts',
    table('Attempts of this run', ['Attempt', 'Worker', 'Began', 'Took', 'Ended', 'Log'], rows, {
      numeric: [1, 3],
    }),
  );
}

/** The last lines of the log. */
function logPart({ log }) {
  if (!log) return null;
  const text = el('pre', {
    tabindex: '0',
    role: 'region',
    'aria-label': `Last lines of ${log.file}`,
    text: log.text,
  });
  return panel('Log', el('p', { class: 'dim' }, 'The last lines of ', el('code', { text: log.file })), text);
}
