// A report that the tests make themselves, from a seed: good symbols, failures, retries, damaged
// generations, and text that tries to break out of where it is put.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeDetail } from './details.mjs';
import { EVIL, HORIZONS, START, normal, numbers, round } from './numbers.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
export const ASSETS = join(HERE, '../../crates/report/assets');
/** The scripts in the order in which they need each other. */
export const SCRIPTS = ['base', 'charts', 'timeline', 'table', 'overview', 'results', 'symbol', 'live', 'app'];
const NAMES = 'AAPL MSFT NVDA AMZN GOOGL META BRK.B LLY AVGO TSLA JPM UNH XOM V PG MA COST JNJ HD MRK'.split(' ');

function nameOf(at, random) {
  if (at < NAMES.length) return NAMES[at];
  const letter = () => String.fromCharCode(65 + Math.floor(random() * 26));
  return `${letter()}${letter()}${letter()}${at}`;
}

const FAILURES = [
  [
    'data',
    'line 4112 of prices/NVDA.csv: the close is not a number: "n/a"',
    'mend the line, or set policy.bad_rows = "drop"',
  ],
  ['diverged', `the loss became NaN in epoch 7 ${EVIL}`, 'a lower learning rate: --learning-rate 0.0005'],
  [
    'out_of_memory',
    'the system killed the worker for want of memory: 4.1 GB at the last look',
    'fewer workers (--parallel) or a smaller batch',
  ],
  ['timed_out', 'the attempt took longer than 600 s', null],
];

const STATES = (at) => {
  if ([2, 9, 31, 44].includes(at % 50)) return 'failed';
  if (at % 50 === 17 || at % 50 === 18) return 'skipped';
  if (at % 50 === 23) return 'kept';
  if (at % 9 === 4) return 'up_to_date';
  return 'trained';
};

function rowOf(at, random) {
  const state = STATES(at);
  const epochs = 12 + Math.floor(random() * 28);
  const spark = Array.from({ length: Math.min(40, epochs) }, (_, e) =>
    round(0.22 + 0.25 * Math.exp(-e / 6) + 0.012 * normal(random) + 0.0004 * e),
  );
  const base = round(0.25 + 0.06 * random());
  const test = round(base * (0.97 + 0.05 * normal(random) * 0.4));
  const row = {
    s: nameOf(at, random),
    state,
    gen: 3 + (at % 5),
    attempts: 1,
    worker: 1 + (at % 10),
    seconds: round(8 + 30 * random()),
    epoch: epochs,
    epochs,
    train: round(spark.at(-1) * 0.94),
    val: spark.at(-1),
    first: spark[0],
    best: Math.min(...spark),
    test,
    base,
    prev: at % 7 === 6 ? null : { gen: 2 + (at % 5), test: round(test * (1 + 0.03 * normal(random))), base },
    spark,
    rate: round(4000 + 3000 * random()),
    memory: Math.round(2e8 + 2e8 * random()),
    lock: round(random() < 0.1 ? 1 + 2 * random() : 0.002 * random()),
    bytes: 184320,
    kind: null,
    cause: null,
    hint: null,
    log: null,
    last_success: START - 86400000,
    notes: at % 6 === 0 ? 2 : 0,
  };
  return { ...row, ...special(row, at) };
}

/** What is different for a symbol that was not simply trained. */
function special(row, at) {
  const none = { epoch: null, train: null, val: null, rate: null, spark: [], first: null, best: null };
  if (row.state === 'failed') {
    const [kind, cause, hint] = FAILURES[(at >> 1) % FAILURES.length];
    return {
      ...none,
      attempts: kind === 'data' ? 1 : 3,
      kind,
      cause,
      hint,
      log: `/srv/store/runs/20261128-230004/logs/${row.s}.${kind === 'data' ? 1 : 3}.log`,
      bytes: null,
      spark: kind === 'diverged' ? [0.4, 0.38, 0.41, 0.9] : [],
      last_success: at % 3 ? row.last_success : null,
    };
  }
  if (row.state === 'skipped')
    return {
      ...none,
      attempts: 0,
      seconds: null,
      memory: null,
      lock: null,
      bytes: null,
      worker: null,
      cause: 'the deadline of 23:04:00 left no time for it',
    };
  if (row.state === 'up_to_date') return { ...none, seconds: round(0.2 + 0.1 * (at % 3)), bytes: null };
  if (row.state === 'kept')
    return { cause: 'the new model is worse than the one in use: 0.2831 against 0.2764', bytes: null };
  return at % 11 === 5 ? { attempts: 2 } : {};
}

