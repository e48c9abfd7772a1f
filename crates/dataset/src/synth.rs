//! The built-in generator: demo data that behaves like daily prices.
//!
//! A GJR-GARCH(1,1) walk (Glosten, Jagannathan & Runkle 1993, J. Finance 48(5)) with innovations
//! of Student's t with 6 degrees of freedom: volatility clusters, falls raise it more than rises,
//! tails are fat. A day's return is an overnight gap and an intraday part; high and low are drawn
//! from the exact law of a Brownian bridge's extremes between open and close; volume rises with
//! volatility. Level, volatility and usual volume differ by symbol. A weak pull towards the
//! starting price keeps long histories within sane bounds.
//!
//! The same symbol, seed and length give the same bars on every machine: random bits come from
//! ChaCha8, every function beyond IEEE arithmetic from `libm`, and the calendar ends on a fixed
//! day, whatever the clock says.

use jiff::civil::{Date, Weekday};
use mambafleet_protocol::{Symbol, symbol_seed};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::{Bar, Bars, Origin};

/// The longest synthetic history; longer ones are cut to this.
pub const MAX_SYNTHETIC_BARS: usize = 100_000;

/// The last synthetic day, a Wednesday.
const LAST_DAY: Date = Date::constant(2025, 12, 31);

// GJR-GARCH: v' = OMEGA * base + (ALPHA + GAMMA [r < 0]) r^2 + BETA v, all in units in which the
// long-run mean of v is the symbol's base variance.
const ALPHA: f64 = 0.06;
const GAMMA: f64 = 0.06;
const BETA: f64 = 0.895;
const OMEGA: f64 = 1.0 - ALPHA - GAMMA / 2.0 - BETA;

/// The part of a day's variance that falls into the night.
const NIGHT: f64 = 0.2;
/// The daily pull of the logarithmic price towards its start.
const PULL: f64 = 0.0005;
/// The largest daily volatility.
const MAX_VOLATILITY: f64 = 0.12;
/// The smallest price: one that survives rounding to four decimals.
const MIN_PRICE: f64 = 0.01;

/// Makes `bars` daily bars (at most [`MAX_SYNTHETIC_BARS`]) on the weekdays up to 2025-12-31.
/// Prices have four decimals, volumes are whole.
#[must_use]
pub fn synthesize(symbol: &Symbol, bars: usize, seed: u64) -> Bars {
    let mut market = Market::new(symbol_seed(seed, symbol));
    let days = weekdays(bars.min(MAX_SYNTHETIC_BARS));
    Bars {
        symbol: symbol.clone(),
        origin: Origin::Synthetic { seed },
        bars: days.into_iter().map(|date| market.day(date)).collect(),
        columns: Vec::new(),
        reading: None,
    }
}

/// The last `count` weekdays up to [`LAST_DAY`], oldest first.
fn weekdays(count: usize) -> Vec<Date> {
    let working = |day: &Date| !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    let back = std::iter::successors(Some(LAST_DAY), |day| day.yesterday().ok());
    let mut days: Vec<Date> = back.filter(working).take(count).collect();
    days.reverse();
    days
}

/// One symbol's market, day after day.
struct Market {
    noise: Noise,
    /// Long-run daily variance.
    base: f64,
    /// Variance of the coming day.
    variance: f64,
    /// Logarithm of the starting price.
    anchor: f64,
    /// Logarithm of the last close.
    price: f64,
    /// Logarithm of the usual volume.
    usual_volume: f64,
}

impl Market {
    fn new(seed: u64) -> Self {
        let mut noise = Noise::new(seed);
        let volatility = 0.011 + 0.015 * noise.uniform();
        let anchor = libm::log(20.0) + libm::log(15.0) * noise.uniform();
        let usual_volume = libm::log(1e6) + libm::log(50.0) * noise.uniform();
        let base = volatility * volatility;
        Self { noise, base, variance: base, anchor, price: anchor, usual_volume }
    }

    fn day(&mut self, date: Date) -> Bar {
        let before = self.price;
        let sigma = self.variance.sqrt();
        let gap = sigma * NIGHT.sqrt() * self.noise.student() + PULL * (self.anchor - before);
        let day_sigma = sigma * (1.0 - NIGHT).sqrt();
        let move_in_day = day_sigma * self.noise.student();
        let rise = self.noise.bridge_maximum(move_in_day, day_sigma);
        let fall = self.noise.bridge_maximum(-move_in_day, day_sigma);
        let volume = self.volume(sigma, move_in_day);

        let open = before + gap;
        self.price = open + move_in_day;
        self.age(self.price - before);
        Bar {
            date,
            open: price(open),
            high: price(open + rise),
            low: price(open - fall),
            close: price(self.price),
            volume,
        }
    }

    /// The variance of the day after a return of `r`.
    fn age(&mut self, r: f64) {
        let shock = if r < 0.0 { ALPHA + GAMMA } else { ALPHA };
        let next = OMEGA * self.base + shock * (r * r) + BETA * self.variance;
        self.variance = next.min(MAX_VOLATILITY * MAX_VOLATILITY);
    }

    /// More is traded when volatility is high and when the day moves far.
    fn volume(&mut self, sigma: f64, move_in_day: f64) -> f64 {
        let unrest = libm::log(sigma / self.base.sqrt());
        let surprise = (move_in_day / sigma).abs();
        let log = self.usual_volume + 0.7 * unrest + 0.25 * surprise + 0.25 * self.noise.normal();
        libm::round(libm::exp(log))
    }
}

/// A price from its logarithm, with four decimals.
fn price(log: f64) -> f64 {
    libm::round(libm::exp(log).max(MIN_PRICE) * 1e4) / 1e4
}

/// Random numbers that are the same everywhere.
struct Noise(ChaCha8Rng);

impl Noise {
    fn new(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Uniform in (0, 1), both ends excluded.
    fn uniform(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1_u64 << 52) as f64;
        ((self.0.next_u64() >> 12) as f64 + 0.5) * STEP
    }

    /// Standard normal, by Box and Muller (1958).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(self.uniform())).sqrt();
        radius * libm::cos(2.0 * std::f64::consts::PI * self.uniform())
    }

    /// Student's t with 6 degrees of freedom, scaled to variance 1: a normal over the root of a
    /// chi-square, itself a sum of three exponentials.
    fn student(&mut self) -> f64 {
        let product = self.uniform() * self.uniform() * self.uniform();
        self.normal() * (4.0 / (-2.0 * libm::log(product))).sqrt()
    }

    /// The highest point of a Brownian bridge from 0 to `end` with standard deviation `sigma`.
    fn bridge_maximum(&mut self, end: f64, sigma: f64) -> f64 {
        let spread = -2.0 * sigma * sigma * libm::log(self.uniform());
        (end + (end * end + spread).sqrt()) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_raises_volatility_more_than_a_rally_and_never_beyond_its_limit() {
        let variance_after = |r: f64| {
            let mut market = Market::new(1);
            market.age(r);
            market.variance
        };
        assert!(variance_after(-0.05) > variance_after(0.05));
        assert!(variance_after(0.05) > variance_after(0.0));
        assert_eq!(variance_after(-0.9), MAX_VOLATILITY * MAX_VOLATILITY);
    }
}
