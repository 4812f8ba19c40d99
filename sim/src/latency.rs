//! How long a message takes: a distribution, written as operators speak of it.
//!
//! | text | microseconds |
//! |---|---|
//! | `50ms` | always the same |
//! | `40ms..60ms` | every time between the two is as likely |
//! | `normal(50ms,5ms)` | mean and standard deviation, never below zero |
//! | `exponential(10ms,30ms)` | a floor, and a tail with this mean above it |
//! | `lognormal(50ms,0.5)` | median, and standard deviation of the logarithm: a heavy tail |
//!
//! Logarithms come from `libm`, which is equal on every machine.

use std::fmt;
use std::str::FromStr;

use crate::seed::Luck;
use crate::text::{self, Exactly};

/// A distribution of times, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// Always the same.
    Fixed(u64),
    /// From the first to the second, both possible.
    Uniform(u64, u64),
    /// Mean and standard deviation.
    Normal(u64, u64),
    /// A floor, and the mean of what comes on top.
    Exponential(u64, u64),
    /// The median, and the standard deviation of the logarithm in thousandths.
    LogNormal(u64, u32),
}

impl Latency {
    /// One time.
    #[inline]
    pub fn draw(&self, luck: &mut Luck) -> u64 {
        match *self {
            Self::Fixed(time) => time,
            Self::Uniform(from, to) => from + luck.below(to - from + 1),
            Self::Normal(mean, deviation) => {
                let time = mean as f64 + deviation as f64 * bell(luck);
                time.max(0.0) as u64
            }
            Self::Exponential(floor, mean) => floor + (mean as f64 * -libm::log(part(luck))) as u64,
            Self::LogNormal(median, sigma) => {
                let exponent = f64::from(sigma) / 1_000.0 * bell(luck);
                (median as f64 * libm::exp(exponent)) as u64
            }
        }
    }

    /// The least that can be drawn.
    #[must_use]
    pub const fn floor(&self) -> u64 {
        match *self {
            Self::Fixed(time) => time,
            Self::Uniform(from, _) => from,
            Self::Exponential(floor, _) => floor,
            Self::Normal(_, _) | Self::LogNormal(_, _) => 0,
        }
    }
}

/// A number above zero and not above one.
fn part(luck: &mut Luck) -> f64 {
    ((luck.bits() >> 11) + 1) as f64 / (1_u64 << 53) as f64
}

/// A draw of the standard normal distribution (Box and Muller's transform).
fn bell(luck: &mut Luck) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log(part(luck)));
    radius * libm::cos(std::f64::consts::TAU * part(luck))
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Fixed(time) => write!(f, "{}", Exactly(time)),
            Self::Uniform(from, to) => write!(f, "{}..{}", Exactly(from), Exactly(to)),
            Self::Normal(mean, deviation) => {
                write!(f, "normal({},{})", Exactly(mean), Exactly(deviation))
            }
            Self::Exponential(floor, mean) => {
                write!(f, "exponential({},{})", Exactly(floor), Exactly(mean))
            }
            Self::LogNormal(median, sigma) => {
                write!(
                    f,
                    "lognormal({},{}.{:03})",
                    Exactly(median),
                    sigma / 1_000,
                    sigma % 1_000
                )
            }
        }
    }
}

/// A text that is no distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotALatency(pub String);

impl fmt::Display for NotALatency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no latency; write 50ms, 40ms..60ms, normal(50ms,5ms), exponential(10ms,30ms) \
             or lognormal(50ms,0.5)",
            self.0
        )
    }
}

impl std::error::Error for NotALatency {}

impl FromStr for Latency {
    type Err = NotALatency;

    fn from_str(text: &str) -> Result<Self, NotALatency> {
        parse(text.trim()).ok_or_else(|| NotALatency(text.to_owned()))
    }
}

/// No single message takes longer than an hour.
const LONGEST: u64 = 3_600_000_000;

fn parse(text: &str) -> Option<Latency> {
    let time = |text: &str| text::time(text.trim()).filter(|time| *time <= LONGEST);
    let two = |name: &str| {
        let inner = text.strip_prefix(name)?.strip_prefix('(')?;
        inner.strip_suffix(')')?.split_once(',')
    };
    if let Some((from, to)) = text.split_once("..") {
        let (from, to) = (time(from)?, time(to)?);
        return (from <= to).then_some(Latency::Uniform(from, to));
    }
    if let Some((mean, deviation)) = two("normal") {
        return Some(Latency::Normal(time(mean)?, time(deviation)?));
    }
    if let Some((floor, mean)) = two("exponential") {
        return Some(Latency::Exponential(time(floor)?, time(mean)?));
    }
    if let Some((median, sigma)) = two("lognormal") {
        let sigma = text::decimal(sigma, 3).filter(|sigma| *sigma <= 3_000)?;
        return Some(Latency::LogNormal(time(median)?, sigma as u32));
    }
    time(text).map(Latency::Fixed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seeds;

    /// The times below which these shares of many draws lie, in percent of what was expected.
    fn check(text: &str, expected: &[(usize, f64)]) {
        const DRAWS: usize = 100_000;
        let latency: Latency = text.parse().expect(text);
        assert_eq!(latency.to_string().parse(), Ok(latency), "{text}");
        let mut luck = Seeds::new(9).family("latency").luck(1);
        let mut times: Vec<u64> = (0..DRAWS).map(|_| latency.draw(&mut luck)).collect();
        times.sort_unstable();
        assert!(times[0] >= latency.floor());
        for (percent, time) in expected {
            let measured = times[DRAWS * percent / 100] as f64;
            let off = (measured - time).abs() / time;
            assert!(
                off < 0.02,
                "{text}: the {percent}th percentile is {measured}, not {time}"
            );
        }
    }

    #[test]
    fn percentiles_are_those_that_were_asked_for() {
        check("50ms", &[(1, 50_000.0), (99, 50_000.0)]);
        check(
            "40ms..60ms",
            &[(5, 41_000.0), (50, 50_000.0), (95, 59_000.0)],
        );
        check(
            "normal(50ms,5ms)",
            &[
                (16, 45_028.0),
                (50, 50_000.0),
                (84, 54_972.0),
                (99, 61_632.0),
            ],
        );
        check(
            "exponential(10ms,30ms)",
            &[(10, 13_161.0), (50, 30_794.0), (95, 99_872.0)],
        );
        check(
            "lognormal(50ms,0.5)",
            &[(16, 30_411.0), (50, 50_000.0), (95, 113_800.0)],
        );
    }

    #[test]
    fn what_is_no_latency_is_refused() {
        for bad in [
            "",
            "5",
            "60ms..40ms",
            "normal(5ms)",
            "normal(5ms,1)",
            "lognormal(5ms,9)",
            "2h",
        ] {
            assert!(bad.parse::<Latency>().is_err(), "{bad}");
        }
    }
}
