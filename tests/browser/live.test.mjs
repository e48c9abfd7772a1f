// The live page in Chromium, against a server that speaks the same language as the program's.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makePage } from './fixture.mjs';
import { serve } from './server.mjs';
import { OUT, fits, launch, picture, seriousFindings, shownSymbols, visit } from './support.mjs';

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** A page of a run that goes on: ten symbols done, five that run, the rest waits. */
function running(id, many = 40) {
  const page = makePage(many, 3);
  const now = Date.now();
  const shift = now - page.timeline.start - 60000;
  page.live = true;
  page.generated_at = now;
  Object.assign(page.run, {
    id,
    state: 'running',
    started_at: now - 60000,
    finished_at: null,
    deadline: null,
  });
  page.timeline.start = now - 60000;
  page.timeline.end = null;
  page.timeline.retries = [];
  page.timeline.pauses = [];
  page.evaluation = null;
  for (const lane of page.timeline.lanes) {
    Object.assign(lane, { started: now - 60000, ended: null, lost: null });
    for (const span of lane.spans) Object.assign(span, { from: span.from + shift, to: span.to + shift });
    lane.spans = lane.spans
      .filter((span) => span.from < now)
      .map((span) => (span.to > now ? { ...span, to: null, state: 'running', cause: null } : span));
  }
  const started = page.timeline.lanes.flatMap((lane) => lane.spans);
  const active = new Set(started.filter((span) => span.state === 'running').map((span) => span.i));
  const seen = new Set(started.map((span) => span.i));
  page.symbols.forEach((row, at) => {
    if (seen.has(at) && !active.has(at)) return;
    Object.assign(row, {
      state: active.has(at) ? 'running' : 'waiting',
      attempts: active.has(at) ? 1 : 0,
      epoch: active.has(at) ? 3 : null,
      epochs: 30,
      spark: active.has(at) ? [0.5, 0.44, 0.41] : [],
      kind: null,
      cause: null,
      hint: null,
      log: null,
      seconds: null,
      memory: null,
      lock: null,
    });
  });
  const tally = (state) => page.symbols.filter((row) => row.state === state).length;
  for (const state of Object.keys(page.counts)) page.counts[state] = tally(state);
  page.runs = [
    {
      id,
      started_at: now,
      state: 'running',
      symbols: many,
      good: tally('trained'),
      failed: tally('failed'),
      seconds: null,
    },
    {
      id: 'earlier',
      started_at: now - 9e7,
      state: 'finished',
      symbols: 12,
      good: 12,
      failed: 0,
      seconds: 50,
    },
  ];
  return page;
}

/** An earlier run, ended well. */
function earlier() {
  const page = { ...makePage(12, 5), live: true };
  page.run.id = 'earlier';
  page.runs = running('now').runs;
  return page;
}

/** Runs a test on a live page of two runs. */
function onLive(name, act, path = '', options = {}) {
  test(name, async () => {
    const pages = new Map([
      ['now', running('now')],
      ['earlier', earlier()],
    ]);
    const server = await serve(pages);
    const { page, troubles, done } = await visit(browser, server.url + path, {
      allowed: (asked) => asked.startsWith(server.url),
      ...options,
    });
    try {
      await act({ page, server, pages, troubles });
      await done();
    } finally {
      await page.context().close();
      await server.close();
    }
  });
}

const status = (page, text) =>
  page.waitForFunction((wanted) => document.getElementById('live').textContent === wanted, text);
const cell = (page, name, column) => page.locator(`.symbols tbody tr:has(a[href="#${name}"]) [data-col="${column}"]`);

