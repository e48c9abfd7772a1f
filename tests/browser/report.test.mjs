// The report in Chromium: everything a reader does with it.
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { emptyDetail } from './details.mjs';
import { barePage, makePage, makeReport } from './fixture.mjs';
import {
  OUT,
  address,
  fits,
  launch,
  packages,
  picture,
  reportFile,
  seriousFindings,
  shownSymbols,
  visit,
} from './support.mjs';

const file = reportFile('REPORT', 50);
const large = reportFile('REPORT_LARGE', 500);
const url = address(file);
const data = JSON.parse(
  readFileSync(file, 'utf8').match(/<script type="application\/json" id="page">([\s\S]*?)<\/script>/)[1],
);
const failed = data.symbols.filter((row) => row.state === 'failed');
const good = data.symbols.find((row) => row.state === 'trained') ?? data.symbols[0];
let browser;

before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** Runs a test on a fresh page, which must have had no error, warning or request. */
function onPage(name, options, act) {
  test(name, async () => {
    const { page, done } = await visit(browser, url + (options.hash ?? ''), options);
    try {
      await act(page);
      await done();
    } finally {
      await page.context().close();
    }
  });
}

onPage('it loads without a word on the console and without the network', {}, async (page) => {
  assert.equal((await shownSymbols(page)).length, data.symbols.length);
  assert.match(await page.title(), /mambafleet/);
  await fits(page);
  await picture(page, 'desktop');
});

onPage('failures come first, with cause, hint and log', {}, async (page) => {
  const shown = await page.$$eval('.failures > li', (all) => all.map((one) => one.textContent));
  assert.equal(shown.length, Math.min(12, failed.length));
  failed.slice(0, 12).forEach((row, at) => {
    for (const text of [row.s, row.cause, row.hint, row.log])
      assert.ok(shown[at].includes(text ?? ''), `${row.s} lacks ${text}`);
  });
  if (failed.length)
    assert.ok((await page.locator('#s-failures').boundingBox()).y < 800, 'they are below the first screen');
});

onPage('text from outside stays text', {}, async (page) => {
  assert.equal(await page.locator('main img, main script, main iframe').count(), 0);
  for (const row of failed) {
    await page.goto(`${url}#${encodeURIComponent(row.s)}`);
    const place = data.symbols.indexOf(row);
    const detail = JSON.parse(await page.locator(`#d-${place}`).textContent());
    assert.equal(await page.locator('.whose').count(), detail.gen === null ? 0 : 1);
    assert.equal(await page.locator('.trouble .cause').textContent(), row.cause);
  }
  assert.equal(await page.locator('main img, main script, main iframe').count(), 0);
});

onPage('every column sorts, both ways, and says so', {}, async (page) => {
  const heads = page.locator('.symbols thead th');
  const columns = await heads.count();
  for (let at = 0; at < columns; at += 1) {
    const before = await heads.nth(at).getAttribute('aria-sort');
    await heads.nth(at).locator('button').click();
    const first = await heads.nth(at).getAttribute('aria-sort');
    await heads.nth(at).locator('button').click();
    const second = await heads.nth(at).getAttribute('aria-sort');
    assert.deepEqual([first, second].sort(), ['ascending', 'descending'], `column ${at}, before ${before}`);
    assert.equal(await page.locator('.symbols [aria-sort]').count(), 1);
  }
  await page.locator('th[data-col="test"] button').click();
  const order = await shownSymbols(page);
  const losses = order.map((name) => data.symbols.find((row) => row.s === name).test).filter((loss) => loss !== null);
  assert.deepEqual(
    losses,
    [...losses].sort((a, b) => a - b),
  );
});

onPage('what has no value comes last, whichever way', {}, async (page) => {
  for (let click = 0; click < 2; click += 1) {
    await page.locator('th[data-col="change"] button').click();
    const values = (await shownSymbols(page)).map(
      (name) => data.symbols.find((row) => row.s === name).prev?.test ?? null,
    );
    const first = values.indexOf(null);
    assert.ok(first < 0 || values.slice(first).every((value) => value === null));
  }
});

