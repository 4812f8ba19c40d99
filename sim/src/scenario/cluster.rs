//! The table `[cluster]`: which clusters there are, and what operators do with them.

use peerage_core::time::{Duration, micros};

use super::read::{set, time};
use super::section::{Result, Section};
use crate::cluster::{Chores, Clusters};

/// Reads the table; what it does not say stays as it is in `base`. `off = true` says that there are
/// no clusters, where some would be drawn.
pub(super) fn read(section: Section<'_>, base: Option<Clusters>) -> Result<Option<Clusters>> {
    if section.truth("off")? == Some(true) {
        section.finish()?;
        return Ok(None);
    }
    let mut clusters = base.unwrap_or_default();
    let licences = section.within("licences", 1, 1_000)?;
    set(&mut clusters.licences, licences.map(|many| many as u32));
    let nodes_max = section.within("nodes-max", 1, 1_000_000)?;
    set(&mut clusters.nodes_max, nodes_max.map(|many| many as u32));
    set(&mut clusters.secret, section.truth("secret")?);
    set(&mut clusters.sold, section.truth("sold")?);
    if let Some(interval) = section.meaning("gossip-interval", time)? {
        if interval == 0 {
            return Err(section.error("gossip-interval", "nodes need a pause between two rounds"));
        }
        clusters.gossip_interval = Duration::from_micros(interval);
    }
    for (key, weight) in chores(&mut clusters.work) {
        let number = section.within(key, 0, 1_000_000)?;
        set(weight, number.map(|number| number as u32));
    }
    section.finish()?;
    Ok(Some(clusters))
}

/// What to write so that `read` gives `is` for who has `base`: keys with values.
pub(crate) fn said(base: Option<&Clusters>, is: Option<&Clusters>) -> Vec<(&'static str, String)> {
    let Some(is) = is else {
        let off = ("off", "true".to_owned());
        return base.map(|_| off).into_iter().collect();
    };
    let mut base = base.cloned().unwrap_or_default();
    let mut is = is.clone();
    let mut all = vec![
        (
            "licences",
            base.licences.to_string(),
            is.licences.to_string(),
        ),
        (
            "nodes-max",
            base.nodes_max.to_string(),
            is.nodes_max.to_string(),
        ),
        ("secret", base.secret.to_string(), is.secret.to_string()),
        ("sold", base.sold.to_string(), is.sold.to_string()),
    ];
    let interval = |of: &Clusters| {
        let exactly = crate::text::Exactly(micros(of.gossip_interval));
        format!("\"{exactly}\"")
    };
    all.push(("gossip-interval", interval(&base), interval(&is)));
    let weights = chores(&mut base.work).into_iter().zip(chores(&mut is.work));
    all.extend(weights.map(|((key, base), (_, is))| (key, base.to_string(), is.to_string())));
    all.into_iter()
        .filter(|(_, base, is)| base != is)
        .map(|(key, _, is)| (key, is))
        .collect()
}

fn chores(work: &mut Chores) -> [(&'static str, &mut u32); 9] {
    [
        ("add", &mut work.add),
        ("delete", &mut work.delete),
        ("rename", &mut work.rename),
        ("read", &mut work.read),
        ("leave", &mut work.leave),
        ("init", &mut work.init),
        ("token", &mut work.token),
        ("credential", &mut work.credential),
        ("rotate", &mut work.rotate),
    ]
}