onLive('an update reaches its row; sort, filter, scroll and the focus stay', async ({ page, server, pages }) => {
  await status(page, 'live');
  await fits(page);
  await picture(page, 'live', { fullPage: true });
  const { symbols, counts } = pages.get('now');
  const at = symbols.findIndex((row) => row.state === 'running');
  await page.locator('thead th[data-col="s"] button').click();
  await page.locator('thead th[data-col="s"] button').click();
  await page.locator('.chip[data-key="running"]').click();
  const before = await shownSymbols(page);
  assert.deepEqual(
    before,
    [...before].sort((a, b) => b.localeCompare(a, 'en', { numeric: true })),
  );
  await page.evaluate(() => scrollTo(0, 300));
  await cell(page, symbols[at].s, 's').locator('a').focus();
  const scrolled = await page.evaluate(() => scrollY);
  const row = { ...symbols[at], epoch: 4, spark: [0.5, 0.44, 0.41, 0.37], rate: 5120 };
  const sent = Date.now();
  server.tell('update', { v: 1, run: 'now', counts, rows: [[at, row]] });
  await page.waitForFunction(
    (name) =>
      document
        .querySelector(`tr:has(a[href="#${name}"]) [data-col="what"]`)
        .textContent.includes('epoch 4 of 30, 5,120 samples/s'),
    row.s,
  );
  console.log(`  an update was in its row after ${Date.now() - sent} ms`);
  assert.match(await cell(page, row.s, 'spark').locator('svg').getAttribute('aria-label'), /to 0\.37/);
  assert.deepEqual(await shownSymbols(page), before);
  assert.equal(await page.evaluate(() => scrollY), scrolled);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), row.s);
  assert.equal(await page.locator('thead th[data-col="s"]').getAttribute('aria-sort'), 'descending');
  const other = symbols.findIndex((one, place) => one.state === 'running' && place !== at);
  server.tell('update', { v: 2, run: 'another', counts, rows: [[other, { ...symbols[other], epoch: 9 }]] });
  server.tell('update', {
    v: 3,
    run: 'now',
    counts: { ...counts, running: counts.running - 1, trained: counts.trained + 1 },
    rows: [[at, { ...row, state: 'trained', epoch: 30 }]],
  });
  await page.waitForFunction((name) => document.querySelector(`tr:has(a[href="#${name}"])`).hidden, row.s);
  assert.equal((await shownSymbols(page)).length, before.length - 1);
  assert.match(await cell(page, symbols[other].s, 'what').textContent(), /epoch 3 of 30/);
});

onLive('a failure appears at the top as it happens', async ({ page, server, pages }) => {
  await status(page, 'live');
  const { symbols, counts } = pages.get('now');
  const at = symbols.findIndex((row) => row.state === 'running');
  const row = {
    ...symbols[at],
    state: 'failed',
    kind: 'stalled',
    cause: 'nothing was heard of it for 120 s',
    hint: 'look at its log',
    log: 'logs/X.1.log',
  };
  server.tell('update', {
    v: 1,
    run: 'now',
    counts: { ...counts, failed: counts.failed + 1, running: counts.running - 1 },
    rows: [[at, row]],
  });
  await page.locator('.failures', { hasText: row.cause }).waitFor();
  await page.locator('#top nav a', { hasText: 'Failures' }).waitFor();
  await page.waitForFunction(
    (many) => document.querySelector('h1').textContent.includes(`${many} failed`),
    counts.failed + 1,
  );
});

onLive(
  'what runs and waits stands last in the bar of outcomes and does not look done',
  async ({ page, pages, server }) => {
    await status(page, 'live');
    const parts = await page.$$eval('.outcomes .stack > span', (all) =>
      all.map((one) => [one.dataset.state, getComputedStyle(one).backgroundColor]),
    );
    const clear = 'rgba(0, 0, 0, 0)';
    assert.deepEqual(
      parts.map(([state, shade]) => [state, shade === clear]),
      [
        ['trained', false],
        ['up_to_date', false],
        ['failed', false],
        ['running', true],
        ['waiting', true],
      ],
    );
    assert.deepEqual(
      await page.$$eval('.outcomes .part', (all) => all.map((one) => one.dataset.state)),
      parts.map(([state]) => state),
    );
    const { symbols } = pages.get('now');
    const done = symbols.filter((row) => !['running', 'waiting'].includes(row.state)).length;
    assert.ok((await page.locator('h1').textContent()).includes(`${done} of 40 symbols done`));
    await page.locator('.hero').screenshot({ path: join(OUT, 'live-hero.png') });
    const at = symbols.findIndex((row) => row.state === 'waiting');
    const rows = [[at, { ...symbols[at], state: 'retrying', attempts: 1 }]];
    server.tell('update', { v: 1, run: 'now', counts: pages.get('now').counts, rows });
    await page.locator('.outcomes .stack > [data-state="retrying"]').waitFor();
    assert.ok((await page.locator('h1').textContent()).includes(`${done} of 40 symbols done`), 'a retry counts twice');
  },
);