onPage('the box filters by symbol and by cause', {}, async (page) => {
  await page.keyboard.press('/');
  await page.keyboard.type(good.s.toLowerCase());
  assert.ok((await shownSymbols(page)).includes(good.s));
  assert.ok((await shownSymbols(page)).length < data.symbols.length);
  await page.locator('input[type=search]').fill('no symbol is called so');
  assert.deepEqual(await shownSymbols(page), []);
  await page.locator('.empty button').click();
  assert.equal((await shownSymbols(page)).length, data.symbols.length);
  if (failed.length) {
    await page.locator('input[type=search]').fill(failed[0].cause.slice(0, 20));
    assert.ok((await shownSymbols(page)).includes(failed[0].s));
  }
});

onPage('outcomes filter the table, from the bar and from the chips', {}, async (page) => {
  const state = good.state;
  const names = data.symbols
    .filter((row) => row.state === state)
    .map((row) => row.s)
    .sort();
  await page.locator(`.part[data-state="${state}"]`).click();
  assert.deepEqual((await shownSymbols(page)).sort(), names);
  const chip = page.locator(`.chip[data-key="${state}"]`);
  assert.equal(await chip.getAttribute('aria-pressed'), 'true');
  await chip.click();
  assert.equal((await shownSymbols(page)).length, data.symbols.length);
  const retried = data.symbols
    .filter((row) => row.attempts > 1)
    .map((row) => row.s)
    .sort();
  if (retried.length) {
    await page.locator('.chip[data-key="retried"]').click();
    assert.deepEqual((await shownSymbols(page)).sort(), retried);
  }
});

onPage('a click opens a symbol, the way back leads to where one was', {}, async (page) => {
  await page.locator('th[data-col="s"] button').click();
  await page.evaluate(() => scrollTo(0, 500));
  const row = page.locator('.symbols tbody tr').first();
  const name = await row.locator('.sym').textContent();
  await row.locator('.sym').click();
  assert.ok((await page.locator('h1#symbol-title').textContent()).endsWith(name));
  assert.equal(await page.evaluate(() => document.activeElement.id), 'symbol-title');
  assert.equal(decodeURIComponent(new URL(page.url()).hash.slice(1)), name);
  await page.goBack();
  await page.locator('#overview').waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), name);
  assert.equal(await page.locator('thead th[data-col="s"]').getAttribute('aria-sort'), 'ascending');
});

onPage(
  'an address opens a symbol; j, k and Escape lead on',
  { hash: `#${encodeURIComponent(good.s)}` },
  async (page) => {
    const name = () => page.locator('h1#symbol-title').evaluate((node) => node.lastChild.textContent);
    assert.equal(await name(), good.s);
    assert.equal(await page.locator('.whose').count(), 0);
    const order = await shownSymbols(page);
    const at = order.indexOf(good.s);
    await page.keyboard.press('j');
    assert.equal(await name(), order[at + 1]);
    await page.keyboard.press('k');
    assert.equal(await name(), good.s);
    await page.keyboard.press('Escape');
    assert.ok(await page.locator('#overview').isVisible());
    assert.equal(new URL(page.url()).hash, '');
    await page.evaluate(() => {
      location.hash = '#%E0%A4%A';
    });
    await page.evaluate(() => {
      location.hash = '#NOSUCH';
    });
    assert.ok(await page.locator('#overview').isVisible());
  },
);

onPage(
  'the ways to the sections lead there from a symbol too',
  { hash: `#${encodeURIComponent(good.s)}` },
  async (page) => {
    await page.locator('#top nav a', { hasText: 'Timeline' }).click();
    await page.waitForFunction(() => document.activeElement.id === 's-timeline');
    assert.equal(new URL(page.url()).hash, '');
    await page.locator('.symbols .sym').first().click();
    await page.locator('#top nav a', { hasText: 'Symbols' }).click();
    await page.waitForFunction(() => document.activeElement.id === 's-symbols');
  },
);

