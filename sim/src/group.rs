//! Sets of nodes, as faults and scenarios name them.
//!
//! | text | who |
//! |---|---|
//! | `all` | every node |
//! | `n3` `n0-n9` `n1,n4-n7` | by number |
//! | `share(0.25,17)` | a quarter of all nodes, picked by the number 17 |
//! | `!n3` | everybody else |

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A set of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// Every node.
    All,
    /// Everybody who is not in the group.
    Not(Arc<Self>),
    /// Spans of numbers, first and last.
    Spans(Arc<[(u32, u32)]>),
    /// So many of a thousand nodes, picked by a salt.
    Share {
        /// How many of a thousand.
        thousandths: u32,
        /// Decides who.
        salt: u64,
    },
}

impl Group {
    /// One node.
    #[must_use]
    pub fn one(node: u32) -> Self {
        Self::Spans(Arc::from([(node, node)]))
    }

    /// These nodes.
    #[must_use]
    pub fn of(nodes: impl IntoIterator<Item = u32>) -> Self {
        let mut nodes: Vec<u32> = nodes.into_iter().collect();
        nodes.sort_unstable();
        let mut spans: Vec<(u32, u32)> = Vec::new();
        for node in nodes {
            match spans.last_mut() {
                Some((_, last)) if *last + 1 >= node => *last = node,
                _ => spans.push((node, node)),
            }
        }
        Self::Spans(spans.into())
    }

    /// Everybody else.
    #[must_use]
    pub fn others(&self) -> Self {
        match self {
            Self::Not(group) => Self::clone(group),
            Self::All | Self::Spans(_) | Self::Share { .. } => Self::Not(Arc::new(self.clone())),
        }
    }

    /// Whether the node is one of them.
    #[must_use]
    pub fn holds(&self, node: u32) -> bool {
        match self {
            Self::All => true,
            Self::Not(group) => !group.holds(node),
            Self::Spans(spans) => spans.iter().any(|(a, b)| (*a..=*b).contains(&node)),
            Self::Share { thousandths, salt } => scatter(*salt, node) < u64::from(*thousandths),
        }
    }

    /// The members among nodes `0..nodes`.
    pub fn members(&self, nodes: u32) -> impl Iterator<Item = u32> + '_ {
        (0..nodes).filter(|node| self.holds(*node))
    }

    /// The greatest number that is named, if any is.
    #[must_use]
    pub fn greatest(&self) -> Option<u32> {
        match self {
            Self::All | Self::Share { .. } => None,
            Self::Not(group) => group.greatest(),
            Self::Spans(spans) => spans.iter().map(|(_, last)| *last).max(),
        }
    }

    /// Replaces who is named beyond nodes `0..nodes` by one of them.
    pub fn fold_into(&mut self, nodes: u32) {
        match self {
            Self::Not(group) => {
                let mut folded = Self::clone(group);
                folded.fold_into(nodes);
                *self = folded.others();
            }
            Self::Spans(spans) if spans.iter().any(|(_, last)| *last >= nodes) => {
                let named = spans.iter().flat_map(|(first, last)| *first..=*last);
                let mut folded: Vec<u32> = named.map(|node| node % nodes.max(1)).collect();
                folded.sort_unstable();
                folded.dedup();
                *self = Self::of(folded);
            }
            Self::All | Self::Share { .. } | Self::Spans(_) => {}
        }
    }

    /// Keeps the first half of its members among nodes `0..nodes`, or the second, if it has two.
    pub fn halve(&mut self, nodes: u32, half: usize) {
        let members: Vec<u32> = self.members(nodes).collect();
        let (first, second) = members.split_at(members.len().div_ceil(2));
        let kept = if half == 0 { first } else { second };
        if members.len() > 1 {
            *self = Self::of(kept.iter().copied());
        }
    }
}