onLive('the comparison with the earlier run goes on with the run', async ({ page, server, pages }) => {
  await status(page, 'live');
  const { symbols, counts, compare } = pages.get('now');
  const sums = () => page.$$eval('#s-compare .sums li', (all) => all.map((one) => one.textContent));
  const before = await sums();
  const many = (word) =>
    Number.parseInt(
      before.find((one) => one.endsWith(` ${word}`)),
      10,
    );
  const [first, second] = compare.rows.filter(({ i }) => symbols[i].state === 'running');
  await page.locator('#s-compare details summary').first().click();
  const done = ({ i, test }, factor) => [i, { ...symbols[i], state: 'trained', test: test * factor }];
  server.tell('update', { v: 1, run: 'now', counts, rows: [done(first, 1.5), done(second, 0.5)] });
  for (const word of ['worse', 'better'])
    await page.locator('#s-compare .sums li', { hasText: new RegExp(`^${many(word) + 1} ${word}$`) }).waitFor();
  for (const [title, { i }] of [
    ['Worse', first],
    ['Better', second],
  ])
    assert.equal(
      await page.locator(`#s-compare div:has(> h3:text-matches("^${title} ")) tbody .sym`).first().textContent(),
      symbols[i].s,
    );
  assert.equal(await page.locator('#s-compare details').first().getAttribute('open'), '');
});

onLive('a run that is paused is shown as paused, until it goes on', async ({ page, server, pages }) => {
  await status(page, 'live');
  const { timeline, counts } = pages.get('now');
  const told = (pauses) =>
    server.tell('update', { v: 1, run: 'now', counts, rows: [], timeline: { ...timeline, pauses } });
  const chip = page.locator('.hero .pill');
  const moves = () => chip.evaluate((node) => getComputedStyle(node, '::before').animationName);
  assert.deepEqual([await chip.textContent(), await moves()], ['running', 'pulse']);
  const from = Date.now() - 5000;
  told([[from, null]]);
  await status(page, 'paused');
  assert.deepEqual([await chip.textContent(), await moves()], ['paused', 'none']);
  assert.match(await page.locator('h1').textContent(), /paused$/);
  await picture(page, 'live-paused');
  told([[from, Date.now()]]);
  await status(page, 'live');
  assert.equal(await chip.textContent(), 'running');
});

onLive('the timeline grows, and what the focus is on stays', async ({ page, server, pages }) => {
  await status(page, 'live');
  const { timeline, counts, symbols } = pages.get('now');
  const running = page.locator('.tl-span[data-state="running"]').first();
  const name = await running.getAttribute('aria-label');
  await running.focus();
  await page.evaluate(() => {
    document.activeElement.dataset.kept = 'yes';
  });
  await page.waitForFunction((label) => document.activeElement.getAttribute('aria-label') !== label, name);
  assert.equal(await page.evaluate(() => document.activeElement.dataset.kept), 'yes');
  const spans = await page.locator('.tl-span').count();
  const lane = timeline.lanes[0];
  lane.spans.push({
    i: symbols.findIndex((row) => row.state === 'waiting'),
    attempt: 1,
    from: Date.now(),
    to: null,
    state: 'running',
    cause: null,
    lock: 0,
  });
  server.tell('update', { v: 1, run: 'now', counts, rows: [], timeline });
  await page.waitForFunction((many) => document.querySelectorAll('.tl-span').length === many, spans + 1);
  assert.match(await page.evaluate(() => document.activeElement.className), /tl-span/);
});