onPage(
  'a symbol has its charts, horizons and values under the pointer',
  { hash: `#${encodeURIComponent(good.s)}` },
  async (page) => {
    await page.locator('.chart canvas').first().waitFor();
    const charts = await page.$$eval('.chart', (all) =>
      all.map((one) => [
        one.getAttribute('role'),
        one.getAttribute('aria-label'),
        one.querySelectorAll('canvas').length,
      ]),
    );
    assert.ok(charts.length >= 2);
    for (const [role, label, canvases] of charts)
      assert.ok(role === 'img' && label.length > 20 && canvases === 1, label);
    const switches = page.locator('[aria-label="Horizon"] button');
    if ((await switches.count()) > 1) {
      const before = await page.locator('.fan-and-calibration .chart').first().getAttribute('aria-label');
      await switches.nth(1).click();
      assert.equal(await switches.nth(1).getAttribute('aria-pressed'), 'true');
      assert.notEqual(await page.locator('.fan-and-calibration .chart').first().getAttribute('aria-label'), before);
      const told = page.locator('.fan-and-calibration .readout').first();
      const still = await told.textContent();
      await page.locator('.fan-and-calibration .chart').first().hover();
      await page.waitForFunction(([node, text]) => node.textContent !== text, [await told.elementHandle(), still]);
    }
    await page.locator('.chart').first().focus();
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction(() => /^epoch 1:/.test(document.querySelector('.readout').textContent));
    await picture(page, 'symbol', { fullPage: true });
  },
);

onPage('the timeline has every attempt, keys move in it, a table says the same', {}, async (page) => {
  const spans = data.timeline.lanes.flatMap((lane) => lane.spans);
  assert.equal(await page.locator('.tl-span').count(), spans.length);
  assert.equal(await page.locator('.tl-span[tabindex="0"]').count(), 1);
  await page.locator('.tl-span[tabindex="0"]').focus();
  assert.ok(await page.locator('.tip').isVisible());
  const first = await page.locator('.tip b').textContent();
  await page.keyboard.press('ArrowDown');
  assert.notEqual(await page.locator('.tip b').textContent(), first);
  await page.locator('[aria-label="Longer: zoom in"]').click();
  assert.ok(
    await page.evaluate(
      () => document.querySelector('.tl-inner').clientWidth > 1.9 * document.querySelector('.tl-scroll').clientWidth,
    ),
  );
  await page.getByText('The same as a table').click();
  await page.locator('#s-timeline table').waitFor();
  assert.equal(await page.locator('#s-timeline table tbody tr').count(), spans.length);
  await page.getByText('Whole run').click();
  await page.locator('#s-timeline').screenshot({ path: join(OUT, 'timeline.png') });
});

onPage('it is dark where the system is', { colorScheme: 'dark' }, async (page) => {
  const shade = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  assert.ok(
    shade
      .match(/\d+/g)
      .map(Number)
      .every((part) => part < 60),
    shade,
  );
  await picture(page, 'desktop-dark');
});

onPage('the switch is remembered', {}, async (page) => {
  await page.locator('#theme').click();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
  await page.reload();
  await page.locator('#theme').waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
  await page.locator('#theme').click();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'light');
});

for (const [width, height] of [
  [390, 844],
  [360, 640],
]) {
  onPage(`nothing is wider than a phone of ${width} px`, { width, height, hasTouch: true }, async (page) => {
    await fits(page);
    await picture(page, `phone-${width}`);
    await page.locator('.orders').selectOption('test');
    await page.locator('#s-symbols').scrollIntoViewIfNeeded();
    await picture(page, `phone-${width}-table`);
    for (const row of [good, failed[0] ?? good]) {
      await page.goto(`${url}#${encodeURIComponent(row.s)}`);
      await page.locator('h1#symbol-title').waitFor();
      await fits(page);
    }
    await picture(page, `phone-${width}-symbol`, { fullPage: true });
    const box = page.locator('.of-horizon[data-chosen="true"] .scroll');
    if (await box.count()) await box.screenshot({ path: join(OUT, `phone-${width}-scroll.png`) });
  });
}

