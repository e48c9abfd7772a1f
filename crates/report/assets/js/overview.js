'use strict';
// What is seen first: how the run went, what failed and why, and what it came to.

/** How many failures are shown in full before the table takes over. */
const FAILURES_SHOWN = 12;
/** The states in the order of the bar of outcomes: what is done, well or not, then what is not. */
const BAR_ORDER = [
  'trained',
  'up_to_date',
  'kept',
  'failed',
  'interrupted',
  'skipped',
  'retrying',
  'running',
  'waiting',
  'unbegun',
];
/** States of symbols that have not come to their end. */
const OPEN = ['retrying', 'running', 'waiting'];
const RUN_STATES = {
  running: 'running',
  finished: 'finished',
  interrupted: 'interrupted',
  died: 'died',
  paused: 'paused',
};

/** The bar at the top: name, ways to the sections, state of the connection, choice of runs, light and dark. */
function topBar(page, { nav, theme, choose }) {
  const pick = page.live && page.runs.length ? runPicker(page, choose) : null;
  const status = page.live
    ? el('span', { id: 'live', class: 'pill', role: 'status', data: { live: 'wait' }, text: 'connecting' })
    : null;
  const demo = page.synthetic ? el('span', { class: 'pill demo', text: 'synthetic demo data' }) : null;
  return [
    el('span', { class: 'brand' }, mark(), 'mambafleet'),
    nav,
    el('span', { class: 'gap' }),
    demo,
    status,
    pick,
    theme,
  ].filter(Boolean);
}

/** The product's mark. */
function mark() {
  return svg(
    'svg',
    { viewBox: '0 0 24 24', class: 'mark', 'aria-hidden': 'true' },
    svg('path', { d: 'M3 16c3 0 3-8 6-8s3 8 6 8 3-8 6-8' }),
    svg('circle', { cx: 21, cy: 8, r: 1.6 }),
  );
}

/** What there is to say of a run in two words. */
function runWords(run) {
  return run.state === 'running' ? 'running' : run.failed ? `${run.failed} failed` : `${run.good} good`;
}

/** The list of runs. That which is shown is in it, whatever there is besides. */
function runPicker(page, choose) {
  const { id } = page.run;
  const options = page.runs.map((run) =>
    el('option', { value: run.id, selected: run.id === id, text: `${run.id} · ${runWords(run)}` }),
  );
  if (!page.runs.some((run) => run.id === id))
    options.unshift(el('option', { value: id ?? '', selected: true, disabled: !id, text: id ?? 'Choose a run' }));
  const select = el('select', { id: 'runs', 'aria-label': 'Run', on: { change: () => choose(select.value) } }, options);
  return select;
}

/** Symbols that have come to their end. */
function doneOf({ symbols }) {
  return symbols.filter((row) => !OPEN.includes(row.state)).length;
}

/** The state of the run; `paused` while it runs but does not work. */
function runState({ run, timeline }) {
  const paused = run.state === 'running' && timeline.pauses.some(([, to]) => to === null);
  return paused ? 'paused' : run.state;
}

/** How the run went, in a sentence. */
function verdictWords(page) {
  const { counts, run, symbols } = page;
  const all = symbols.length;
  if (run.state === 'running') {
    const failed = counts.failed ? `, ${counts.failed} failed` : '';
    const paused = runState(page) === 'paused' ? ', paused' : '';
    return `${doneOf(page)} of ${plural(all, 'symbol')} done${failed}${paused}`;
  }
  if (counts.failed) return `${counts.failed} of ${plural(all, 'symbol')} failed`;
  const open = counts.skipped + counts.interrupted + counts.waiting + counts.running;
  if (open) return `${open} of ${plural(all, 'symbol')} ${open === 1 ? 'was' : 'were'} not done`;
  return all ? `All ${plural(all, 'symbol')} good` : 'No symbols';
}

/** `good`, `bad` or `wait`: the colour of the verdict. */
function moodOf({ counts, run }) {
  if (counts.failed || run.state === 'died') return 'bad';
  if (run.state === 'running') return 'wait';
  return counts.skipped || counts.interrupted || run.state === 'interrupted' ? 'warn' : 'good';
}

/** Seconds that the rest may take, from what was done so far; null while too little is known. */
function secondsLeft(page) {
  const { run, timeline } = page;
  const done = doneOf(page);
  if (run.state !== 'running' || done < 3) return null;
  const now = Math.max(page.generated_at, page.live ? Date.now() : 0);
  const paused = timeline.pauses.reduce((sum, [from, to]) => sum + (to ?? now) - from, 0);
  const past = (now - timeline.start - paused) / 1000;
  return (past / done) * (page.symbols.length - done);
}

/** A time that is no more than a guess. */
function roughly(seconds) {
  if (seconds === null) return 'not known yet';
  if (seconds < 60) return 'less than a minute';
  return seconds < 5400 ? `about ${Math.round(seconds / 60)} min` : `about ${(seconds / 3600).toFixed(1)} h`;
}