onLive(
  'the open symbol is kept and follows',
  async ({ page, server, pages }) => {
    const { symbols, counts } = pages.get('now');
    const at = symbols.findIndex((row) => row.state === 'running');
    await status(page, 'live');
    await page.locator('.chart canvas').first().waitFor();
    await page.locator('[aria-label="Horizon"] button').nth(1).click();
    const row = { ...symbols[at], epoch: 7, spark: [0.5, 0.44, 0.41, 0.4, 0.39, 0.38, 0.37] };
    symbols[at] = row;
    server.tell('update', { v: 1, run: 'now', counts, rows: [[at, row]] });
    await page.waitForFunction(() =>
      document.querySelector('.chart').getAttribute('aria-label').includes('over 7 epochs'),
    );
    assert.ok((await page.locator('#symbol-title').textContent()).endsWith(row.s));
    assert.equal(await page.locator('[aria-label="Horizon"] button').nth(1).getAttribute('aria-pressed'), 'true');
  },
  `#${running('now').symbols.find((row) => row.state === 'running').s}`,
);

onLive(
  'an attempt that goes on is said to go on',
  async ({ page }) => {
    await page.locator('#symbol-title').waitFor();
    const last = page.locator('section[aria-label="Attempts"] tbody tr').last();
    assert.match(await last.textContent(), /–running/);
    assert.doesNotMatch(await last.textContent(), /ended well/);
    const note = await page.locator('.whose').textContent();
    assert.match(note, /^Everything below is generation \d+, which is in use until this run commits another/);
    await picture(page, 'live-symbol', { fullPage: true });
  },
  `#${running('now').symbols.find((row) => row.state === 'running').s}`,
);

onLive('a lost stream is taken up again, and what was missed is loaded', async ({ page, server, pages, troubles }) => {
  await status(page, 'live');
  const { symbols } = pages.get('now');
  const at = symbols.findIndex((row) => row.state === 'running');
  symbols[at] = { ...symbols[at], epoch: 21 };
  server.hangUp();
  await page.waitForFunction(
    (name) =>
      document.querySelector(`tr:has(a[href="#${name}"]) [data-col="what"]`).textContent.includes('epoch 21 of'),
    symbols[at].s,
  );
  await status(page, 'live');
  assert.equal(server.streams.size, 1);
  // Chromium says of a stream that was cut that it was cut; that is what this test does.
  troubles.splice(
    0,
    troubles.length,
    ...troubles.filter((one) => !/ERR_INCOMPLETE_CHUNKED|Failed to load resource/.test(one)),
  );
});

onLive('the end of the run is told; the table stays as it was', async ({ page, server, pages }) => {
  await status(page, 'live');
  await page.locator('input[type=search]').fill('a');
  const before = await shownSymbols(page);
  Object.assign(pages.get('now').run, { state: 'finished', finished_at: Date.now(), seconds: 61 });
  server.tell('page', {});
  await status(page, 'ended');
  assert.deepEqual((await shownSymbols(page)).sort(), before.sort());
  assert.equal(await page.locator('input[type=search]').inputValue(), 'a');
});

onLive('another run can be chosen, and the way back works', async ({ page, server }) => {
  await status(page, 'live');
  await page.locator('thead th[data-col="test"] button').click();
  await page.locator('#runs').selectOption('earlier');
  await page.waitForFunction(() => document.querySelectorAll('.symbols tbody tr').length === 12);
  await status(page, 'ended');
  assert.equal(new URL(page.url()).search, '?run=earlier');
  assert.equal(await page.locator('thead th[data-col="test"]').getAttribute('aria-sort'), 'ascending');
  await page.goBack();
  await page.waitForFunction(() => document.querySelectorAll('.symbols tbody tr').length === 40);
  assert.equal(server.streams.size, 1);
});