onPage('on paper it is light, open, and has nothing to press', { colorScheme: 'dark' }, async (page) => {
  await page.emulateMedia({ media: 'print' });
  const shade = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  assert.equal(shade, 'rgb(255, 255, 255)');
  const ink = await page.locator('h1').evaluate((node) => getComputedStyle(node).color);
  assert.ok(
    ink.match(/\d+/g).every((part) => Number(part) < 90),
    `${ink} on white`,
  );
  for (const what of ['#theme', 'input[type=search]', '#top nav', '.chips'])
    assert.equal(await page.locator(what).isVisible(), false, what);
  assert.equal(
    await page.evaluate(
      () => document.querySelector('.sheet').scrollHeight - document.querySelector('.sheet').clientHeight,
    ),
    0,
  );
  const folded = await page.$$eval(
    '#overview details.more',
    (all) => all.filter((one) => !one.open && !one.closest('#s-timeline')).length,
  );
  assert.equal(folded, 0);
  const pdf = await page.pdf({ format: 'A4' });
  assert.ok(pdf.length > 20000);
});

for (const colorScheme of ['light', 'dark']) {
  onPage(`axe finds nothing serious, ${colorScheme}`, { colorScheme }, async (page) => {
    const { grave, mild } = await seriousFindings(page);
    assert.deepEqual(grave, []);
    if (mild.length) console.log(`  axe, less than serious, overview ${colorScheme}: ${mild.join(', ')}`);
    for (const row of [good, failed[0] ?? good]) {
      await page.goto(`${url}#${encodeURIComponent(row.s)}`);
      await page.locator('h1#symbol-title').waitFor();
      const inside = await seriousFindings(page);
      assert.deepEqual(inside.grave, []);
      if (inside.mild.length)
        console.log(`  axe, less than serious, ${row.s} ${colorScheme}: ${inside.mild.join(', ')}`);
    }
  });
}

onPage('axe finds nothing serious on a phone', { width: 390, height: 844 }, async (page) => {
  assert.deepEqual((await seriousFindings(page)).grave, []);
});

test('a run of which nothing is known opens all the same', async () => {
  const path = join(OUT, 'report-bare.html');
  const series = {
    ...emptyDetail('AAPL'),
    series: [
      ['mse', 0.3712],
      ['mae', 0.4105],
      ['baseline_mse', null],
    ],
  };
  writeFileSync(
    path,
    makeReport(barePage(), () => series),
  );
  const { page, done } = await visit(browser, address(path));
  assert.match(await page.locator('h1').textContent(), /1 of 1 symbol was not done/);
  assert.ok(await page.getByText('The run died').isVisible());
  assert.equal(await page.locator('#s-failures').count(), 0);
  await page.locator('.sym').click();
  assert.ok(await page.getByText('0.3712').isVisible());
  await done();
});

for (const [state, words] of [
  ['died', 'in training when the run died'],
  ['interrupted', 'interrupted'],
]) {
  test(`a run that ${state === 'died' ? 'died' : 'was interrupted'} tells what it was at from what had not begun`, async () => {
    const made = makePage(6);
    Object.assign(made.run, { state, signal: null });
    made.symbols.forEach((row, at) => {
      if (at > 2) Object.assign(row, { state: 'interrupted', attempts: at > 4 ? 1 : 0, cause: null });
    });
    Object.assign(made.counts, { trained: 2, up_to_date: 0, failed: 1, interrupted: 3 });
    const path = join(OUT, `report-${state}.html`);
    writeFileSync(path, makeReport(made));
    const { page, done } = await visit(browser, address(path));
    const notes = await page.locator('.hero .note').allTextContents();
    assert.deepEqual(notes.slice(-2).sort(), ['2 symbols not begun', `1 symbol ${words}`].sort());
    assert.equal(await page.getByText('no reason given').count(), 0);
    const badges = await page.$$eval('.symbols .badge', (all) => all.map((one) => one.textContent).sort());
    assert.deepEqual(
      badges.filter((one) => ['interrupted', 'not begun'].includes(one)),
      ['interrupted', 'not begun', 'not begun'],
    );
    await page.locator('.part[data-state="unbegun"]').click();
    assert.equal((await shownSymbols(page)).length, 2);
    await picture(page, `desktop-${state}`);
    await done();
  });
}