function timelineOf(symbols, workers) {
  const free = Array.from({ length: workers }, () => START + 300);
  const lanes = free.map((from, at) => ({
    worker: at + 1,
    pid: 4000 + at,
    started: from - 250,
    ended: null,
    lost: null,
    spans: [],
  }));
  const retries = [];
  symbols.forEach((row, i) => {
    for (let attempt = 1; attempt <= row.attempts; attempt += 1) {
      const lane = free.indexOf(Math.min(...free));
      const last = attempt === row.attempts;
      const state = { failed: 'failed', up_to_date: 'up_to_date' }[row.state] ?? 'ok';
      const from = free[lane] + 40;
      const to = from + Math.round(1000 * (row.seconds ?? 1) * (last ? 1 : 0.3));
      lanes[lane].spans.push({
        i,
        attempt,
        from,
        to,
        state: last ? state : row.kind === 'out_of_memory' ? 'lost' : 'failed',
        cause: last ? row.cause : `attempt ${attempt} broke ${EVIL}`,
        lock: row.lock ?? 0,
      });
      if (!last) retries.push({ i, attempt: attempt + 1, at: to, until: to + 2000 * attempt });
      free[lane] = to + (i % 13 === 0 ? 2500 : 0);
    }
  });
  lanes.forEach((lane, at) => {
    lane.ended = free[at] + 60;
  });
  const end = Math.max(...lanes.map((lane) => lane.ended));
  lanes[3 % workers].lost = 'killed by signal 9';
  return {
    start: START,
    end,
    lanes,
    retries,
    pauses: [[START + Math.round((end - START) * 0.4), START + Math.round((end - START) * 0.42)]],
  };
}

const around = (middle, spread) => ({
  symbols: 40,
  mean: middle,
  median: middle,
  min: round(middle - spread),
  max: round(middle + spread),
});

function evaluationOf(symbols) {
  const forecast = (of, quality) => ({
    of,
    rmse: around(0.0184 + quality, 0.006),
    mae: around(0.0131 + quality, 0.004),
    mase: around(0.71, 0.05),
    skill_against_zero: around(-quality, 0.01),
    directional_accuracy: around(0.512, 0.03),
    always_up: around(0.525, 0.02),
    ic: around(0.02, 0.05),
    ic_t: around(0.5, 1.5),
    pearson: around(0.01, 0.04),
    pinball: ['ridge', 'zero', 'train_mean'].includes(of) ? null : around(0.27, 0.03),
    coverage: around(0.893, 0.03),
  });
  const horizons = HORIZONS.map((horizon, at) => ({
    horizon,
    nominal_coverage: around(0.9, 0),
    pinball_skill: around(0.012 - 0.011 * at, 0.03),
    location: around(0.1, 0.1),
    point_forecasts: 7 - at,
    spread: around(0.9, 0.1),
    cross_section: { days: 240, ic: 0.013, t: at === 2 ? null : 0.84 },
    forecasts: ['model', 'raw', 'zero', 'train_mean', 'ridge', 'ewma_quantiles'].map((of, q) => forecast(of, q * 1e-4)),
    comparisons: [
      { of: 'model', against: 'ewma_quantiles', loss: 'pinball', symbols: 40, better: 9 - 3 * at, worse: at },
      { of: 'model', against: 'zero', loss: 'squared_error', symbols: 40, better: 0, worse: 0 },
    ],
  }));
  return {
    schema: 1,
    symbols: symbols.filter((row) => row.state !== 'skipped').map((row) => ({ symbol: row.s, generation: row.gen })),
    horizons,
  };
}

