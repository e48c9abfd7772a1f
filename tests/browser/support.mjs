// What the tests share: a browser, pages that remember what went wrong in them, the packages.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { makePage, makeReport } from './fixture.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');
/** Where packages and pictures are. */
export const OUT = process.env.BROWSER_OUT ?? join(ROOT, 'target/browser');
mkdirSync(OUT, { recursive: true });
export const packages = createRequire(join(OUT, 'packages.cjs'));
const { chromium } = packages('playwright-core');

/** Starts Chromium. */
export function launch() {
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}

/** The report to test: the file that was named, or one that is made here. */
export function reportFile(variable, symbols) {
  const named = process.env[variable];
  if (named) {
    assert.ok(existsSync(named), `${variable}: there is no ${named}`);
    return resolve(named);
  }
  const path = join(OUT, `report-${symbols}.html`);
  writeFileSync(path, makeReport(makePage(symbols)));
  return path;
}

/** A file as an address. */
export const address = (path) => pathToFileURL(path).href;

/**
 * Opens a page in a context of its own. `troubles` holds every error, warning and unwanted request; close it
 * with `done`, which fails if there were any.
 */
export async function visit(browser, url, { width = 1280, height = 800, allowed = () => false, ...options } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    timezoneId: 'Europe/London',
    ...options,
  });
  const page = await context.newPage();
  const troubles = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) troubles.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => troubles.push(`uncaught: ${error.stack}`));
  page.on('dialog', (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('request', (request) => {
    const asked = request.url();
    if (!asked.startsWith('data:') && asked.split('#')[0] !== url.split('#')[0] && !allowed(asked))
      troubles.push(`request: ${asked}`);
  });
  await page.goto(url);
  await page.waitForFunction(() => performance.getEntriesByName('ready').length > 0);
  const done = async () => {
    await context.close();
    assert.deepEqual(troubles, []);
  };
  return { page, troubles, done };
}

/** The names in the table, in their order, as they are seen. */
export function shownSymbols(page) {
  return page.$$eval('.symbols tbody tr:not([hidden])', (rows) =>
    rows.map((row) => row.querySelector('.sym').textContent),
  );
}

/** Fails if anything but what scrolls by itself is wider than the window. */
export async function fits(page) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `the page is ${wide} px wider than the window`);
}

/** What axe finds that is serious or critical. */
export async function seriousFindings(page) {
  await page.evaluate(packages('node:fs').readFileSync(packages.resolve('axe-core/axe.min.js'), 'utf8'));
  const found = await page.evaluate(() =>
    axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] }),
  );
  const grave = found.violations.filter((one) => ['serious', 'critical'].includes(one.impact));
  const words = (one) =>
    `${one.impact} ${one.id}: ${one.help}\n${one.nodes
      .slice(0, 4)
      .map((node) => `    ${node.html.slice(0, 160)}\n    ${node.failureSummary?.split('\n').slice(1, 2)}`)
      .join('\n')}`;
  return {
    grave: grave.map(words),
    mild: found.violations
      .filter((one) => !grave.includes(one))
      .map((one) => `${one.impact} ${one.id} (${one.nodes.length})`),
  };
}

/** A picture for eyes; it is not compared with anything. */
export function picture(page, name, options = {}) {
  return page.screenshot({ path: join(OUT, `${name}.png`), ...options });
}