test('the file, and what scripts make of it, are valid HTML', async () => {
  const { HtmlValidate } = packages('html-validate');
  // The table's parts are shown as grids, so their roles must be said; the rest is about taste.
  const off = [
    'no-redundant-role',
    'long-title',
    'no-inline-style',
    'require-sri',
    'attribute-boolean-style',
    'prefer-native-element',
    'no-trailing-whitespace',
    'no-raw-characters',
    'attribute-empty-style',
    'doctype-style',
  ];
  const rules = Object.fromEntries(off.map((rule) => [rule, 'off']));
  const validator = new HtmlValidate({ extends: ['html-validate:recommended'], rules });
  const told = async (text) =>
    (await validator.validateString(text)).results.flatMap((one) =>
      one.messages.map((message) => `${message.line}: ${message.ruleId}: ${message.message}`),
    );
  assert.deepEqual(await told(readFileSync(file, 'utf8')), []);
  const { page, done } = await visit(browser, url);
  const body = () =>
    page.evaluate(() => {
      const copy = document.documentElement.cloneNode(true);
      copy.querySelectorAll('script, style').forEach((one) => one.remove());
      return `<!DOCTYPE html>\n${copy.outerHTML}`;
    });
  assert.deepEqual(await told(await body()), []);
  await page.goto(`${url}#${encodeURIComponent(good.s)}`);
  await page.locator('.chart canvas').first().waitFor();
  assert.deepEqual(await told(await body()), []);
  await done();
});

test('fifty symbols stay below 3 MB', () => {
  const size = statSync(file).size;
  console.log(`  ${data.symbols.length} symbols: ${(size / 1e6).toFixed(2)} MB`);
  assert.ok((size / data.symbols.length) * 50 < 3e6);
});

test('five hundred symbols open within two seconds and stay smooth', async () => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await page.addInitScript(() => {
    globalThis.longTasks = [];
    new PerformanceObserver((list) =>
      longTasks.push(...list.getEntries().map((one) => Math.round(one.duration))),
    ).observe({ type: 'longtask', buffered: true });
  });
  await page.goto(address(large));
  await page.waitForFunction(() => performance.getEntriesByName('ready').length > 0);
  const { ready, parsed, rows } = await page.evaluate(() => ({
    ready: performance.getEntriesByName('ready')[0].startTime,
    parsed: performance.timing.domContentLoadedEventStart - performance.timing.navigationStart,
    rows: document.querySelectorAll('.symbols tbody tr').length,
  }));
  const opened = await page.evaluate(() => Math.max(0, ...longTasks));
  const sorted = await worstWhile(page, async () => {
    for (const key of ['test', 's', 'change', 's']) await page.locator(`th[data-col="${key}"] button`).click();
  });
  const filtered = await worstWhile(page, async () => {
    await page.locator('input[type=search]').fill('a');
    await page.locator('input[type=search]').fill('');
  });
  const scrolled = await worstWhile(page, async () => {
    await page.locator('.sheet').hover();
    for (let step = 0; step < 30; step += 1) await page.mouse.wheel(0, 600);
  });
  console.log(
    `  ${rows} symbols, ${(statSync(large).size / 1e6).toFixed(1)} MB: parsed after ${Math.round(parsed)} ms, ready after ${Math.round(ready)} ms from the start of loading; longest task: opening ${opened} ms, sorting ${sorted} ms, filtering ${filtered} ms, scrolling ${scrolled} ms (0: none over 50)`,
  );
  await picture(page, 'desktop-500');
  await context.close();
  assert.ok(ready < 2000, `ready after ${ready} ms`);
});

/** The longest task, in ms, while something is done. */
async function worstWhile(page, act) {
  await page.evaluate(() => {
    longTasks.length = 0;
  });
  await act();
  await page.waitForTimeout(300);
  return page.evaluate(() => Math.max(0, ...longTasks));
}