/** The page of a run of `many` symbols. */
export function makePage(many, seed = 7) {
  const random = numbers(seed);
  const symbols = Array.from({ length: many }, (_, at) => rowOf(at, random));
  const timeline = timelineOf(symbols, Math.min(10, many));
  const tally = (state) => symbols.filter((row) => row.state === state).length;
  const counts = {
    trained: tally('trained'),
    up_to_date: tally('up_to_date'),
    kept: tally('kept'),
    failed: tally('failed'),
    skipped: tally('skipped'),
    interrupted: 0,
    running: 0,
    waiting: 0,
  };
  const rows = symbols.flatMap((row, i) =>
    row.prev && i % 25 !== 3
      ? [
          {
            i,
            outcome: i % 50 === 9 ? 'failed' : i % 50 === 12 ? 'skipped' : 'trained',
            gen: row.prev.gen,
            test: row.prev.test,
            skill: round(1 - row.prev.test / row.base),
            seconds: row.seconds,
          },
        ]
      : [],
  );
  const run = {
    id: '20261128-230004',
    state: 'finished',
    started_at: START,
    finished_at: timeline.end,
    seconds: round((timeline.end - START) / 1000),
    workers: 10,
    threads: 1,
    deadline: START + 4 * 60000,
    signal: null,
    resumes: null,
    store: '/srv/store',
    record: '/srv/store/runs/20261128-230004',
  };
  const busy = symbols.reduce((sum, row) => sum + (row.seconds ?? 0), 0);
  const stages = [
    ['load', 0.02],
    ['prepare', 0.03],
    ['search', 0.08],
    ['train', 0.75],
    ['evaluate', 0.07],
    ['commit', 0.05],
  ].map(([name, share]) => [name, round(busy * share), round(busy * share * 0.97)]);
  return {
    schema: 1,
    generated_at: timeline.end + 900,
    program: 'mambafleet 0.1.0',
    synthetic: true,
    live: false,
    run,
    counts,
    time: { stages, idle: round(busy * 0.06), orchestrator_cpu: 0.81, worker_memory: 412000000 },
    last_success: { run: '20261127-230003', finished_at: START - 86100000 },
    symbols,
    timeline,
    compare: {
      run: '20261127-230003',
      started_at: START - 86400000,
      missing: ['OLD1', 'OLD2'],
      added: symbols.filter((_, i) => i % 25 === 3).map((row) => row.s),
      rows,
    },
    evaluation: evaluationOf(symbols),
    runs: [
      {
        id: run.id,
        started_at: START,
        state: 'finished',
        symbols: many,
        good: many - counts.failed - counts.skipped,
        failed: counts.failed,
        seconds: run.seconds,
      },
    ],
  };
}

/** A run that died before it had done anything; its one symbol is a series. */
export function barePage() {
  const page = makePage(1);
  const bare = {
    gen: null,
    attempts: 0,
    worker: null,
    seconds: null,
    epoch: null,
    epochs: null,
    train: null,
    val: null,
    first: null,
    best: null,
    test: null,
    base: null,
    prev: null,
    spark: [],
    rate: null,
    memory: null,
    lock: null,
    bytes: null,
    last_success: null,
  };
  Object.assign(page.symbols[0], bare, { state: 'waiting' });
  Object.assign(page, {
    time: null,
    last_success: null,
    compare: null,
    evaluation: null,
    synthetic: false,
    runs: [],
  });
  Object.assign(page.run, { state: 'died', finished_at: null, deadline: null });
  Object.assign(page.counts, { trained: 0, waiting: 1 });
  page.timeline = { start: START, end: null, lanes: [], retries: [], pauses: [] };
  return page;
}

const asset = (name) => readFileSync(join(ASSETS, name), 'utf8');

/** The application's script, whole. */
export const script = () => SCRIPTS.map((name) => asset(`js/${name}.js`)).join('\n');
export const uplotScript = () => asset('vendor/uplot/uPlot.iife.min.js');
export const uplotStyle = () => asset('vendor/uplot/uPlot.min.css');
export { asset };

/** A report in one file, put together as the program does it. */
export function makeReport(page, detail = makeDetail) {
  const json = (id, value) =>
    `<script type="application/json" id="${id}">${JSON.stringify(value).replaceAll('</', '<\\/').replaceAll('<!--', '<\\u0021--')}</script>`;
  const data = [json('page', page), ...page.symbols.map((_, at) => json(`d-${at}`, detail(page, at)))].join('\n');
  const parts = {
    STYLE: `<style>${uplotStyle()}\n${asset('app.css')}</style>`,
    DATA: data,
    SCRIPT: `<script>${uplotScript()}</script>\n<script>${script()}</script>`,
  };
  return asset('index.html').replace(/<!--(STYLE|DATA|SCRIPT)-->/g, (_, name) => parts[name]);
}