/// A number below a thousand that belongs to (salt, node).
const fn scatter(salt: u64, node: u32) -> u64 {
    let mut word = salt ^ (node as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (word ^ (word >> 31)) % 1_000
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Not(group) => write!(f, "!{group}"),
            Self::Share { thousandths, salt } => {
                write!(
                    f,
                    "share({}.{:03},{salt})",
                    thousandths / 1_000,
                    thousandths % 1_000
                )
            }
            Self::Spans(spans) => {
                for (place, (first, last)) in spans.iter().enumerate() {
                    let comma = if place > 0 { "," } else { "" };
                    if first == last {
                        write!(f, "{comma}n{first}")?;
                    } else {
                        write!(f, "{comma}n{first}-n{last}")?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// A text that names no group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAGroup(pub String);

impl fmt::Display for NotAGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} names no nodes; write n3, n0-n9, n1,n4-n7, all, share(0.25,17) or !n3",
            self.0
        )
    }
}

impl std::error::Error for NotAGroup {}

impl FromStr for Group {
    type Err = NotAGroup;

    fn from_str(text: &str) -> Result<Self, NotAGroup> {
        parse(text).ok_or_else(|| NotAGroup(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Group> {
    if text == "all" {
        return Some(Group::All);
    }
    if let Some(rest) = text.strip_prefix('!') {
        return Some(Group::Not(Arc::new(parse(rest)?)));
    }
    if let Some(inner) = text
        .strip_prefix("share(")
        .and_then(|rest| rest.strip_suffix(')'))
    {
        let (share, salt) = inner.split_once(',')?;
        let thousandths = crate::text::decimal(share, 3)?;
        return (thousandths <= 1_000).then_some(Group::Share {
            thousandths: thousandths as u32,
            salt: salt.trim().parse().ok()?,
        });
    }
    let mut spans = Vec::new();
    for part in text.split(',') {
        let number = |text: &str| text.strip_prefix('n')?.parse::<u32>().ok();
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if first > last {
            return None;
        }
        spans.push((first, last));
    }
    Some(Group::Spans(spans.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        for text in [
            "all",
            "n3",
            "n0-n9",
            "n1,n4-n7",
            "share(0.250,17)",
            "!n3",
            "!share(1.000,0)",
        ] {
            let group: Group = text.parse().expect(text);
            assert_eq!(group.to_string(), text);
        }
        for bad in [
            "",
            "3",
            "n",
            "n5-n3",
            "share(2,1)",
            "share(0.5)",
            "!",
            "n1,,n2",
            "eu",
        ] {
            assert!(bad.parse::<Group>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_group_is_folded_and_halved() {
        let changed = |text: &str, change: &dyn Fn(&mut Group)| {
            let mut group: Group = text.parse().expect(text);
            change(&mut group);
            group.to_string()
        };
        for (text, folded) in [
            ("n6", "n2"),
            ("n1,n3-n5", "n0-n1,n3"),
            ("!n6", "!n2"),
            ("all", "all"),
            ("n0-n3", "n0-n3"),
        ] {
            assert_eq!(changed(text, &|group| group.fold_into(4)), folded);
        }
        for (text, first, second) in [
            ("n0-n4", "n0-n2", "n3-n4"),
            ("n3", "n3", "n3"),
            ("!n0", "n1-n3", "n4-n5"),
        ] {
            assert_eq!(changed(text, &|group| group.halve(6, 0)), first);
            assert_eq!(changed(text, &|group| group.halve(6, 1)), second);
        }
    }

    #[test]
    fn a_share_is_as_large_as_asked_and_the_others_are_the_rest() {
        let group: Group = "share(0.3,5)".parse().expect("a group");
        let members = group.members(10_000).count();
        assert!((2_800..3_200).contains(&members), "{members}");
        assert_eq!(group.others().members(10_000).count(), 10_000 - members);
        assert_eq!(Group::of([4, 1, 5, 6]).to_string(), "n1,n4-n6");
    }
}