onLive('a new run is followed by those who chose none', async ({ page, server, pages }) => {
  await status(page, 'live');
  pages.get('now').run.state = 'finished';
  server.tell('page', {});
  await status(page, 'ended');
  const fresh = running('next', 8);
  const old = [...pages];
  pages.clear();
  pages.set('next', fresh);
  old.forEach(([id, one]) => pages.set(id, one));
  server.tell('runs', { runs: fresh.runs });
  await page.waitForFunction(() => document.querySelectorAll('.symbols tbody tr').length === 8);
  await status(page, 'live');
});

onLive('a run that is deleted while it is shown gives way to the newest', async ({ page, server, pages }) => {
  await status(page, 'live');
  const runs = pages.get('earlier').runs.filter((run) => run.id === 'earlier');
  pages.get('earlier').runs = runs;
  pages.delete('now');
  server.tell('runs', { runs });
  await page.waitForFunction(() => document.querySelectorAll('.symbols tbody tr').length === 12);
  await page.waitForFunction(() => document.querySelector('h1').textContent.includes('Run earlier'));
  assert.equal(await page.locator('#runs').inputValue(), 'earlier');
});

onLive(
  'who chose a run that is deleted is told so',
  async ({ page, server, pages }) => {
    await status(page, 'ended');
    const runs = pages.get('now').runs.filter((run) => run.id === 'now');
    server.tell('runs', { runs });
    await page.getByRole('heading', { name: 'There is no run earlier' }).waitFor();
    assert.deepEqual(await page.$$eval('.notice li a', (all) => all.map((one) => one.textContent)), ['now']);
    await page.locator('#runs').selectOption('now');
    await status(page, 'live');
  },
  '?run=earlier',
);

onLive(
  'axe finds nothing serious; it fits a phone',
  async ({ page }) => {
    await status(page, 'live');
    await fits(page);
    await picture(page, 'live-phone');
    assert.deepEqual((await seriousFindings(page)).grave, []);
  },
  '',
  { width: 390, height: 844 },
);

for (const [name, code] of [
  ['nosuch', 404],
  ['no/run', 400],
])
  test(`a run that there is not is said not to be there, and others are offered (${code})`, async () => {
    const pages = new Map([['now', running('now')]]);
    const server = await serve(pages);
    const context = await browser.newContext();
    const page = await context.newPage();
    await page.goto(`${server.url}?run=${encodeURIComponent(name)}`);
    await page.getByRole('heading', { name: `There is no run ${name}` }).waitFor();
    assert.ok(await page.locator('#top .brand').isVisible());
    assert.deepEqual((await seriousFindings(page)).grave, []);
    await picture(page, `live-nosuch-${code}`);
    const asked = server.asked.length;
    await page.waitForTimeout(2500);
    assert.equal(server.asked.length, asked, 'it goes on asking');
    await page.locator('#runs').selectOption('now');
    await page.waitForFunction(() => document.querySelectorAll('.symbols tbody tr').length === 40);
    await status(page, 'live');
    await page.goBack();
    await page.getByRole('heading', { name: `There is no run ${name}` }).waitFor();
    assert.equal(server.streams.size, 0);
    await page.getByText('Show the newest run').click();
    await page.waitForFunction(() => document.querySelectorAll('.symbols tbody tr').length === 40);
    await context.close();
    await server.close();
  });

test('without a run the page says so and looks again', async () => {
  const pages = new Map();
  const server = await serve(pages);
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(server.url);
  await page.getByRole('heading', { name: 'No run yet' }).waitFor();
  const words = await page.locator('main').textContent();
  assert.match(words, /mambafleet train begins one\. This page looks again every few seconds/);
  assert.doesNotMatch(words, /api|404/);
  assert.ok(await page.locator('#top .brand').isVisible());
  assert.deepEqual((await seriousFindings(page)).grave, []);
  await picture(page, 'live-none');
  pages.set('now', running('now'));
  await page.waitForFunction(() => document.querySelectorAll('.symbols tbody tr').length === 40);
  await context.close();
  await server.close();
});
