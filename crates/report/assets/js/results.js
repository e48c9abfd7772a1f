'use strict';
// What the forecasts of all symbols are worth together, and the run beside an earlier one.

/** How many symbols a list of changes holds at first. */
const CHANGES_SHOWN = 8;

/** A distribution as its median with the ends. */
function distribution(found, show) {
  if (!found) return DASH;
  return el(
    'span',
    {},
    el('b', { text: show(found.median) }),
    el('small', { class: 'dim', text: ` ${show(found.min)} to ${show(found.max)}` }),
  );
}

/** The forecasts of a horizon by whose they are. */
function forecastOf(horizon, of) {
  return horizon.forecasts.find((one) => one.of === of);
}

/** A comparison with another forecast: for how many symbols it is better, for how many worse. */
function tallyWords(horizon, against, loss) {
  const found = horizon.comparisons.find((one) => one.of === 'model' && one.against === against && one.loss === loss);
  return found
    ? el(
        'span',
        {},
        el('b', { text: `${found.better} better` }),
        el('small', { class: 'dim', text: `${found.worse} worse of ${found.symbols}` }),
      )
    : DASH;
}

/** The evaluation over symbols; null where there are no forecasts of returns. */
function evaluationSection(page) {
  const { evaluation } = page;
  if (!evaluation?.horizons?.length) return null;
  const { horizons } = evaluation;
  const limit = Math.max(
    0.01,
    ...horizons.flatMap(({ pinball_skill: skill }) => (skill ? [Math.abs(skill.min), Math.abs(skill.max)] : [])),
  );
  const lead = el('p', {
    class: 'dim',
    text:
      `Out-of-sample forecasts of ${plural(evaluation.symbols.length, 'symbol')}, median over symbols with the smallest ` +
      'and the largest. Better and worse count what is significant after a correction for the number of symbols.',
  });
  const share = (value) => percent(value, 1, true);
  const rows = horizons.map((horizon) => horizonCells(horizon, limit, share));
  const head = [
    'Horizon',
    'Skill over EWMA quantiles',
    'Range',
    'Outcomes inside the widest interval',
    'Direction right',
    'IC across symbols',
    'Pinball loss against EWMA',
    'Squared error against no change',
    'Point forecasts',
  ];
  const details = el(
    'details',
    { class: 'more', data: { fold: 'metrics' } },
    el('summary', { text: 'Every forecast and metric' }),
    horizons.map(contenderTable),
  );
  return section(
    'evaluation',
    'What the forecasts are worth',
    lead,
    table('Evaluation by horizon', head, rows),
    details,
  );
}

/** One horizon of the evaluation. */
function horizonCells(horizon, limit, share) {
  const model = forecastOf(horizon, 'model');
  const cross = horizon.cross_section;
  const nominal = horizon.nominal_coverage?.median;
  return [
    plural(horizon.horizon, 'bar'),
    distribution(horizon.pinball_skill, share),
    horizon.pinball_skill ? spread(horizon.pinball_skill, limit) : '',
    model?.coverage
      ? el(
          'span',
          {},
          el('b', { text: percent(model.coverage.median) }),
          el('small', { class: 'dim', text: ` ${percent(nominal, 0)} wanted` }),
        )
      : DASH,
    model?.directional_accuracy
      ? el(
          'span',
          {},
          el('b', { text: percent(model.directional_accuracy.median) }),
          el('small', { class: 'dim', text: ` always up ${percent(model.always_up?.median)}` }),
        )
      : DASH,
    cross
      ? el(
          'span',
          {},
          el('b', { text: fixed(cross.ic, 3) }),
          el('small', {
            class: 'dim',
            text: `${isNumber(cross.t) ? `t ${fixed(cross.t, 1)}, ` : ''}${plural(cross.days, 'day')}`,
          }),
        )
      : DASH,
    tallyWords(horizon, 'ewma_quantiles', 'pinball'),
    tallyWords(horizon, 'zero', 'squared_error'),
    isNumber(horizon.point_forecasts) ? plural(horizon.point_forecasts, 'symbol') : DASH,
  ];
}

/** Every contender of a horizon, medians over symbols. */
function contenderTable(horizon) {
  const median = (found, decimals) => fixed(found?.median, decimals);
  const rows = horizon.forecasts.map((one) => [
    CONTENDERS[one.of] ?? one.of,
    median(one.pinball, 4),
    percent(one.coverage?.median),
    median(one.rmse, 5),
    median(one.mae, 5),
    median(one.mase, 3),
    percent(one.skill_against_zero?.median, 2, true),
    percent(one.directional_accuracy?.median),
    median(one.ic, 3),
  ]);
  const title = `Horizon of ${plural(horizon.horizon, 'bar')}`;
  return [
    el('h3', { text: title }),
    table(
      title,
      ['Forecast', 'Pinball', 'Coverage', 'RMSE', 'MAE', 'MASE', 'Skill over no change', 'Direction', 'IC'],
      rows,
      { numeric: [1, 2, 3, 4, 5, 6, 7, 8] },
    ),
  ];
}

