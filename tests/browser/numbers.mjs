// Numbers from a seed, and what made-up reports have in common.
export const EVIL = '</script><img src=x onerror=alert(1)><!--<script>';
export const START = Date.UTC(2026, 10, 28, 23, 0, 4);
export const HORIZONS = [1, 5, 20];
export const LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95];

/** Numbers between 0 and 1, the same for the same seed (mulberry32). */
export function numbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Rounded as the report rounds: five significant digits. */
export const round = (value) => Number(value.toPrecision(5));

/** About normal. */
export const normal = (random) => Array.from({ length: 12 }, random).reduce((a, b) => a + b, 0) - 6;
