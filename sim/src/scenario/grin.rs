//! The table `[grin]`: which Mimblewimble network there is, who mines, and who pays.

use peerage_core::time::{Duration, micros};

use super::read::{set, share, time};
use super::section::{Result, Section};
use crate::grin::Net;
use crate::group::Group;
use crate::text::{Exactly, Percent};

/// Reads the table; what it does not say stays as it is in `base`. `off = true` says that there is no
/// such network, where one would be drawn.
pub(super) fn read(
    section: Section<'_>,
    base: Option<Net>,
    group: &dyn Fn(&str) -> Option<Group>,
) -> Result<Option<Net>> {
    if section.truth("off")? == Some(true) {
        section.finish()?;
        return Ok(None);
    }
    let mut net = base.unwrap_or_default();
    let whom = |key: &str| {
        section.meaning(key, |name| {
            group(name).ok_or_else(|| format!("{name:?} names no nodes"))
        })
    };
    set(&mut net.nodes, whom("nodes")?);
    set(&mut net.miners, whom("miners")?);
    if let Some(interval) = section.meaning("interval", time)? {
        if interval < SHORTEST {
            return Err(section.error("interval", "blocks are a second apart at least"));
        }
        net.interval = Duration::from_micros(interval);
    }
    let purses = section.within("purses", 1, 1_000)?;
    set(&mut net.purses, purses.map(|many| many as u32));
    let links = section.within("links", 1, 1_000)?;
    set(&mut net.links_max, links.map(|many| many as usize));
    for (key, place) in [("payments", &mut net.payments), ("reads", &mut net.reads)] {
        let many = section.within(key, 0, 1_000_000)?;
        set(place, many.map(|many| many as u32));
    }
    set(&mut net.fluff, section.meaning("fluff", share)?);
    set(&mut net.odd, section.meaning("odd", share)?);
    section.finish()?;
    Ok(Some(net))
}

/// Headers carry seconds.
const SHORTEST: u64 = 1_000_000;

/// What to write so that `read` gives `is` for who has `base`: keys with values.
pub(crate) fn said(base: Option<&Net>, is: Option<&Net>) -> Vec<(&'static str, String)> {
    let Some(is) = is else {
        let off = ("off", "true".to_owned());
        return base.map(|_| off).into_iter().collect();
    };
    let base = base.cloned().unwrap_or_default();
    let words = |of: &Net| {
        let quoted = |text: &dyn std::fmt::Display| format!("\"{text}\"");
        [
            ("nodes", quoted(&of.nodes)),
            ("miners", quoted(&of.miners)),
            ("interval", quoted(&Exactly(micros(of.interval)))),
            ("purses", of.purses.to_string()),
            ("links", of.links_max.to_string()),
            ("payments", of.payments.to_string()),
            ("fluff", quoted(&Percent(of.fluff))),
            ("odd", quoted(&Percent(of.odd))),
            ("reads", of.reads.to_string()),
        ]
    };
    let both = words(is).into_iter().zip(words(&base));
    both.filter(|(is, base)| is != base)
        .map(|(is, _)| is)
        .collect()
}