/** Symbols by what became of them since the earlier run. */
function changesOf({ compare, symbols }) {
  const paired = compare.rows
    .map((old) => ({ old, row: symbols[old.i], change: changeBetween(old, symbols[old.i]) }))
    .filter(({ row }) => row);
  const good = (outcome) => GOOD.includes(outcome);
  return {
    broken: paired.filter(
      ({ old, row }) => good(old.outcome) && ['failed', 'skipped', 'interrupted', 'unbegun'].includes(row.state),
    ),
    mended: paired.filter(({ old, row }) => !good(old.outcome) && good(row.state)),
    worse: paired.filter(({ change }) => verdictOf(change, false) === 'bad').sort((a, b) => b.change - a.change),
    better: paired.filter(({ change }) => verdictOf(change, false) === 'good').sort((a, b) => a.change - b.change),
  };
}

/** The test loss now against that of the earlier run, as a share. */
function changeBetween(old, row) {
  return row && isCurrent(row) && isNumber(old.test) && isNumber(row.test) && old.test
    ? (row.test - old.test) / Math.abs(old.test)
    : null;
}

/** The run beside an earlier one; null where there is none. */
function compareSection(page) {
  const { compare } = page;
  if (!compare) return null;
  const found = changesOf(page);
  const lead = el(
    'p',
    { class: 'dim' },
    'Beside run ',
    el('code', { text: compare.run }),
    ' of ',
    when(compare.started_at),
    '. Test losses are of other windows where data have come since.',
  );
  const sums = el(
    'ul',
    { class: 'sums' },
    sumOf(found.broken, 'broken since', 'bad'),
    sumOf(found.mended, 'mended', 'good'),
    sumOf(found.worse, 'worse', 'bad'),
    sumOf(found.better, 'better', 'good'),
    sumOf(compare.added, 'new', null),
    sumOf(compare.missing, 'missing', null),
  );
  const lists = el('div', { class: 'two' }, changeList('Worse', found.worse), changeList('Better', found.better));
  return section(
    'compare',
    'Against the earlier run',
    lead,
    sums,
    outcomeChanges('Broken since', found.broken),
    outcomeChanges('Mended', found.mended),
    lists,
    namesLine('New', compare.added),
    namesLine('Missing', compare.missing),
  );
}

/** A count with its word. */
function sumOf(list, word, sense) {
  return el('li', { class: list.length ? sense : 'dim' }, el('b', { text: count(list.length) }), ` ${word}`);
}

/** Names of symbols after a word. */
function namesLine(title, names) {
  return names.length ? el('p', {}, el('b', { text: `${title}: ` }), namesOf(names)) : null;
}

/** A link to a symbol. */
function symbolLink(row) {
  return el('a', { href: `#${encodeURIComponent(row.s)}`, class: 'sym', text: row.s });
}

/** Symbols that fail now and did not, or the other way round. */
function outcomeChanges(title, list) {
  if (!list.length) return null;
  const shown = list.slice(0, 20).map(({ row }) => el('li', {}, symbolLink(row)));
  return el(
    'div',
    {},
    el('h3', { text: title }),
    el('ul', { class: 'names' }, shown, list.length > 20 ? el('li', { text: `and ${list.length - 20} more` }) : null),
  );
}

/** The largest changes of the test loss, the rest behind a fold. */
function changeList(title, list) {
  const cells = ({ old, row, change }) => [
    symbolLink(row),
    fixed(old.test),
    fixed(row.test),
    el('span', { class: verdictOf(change, false), text: percent(change, 1, true) }),
  ];
  const shape = (part, caption) =>
    table(caption, ['Symbol', 'Then', 'Now', 'Change of test loss'], part.map(cells), { numeric: [1, 2, 3] });
  const rest = list.slice(CHANGES_SHOWN);
  return el(
    'div',
    {},
    el('h3', { text: `${title} (${list.length})` }),
    list.length ? shape(list.slice(0, CHANGES_SHOWN), title) : el('p', { class: 'dim', text: 'None.' }),
    rest.length
      ? el(
          'details',
          { class: 'more', data: { fold: title } },
          el('summary', { text: `${rest.length} more` }),
          shape(rest, `${title}, the rest`),
        )
      : null,
  );
}