/** The run's facts below the verdict. */
function runFacts(page) {
  const { run, last_success: success } = page;
  const left = secondsLeft(page);
  const state = runState(page);
  return facts([
    ['State', el('span', { class: 'pill', data: { run: state }, text: RUN_STATES[state] ?? state })],
    ['Started', when(run.started_at)],
    run.state === 'running' ? ['Left', roughly(left)] : ['Took', duration(run.seconds)],
    ['Workers', `${count(run.workers)} × ${plural(run.threads, 'thread')}`],
    run.deadline ? ['Deadline', when(run.deadline)] : [null, null],
    [
      'Last good run',
      success ? el('span', {}, when(success.finished_at), success.run === run.id ? ' (this one)' : '') : 'none',
    ],
  ]);
}

/** What went wrong with the run as a whole, as pairs of kind and text. */
function troublesOf({ run, symbols }) {
  const notes = [];
  if (run.state === 'died')
    notes.push([
      'bad',
      'The run died: its process ended without a word. What was committed stands; train --resume does the rest.',
    ]);
  if (run.signal) notes.push(['warn', `${run.signal} ended the run before it was done; train --resume does the rest.`]);
  const reasons = new Map();
  const open = (row) => (run.state === 'died' ? 'in training when the run died' : STATES[row.state].label);
  const words = {
    skipped: (row) => `${STATES.skipped.label}: ${row.cause ?? 'no reason given'}`,
    interrupted: open,
    unbegun: () => STATES.unbegun.label,
  };
  for (const row of symbols) {
    const reason = words[row.state]?.(row);
    if (reason) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  for (const [reason, many] of reasons) notes.push(['warn', `${plural(many, 'symbol')} ${reason}`]);
  return notes;
}

/** What must be known about the run before its figures are read. */
function remarksOf({ run, synthetic, compare }) {
  const notes = [];
  if (synthetic)
    notes.push(['info', 'Prices are made by the built-in generator: nothing here says anything about a market.']);
  if (run.resumes) notes.push(['info', `It goes on where run ${run.resumes} was left.`]);
  if (compare?.missing.length)
    notes.push(['info', `Not in this run, but in the one before: ${namesOf(compare.missing)}.`]);
  return notes;
}

/** Notes below each other. */
function noteList(notes) {
  return notes.length
    ? el(
        'div',
        { class: 'notes' },
        notes.map(([kind, text]) => el('p', { class: `note ${kind}`, text })),
      )
    : null;
}

/** Names, the first dozen of them. */
function namesOf(names) {
  return names.length > 12 ? `${names.slice(0, 12).join(', ')} and ${names.length - 12} more` : listed(names);
}

/** Counts by state, in the order of the bar. */
function stateCounts(page) {
  const found = new Map(BAR_ORDER.map((state) => [state, 0]));
  for (const row of page.symbols) found.set(row.state, (found.get(row.state) ?? 0) + 1);
  return [...found].filter(([, many]) => many > 0);
}

/** The outcomes as one stacked bar; each part filters the table. */
function outcomeBar(page, filter) {
  const counts = stateCounts(page);
  const bar = el(
    'div',
    { class: 'stack', 'aria-hidden': 'true' },
    counts.map(([state, many]) =>
      el('span', {
        data: { state },
        style: { 'flex-grow': many },
        title: `${many} ${STATES[state].label}`,
        on: { click: () => filter(state) },
      }),
    ),
  );
  const parts = counts.map(([state, many]) =>
    button(
      {
        class: 'part',
        data: { state },
        title: 'Show in the table',
        on: { click: () => filter(state) },
      },
      icon(state),
      el('b', { text: count(many) }),
      ` ${STATES[state].label}`,
    ),
  );
  return el(
    'div',
    { class: 'outcomes' },
    bar,
    el('div', { class: 'parts', role: 'group', 'aria-label': 'Outcomes; each filters the table' }, parts),
  );
}

/** The top of the page: the verdict, facts, outcomes, notes. */
function hero(page, filter) {
  const heading = el(
    'h1',
    { class: moodOf(page) },
    el('span', { class: 'eyebrow' }, `Run ${page.run.id}`),
    el('span', { class: 'sr', text: ': ' }),
    verdictWords(page),
  );
  return el(
    'section',
    { class: 'panel hero', 'aria-label': 'How the run went' },
    heading,
    runFacts(page),
    outcomeBar(page, filter),
    noteList(troublesOf(page)),
  );
}

/** What the run came to, in figures. */
function glance(page, filter) {
  return el(
    'section',
    { class: 'panel', 'aria-label': 'The run in figures' },
    tiles(page, filter),
    noteList(remarksOf(page)),
    facts([
      ['Store', el('code', { text: page.run.store })],
      ['Record', el('code', { text: page.run.record })],
    ]),
  );
}

/** Figures of the whole run; some filter the table. */
function tiles(page, filter) {
  const rows = page.symbols.filter(isCurrent);
  const skills = rows
    .map(skillOf)
    .filter(isNumber)
    .sort((a, b) => a - b);
  const ahead = skills.filter((one) => one > 0).length;
  const median = skills.length ? (skills[(skills.length - 1) >> 1] + skills[skills.length >> 1]) / 2 : null;
  const worse = rows.filter(QUESTIONS.worse.test).length;
  const better = rows.filter((row) => verdictOf(changeOf(row), false) === 'good').length;
  const retried = page.symbols.filter(QUESTIONS.retried.test).length;
  const most = rangeOf(page.symbols.map((row) => row.memory))?.[1] ?? page.time?.worker_memory;
  const locks = page.symbols.reduce((sum, row) => sum + (row.lock ?? 0), 0);
  return el(
    'ul',
    { class: 'tiles' },
    tile(
      'Better than the baseline',
      skills.length ? `${ahead} of ${skills.length}` : DASH,
      median === null ? '' : `median skill ${percent(median, 1, true)}`,
    ),
    tile(
      'Worse than last generation',
      count(worse),
      better ? `${count(better)} better` : '',
      worse ? () => filter('worse') : null,
    ),
    tile(
      'Retried',
      count(retried),
      retried ? 'needed more than one attempt' : 'all at the first attempt',
      retried ? () => filter('retried') : null,
    ),
    tile('Waited for locks', duration(locks), 'all symbols together'),
    tile('Most memory', bytes(most), 'of one worker'),
  );
}

/** One figure with what it is. */
function tile(title, value, more, act = null) {
  const inner = [
    el('span', { class: 'tile-title', text: title }),
    el('b', { text: value }),
    el('small', { text: more }),
  ];
  return el('li', {}, act ? button({ class: 'tile', on: { click: act } }, inner) : el('div', { class: 'tile' }, inner));
}

/** What failed and why; null if nothing did. */
function failures(page, filter) {
  const failed = page.symbols.filter((row) => row.state === 'failed');
  if (!failed.length) return null;
  const kinds = new Map();
  for (const row of failed) kinds.set(row.kind ?? 'unknown', (kinds.get(row.kind ?? 'unknown') ?? 0) + 1);
  const words = [...kinds]
    .sort((a, b) => b[1] - a[1])
    .map(([kind, many]) => `${many} × ${kind.replaceAll('_', ' ')}`)
    .join(' · ');
  const rest = failed.length - FAILURES_SHOWN;
  const list = el('ol', { class: 'failures' }, failed.slice(0, FAILURES_SHOWN).map(failure));
  const more =
    rest > 0
      ? el('p', {}, button({ on: { click: () => filter('failed') } }, `${plural(rest, 'more failure')} in the table`))
      : null;
  return section('failures', 'What went wrong', el('p', { class: 'dim', text: words }), list, more);
}

/** One failed symbol: its cause, what to do, where its log lies. */
function failure(row) {
  const head = el(
    'div',
    { class: 'failure-head' },
    icon('failed'),
    el('a', { href: `#${encodeURIComponent(row.s)}`, class: 'sym', text: row.s }),
    row.kind ? el('span', { class: 'kind', text: row.kind.replaceAll('_', ' ') }) : null,
    el(
      'span',
      { class: 'dim' },
      plural(row.attempts, 'attempt'),
      row.last_success ? [', last good ', when(row.last_success)] : ', never good before',
    ),
  );
  return el(
    'li',
    {},
    head,
    el('p', { class: 'cause', text: row.cause ?? 'no cause given' }),
    row.hint ? el('p', { class: 'hint' }, el('b', { text: 'What to do: ' }), row.hint) : null,
    row.log ? el('p', { class: 'log' }, 'Log: ', el('code', { text: row.log })) : null,
  );
}

/** Where the time of the workers went. */
function timeSection(page) {
  const { time } = page;
  if (!time || !time.stages.length) return null;
  const all = time.stages.reduce((sum, [, wall]) => sum + wall, 0) + (time.idle ?? 0);
  const rows = [...time.stages.map(([name, wall, cpu], at) => [name.replaceAll('_', ' '), wall, cpu, at % 8])];
  if (isNumber(time.idle)) rows.push(['idle', time.idle, null, 'idle']);
  const bar = el(
    'div',
    {
      class: 'stack',
      role: 'img',
      'aria-label': rows.map(([name, wall]) => `${name} ${percent(wall / all, 0)}`).join(', '),
    },
    rows.map(([name, wall, , hue]) =>
      el('span', {
        class: `hue-${hue}`,
        style: { 'flex-grow': Math.max(wall, all / 2000) },
        title: `${name} ${duration(wall)}`,
      }),
    ),
  );
  const cells = rows.map(([name, wall, cpu, hue]) => [
    el('span', {}, el('i', { class: `key hue-${hue}` }), name),
    duration(wall),
    percent(wall / all),
    duration(cpu),
  ]);
  const extra = [['Orchestrator', `${duration(time.orchestrator_cpu)} of CPU`]];
  if (isNumber(time.worker_memory)) extra.push(['Most memory of a worker', bytes(time.worker_memory)]);
  return section(
    'time',
    'Where the time went',
    bar,
    table('Time by stage', ['Stage', 'Wall', 'Share', 'CPU'], cells, { numeric: [1, 2, 3] }),
    facts(extra),
  );
}
