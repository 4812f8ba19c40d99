//! How likely a failure is from a moment on: copies with other luck, counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::branch::Branch;
use crate::options::Time;
use crate::run::{Phase, Run};
use crate::text::Exactly;

/// Moments that are looked at first, and how often the steepest part is halved after that.
const MOMENTS: u64 = 8;
const HALVINGS: u32 = 5;
/// Virtual time between two looks whether a copy has failed.
const STEP: u64 = 1_000_000;

/// In how many of `tries` copies a failure follows, with luck of seeds from `from` on.
fn failures(run: &Run, tries: u64, from: u64) -> u64 {
    (0..tries)
        .filter(|number| {
            let mut copy = run.clone();
            copy.reseed(from.wrapping_add(*number));
            while copy.findings() == 0 && copy.phase() != Phase::Over {
                copy.advance(copy.now() + STEP);
            }
            copy.findings() > 0
        })
        .count() as u64
}

fn share(failed: u64, tries: u64) -> String {
    let part = |of: u64| (failed * of).checked_div(tries).unwrap_or(0);
    let (percent, width) = (part(100), part(30) as usize);
    format!(
        "{percent:>3} % {}{} {failed} of {tries} fail",
        "█".repeat(width),
        "·".repeat(30 - width)
    )
}

pub(super) fn likely(run: &Run, tries: u64, from: u64) -> String {
    if run.findings() > 0 {
        return format!("{}; it has failed already\n", share(tries, tries));
    }
    format!("{}\n", share(failures(run, tries, from), tries))
}

/// Where a failure became likely: several moments up to the first failure of this course, or up to
/// now if there is none, and more of them where it rises most.
pub(super) fn when(branch: &Branch, tries: u64) -> String {
    let mut walker = branch.clone();
    let (from, to) = (branch.begun(), end(branch));
    let mut failed = BTreeMap::new();
    let mut look = |at: u64| {
        walker.go_to_time(at);
        failures(walker.run(), tries, 0)
    };
    for moment in 0..=MOMENTS {
        let at = from + (to - from) * moment / MOMENTS;
        failed.entry(at).or_insert_with(|| look(at));
    }
    for _ in 0..HALVINGS {
        let Some((a, b)) = steepest(&failed, tries) else {
            break;
        };
        let at = a + (b - a) / 2;
        if at == a {
            break;
        }
        failed.insert(at, look(at));
    }
    let mut text = String::new();
    for (at, failed) in &failed {
        let at = Time(*at).to_string();
        let _ = writeln!(text, "{at:>10}  {}", share(*failed, tries));
    }
    let _ = match steepest(&failed, tries) {
        Some((a, b)) => writeln!(
            text,
            "it rises most between {} and {}: from {} to {} of {tries}",
            Exactly(a),
            Exactly(b),
            failed[&a],
            failed[&b],
        ),
        None => writeln!(text, "it rises nowhere by much"),
    };
    text
}

/// The neighbours between which failures rise most, if they do by more than chance would have it.
fn steepest(failed: &BTreeMap<u64, u64>, tries: u64) -> Option<(u64, u64)> {
    let neighbours = failed.iter().zip(failed.iter().skip(1));
    neighbours
        .map(|((a, before), (b, after))| (after.saturating_sub(*before), *a, *b))
        .filter(|(rise, ..)| *rise * 4 >= tries.max(1))
        // Of equals the first.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, a, b)| (a, b))
}

/// Just before the first failure of this course; now, if there is none.
fn end(branch: &Branch) -> u64 {
    let mut ahead = branch.clone();
    if ahead.run().findings() == 0 {
        ahead.until(|run, _| run.findings() > 0);
    }
    let first = ahead.run().world().findings().first().first();
    first.map_or_else(
        || branch.run().now(),
        |finding| finding.at.saturating_sub(1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steepest_rise_is_the_largest_and_the_first_of_such() {
        let steepest = |failed: &[u64]| steepest(&(0..).zip(failed.iter().copied()).collect(), 20);
        assert_eq!(steepest(&[0, 5, 3, 19, 20]), Some((2, 3)));
        assert_eq!(steepest(&[0, 8, 8, 16]), Some((0, 1)));
        assert_eq!(steepest(&[4, 8, 12, 2]), None, "no more than chance");
        assert_eq!(steepest(&[20, 0]), None);
        assert_eq!(steepest(&[]), None);
    }
}
