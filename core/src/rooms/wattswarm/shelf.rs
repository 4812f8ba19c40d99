//! Sorted lists that can be handed out without being copied.
//!
//! A list of a hundred thousand records is asked for while it changes. It is kept in sections behind
//! `Arc`s: handing it out copies pointers to sections, a change copies one section at most.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Something that has a place in a sorted list.
pub trait Shelved: Clone {
    /// Who stands first. Equal things replace each other.
    fn order(&self, other: &Self) -> Ordering;
}

/// Things in the order of their places.
#[derive(Clone)]
pub(super) struct Shelf<T> {
    sections: Vec<Arc<Vec<T>>>,
    len: usize,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            sections: Vec::new(),
            len: 0,
        }
    }
}

impl<T> fmt::Debug for Shelf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shelf({} things)", self.len)
    }
}

impl<T: Shelved> Shelf<T> {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Puts `thing` in its place; what stood there is gone.
    pub(super) fn put(&mut self, thing: T) {
        let at = self.section(|other| other.order(&thing));
        let Some(section) = self.sections.get_mut(at) else {
            self.sections.push(Arc::new(vec![thing]));
            self.len += 1;
            return;
        };
        let things = Arc::make_mut(section);
        match things.binary_search_by(|other| other.order(&thing)) {
            Ok(place) => things[place] = thing,
            Err(place) => {
                things.insert(place, thing);
                self.len += 1;
                if things.len() > SECTION_MAX {
                    let rest = things.split_off(SECTION_MAX / 2);
                    self.sections.insert(at + 1, Arc::new(rest));
                }
            }
        }
    }

    /// Takes out what `order` says is equal to what is sought.
    pub(super) fn take(&mut self, order: impl Fn(&T) -> Ordering) {
        let at = self.section(&order);
        let Some(section) = self.sections.get_mut(at) else {
            return;
        };
        if let Ok(place) = section.binary_search_by(&order) {
            let things = Arc::make_mut(section);
            things.remove(place);
            self.len -= 1;
            if things.is_empty() {
                self.sections.remove(at);
            }
        }
    }

    /// What `order` says is equal to what is sought.
    pub(super) fn find(&self, order: impl Fn(&T) -> Ordering) -> Option<&T> {
        let section = self.sections.get(self.section(&order))?;
        section.get(section.binary_search_by(&order).ok()?)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.sections.iter().flat_map(|section| section.iter())
    }

    /// All of it as it is at this moment.
    pub(super) fn listing(&self) -> Listing<T> {
        Listing {
            sections: self.sections.clone(),
        }
    }

    /// The section in which something is or would be; the first if there is none at all.
    fn section(&self, order: impl Fn(&T) -> Ordering) -> usize {
        let begins_before = |section: &Arc<Vec<T>>| {
            let first = section.first();
            first.is_some_and(|first| order(first).is_le())
        };
        self.sections
            .partition_point(begins_before)
            .saturating_sub(1)
    }
}

/// Things of a section; more are split in two.
const SECTION_MAX: usize = 128;

/// A list as it was at one moment.
#[derive(Clone)]
pub struct Listing<T> {
    sections: Vec<Arc<Vec<T>>>,
}

impl<T> Listing<T> {
    /// A list of these things, which are in order.
    #[must_use]
    pub fn new(things: Vec<T>) -> Self {
        Self {
            sections: vec![Arc::new(things)],
        }
    }

    /// All things in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.sections.iter().flat_map(|section| section.iter())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sections.iter().map(|section| section.len()).sum()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T: fmt::Debug> fmt::Debug for Listing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: PartialEq> PartialEq for Listing<T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Hash> Hash for Listing<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for thing in self.iter() {
            thing.hash(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Word(u32, &'static str);

    impl Shelved for Word {
        fn order(&self, other: &Self) -> Ordering {
            self.0.cmp(&other.0)
        }
    }

    fn find(shelf: &Shelf<Word>, number: u32) -> Option<u32> {
        shelf.find(|word| word.0.cmp(&number)).map(|word| word.0)
    }

    #[test]
    fn things_stand_in_order_whatever_order_they_come_in() {
        let mut shelf = Shelf::default();
        for number in 0..1_000_u32 {
            shelf.put(Word(number * 7_919 % 1_000, "a"));
        }
        let numbers: Vec<u32> = shelf.iter().map(|word| word.0).collect();
        assert_eq!(numbers, (0..1_000).collect::<Vec<u32>>());
        assert_eq!(shelf.len(), 1_000);
        assert!(
            shelf
                .sections
                .iter()
                .all(|section| section.len() <= SECTION_MAX)
        );
        for number in 0..1_000 {
            assert_eq!(find(&shelf, number), Some(number));
            shelf.take(|word| word.0.cmp(&number));
            shelf.take(|word| word.0.cmp(&number));
            assert_eq!(find(&shelf, number), None);
        }
        assert_eq!((shelf.len(), shelf.sections.len()), (0, 0));
    }

    #[test]
    fn a_list_that_was_handed_out_stays_as_it_was() {
        let mut shelf = Shelf::default();
        shelf.put(Word(1, "before"));
        let listing = shelf.listing();
        shelf.put(Word(1, "after"));
        shelf.put(Word(2, "new"));
        assert_eq!(listing, Listing::new(vec![Word(1, "before")]));
        assert_eq!(shelf.listing().len(), 2);
    }
}
