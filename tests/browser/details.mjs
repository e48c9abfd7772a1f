// The details of the symbols of a made-up page: forecasts, calibration, metrics, history, logs.
import { EVIL, HORIZONS, LEVELS, START, normal, numbers, round } from './numbers.mjs';

function fanOf(random, samples) {
  const days = Array.from({ length: samples }, (_, at) => 20100 + Math.floor(at * 1.45));
  const quantiles = [-1.64, -0.67, 0, 0.67, 1.64];
  const volatility = days.map((_, at) => 1.3 + 0.6 * Math.sin(at / 31) + 0.15 * normal(random));
  const q = HORIZONS.map((h) =>
    volatility.map((sigma) => quantiles.map((z) => round(Math.max(0.2, sigma) * Math.sqrt(h) * z + 0.03 * h))),
  );
  const y = HORIZONS.map((h) =>
    volatility.map((sigma) => round(Math.max(0.2, sigma) * Math.sqrt(h) * normal(random) * 1.05)),
  );
  return { days, horizons: HORIZONS, levels: LEVELS, samples: samples * 2, q, y };
}

function metricsOf(random) {
  const of = ['model', 'raw', 'zero', 'train_mean', 'ridge', 'ewma_quantiles'];
  return HORIZONS.flatMap((h) =>
    of.map((name) => {
      const quantiles = ['model', 'raw', 'ewma_quantiles'].includes(name);
      return {
        h,
        of: name,
        pinball: quantiles ? round(0.27 + 0.01 * random()) : null,
        coverage: quantiles ? round(0.88 + 0.03 * random()) : null,
        nominal: quantiles ? 0.9 : null,
        rmse: round(0.018 * Math.sqrt(h) + 1e-4 * random()),
        mae: round(0.013 * Math.sqrt(h) + 1e-4 * random()),
        mase: round(0.7 + 0.02 * random()),
        skill: name === 'zero' ? null : round(0.01 * normal(random)),
        direction: name === 'zero' ? null : round(0.5 + 0.02 * normal(random)),
        up: 0.527,
        ic: name === 'zero' ? null : round(0.03 * normal(random)),
      };
    }),
  );
}

function historyOf(row, random) {
  return Array.from({ length: row.gen ?? 0 }, (_, at) => {
    const last = at + 1 === row.gen;
    const before = row.prev?.gen === at + 1;
    const damaged = row.s === 'MSFT' && at === 1 ? `weights.safetensors: 12 of 40960 bytes differ ${EVIL}` : null;
    return {
      gen: at + 1,
      created_at: START - 86400000 * (row.gen - at - 1),
      val: round(row.base * 0.9),
      test: damaged ? null : last ? row.test : before ? row.prev.test : round(row.base * (1 + 0.02 * normal(random))),
      base: damaged ? null : row.base,
      seconds: 21.3,
      from: at === 2 ? 1 : null,
      damaged,
      run: `202611${27 - at}-230003`,
    };
  });
}

function logOf(row) {
  const lines = Array.from(
    { length: 60 },
    (_, at) =>
      `2026-11-28T23:0${at % 10}:04.${100 + at}Z  INFO train{symbol=${row.s} attempt=${row.attempts}}: epoch ${at} loss 0.31${at} val 0.29${at} 5120 samples/s`,
  );
  if (row.cause) lines.push(`ERROR ${row.cause}`, EVIL);
  return { file: `${row.s}.${row.attempts}.log`, text: lines.join('\n') };
}

/** A symbol of which nothing is known. */
export function emptyDetail(s) {
  const none = {
    gen: null,
    created_at: null,
    curves: { train: [], val: [], best: null },
    fan: null,
    calibration: [],
    metrics: [],
    series: null,
  };
  return { s, ...none, history: [], quality: [], provenance: [], attempts: [], log: null };
}

/** The details of a symbol of a page. */
export function makeDetail(page, index, samples = 250) {
  const row = page.symbols[index];
  const random = numbers(1000 + index);
  if (row.state === 'skipped' || row.state === 'waiting')
    return { ...emptyDetail(row.s), history: historyOf(row, random) };
  const val = row.spark;
  const good = ['trained', 'kept', 'up_to_date'].includes(row.state);
  const shares = (bias) =>
    LEVELS.map((level) => round(Math.min(1, Math.max(0, level + bias * (0.5 - level) + 0.01 * normal(random)))));
  return {
    s: row.s,
    gen: row.gen,
    created_at: START - (good ? 0 : 86400000),
    curves: {
      train: val.map((one) => round(one * 0.95)),
      val,
      best: val.length ? val.indexOf(Math.min(...val)) + 1 : null,
    },
    fan: fanOf(random, samples),
    calibration: HORIZONS.map((h) => ({
      h,
      n: samples * 2,
      levels: LEVELS,
      model: shares(0.05),
      base: shares(0.1),
    })),
    metrics: metricsOf(random),
    series: null,
    history: historyOf(row, random),
    quality: row.notes ? ['12 rows with blank cells were left out', '1 price jump of more than 40 % was kept'] : [],
    provenance: [
      ['fingerprint', 'b3:5d41402abc4b2a76b9719d911017c5925d41402abc4b2a76b9719d911017c592'],
      ['backend', 'native 0.1.0 (avx2)'],
      ['data', '5,032 bars from 2006-11-28 to 2026-11-27'],
      ['seed', '20261128'],
    ],
    attempts: Array.from({ length: row.attempts }, (_, at) => ({
      attempt: at + 1,
      worker: row.worker,
      from: START + at * 30000,
      to: row.state === 'running' && at + 1 === row.attempts ? null : START + at * 30000 + 21000,
      kind: at + 1 < row.attempts ? 'crashed' : row.kind,
      cause: at + 1 < row.attempts ? 'the worker was killed by signal 9' : row.cause,
      log: `${row.s}.${at + 1}.log`,
    })),
    log: row.attempts ? logOf(row) : null,
  };
}
