//! A table with slots that are reused under a new generation, so that stale names meet nobody.

/// A slot and the generation of its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot {
    index: u32,
    generation: u32,
}

impl Slot {
    /// Before every other.
    pub(crate) const FIRST: Self = Self {
        index: 0,
        generation: 0,
    };
    /// After every other.
    pub(crate) const LAST: Self = Self {
        index: u32::MAX,
        generation: u32::MAX,
    };

    pub(crate) const fn as_u64(self) -> u64 {
        (self.index as u64) << 32 | self.generation as u64
    }
}

/// Values under names that are never given twice (within 2^32 reuses of one slot).
#[derive(Clone, Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slots<T> {
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, value: T) -> Slot {
        if let Some(index) = self.free.pop() {
            let (generation, slot) = &mut self.slots[index as usize];
            *generation = generation.wrapping_add(1);
            *slot = Some(value);
            return Slot {
                index,
                generation: *generation,
            };
        }
        let index = u32::try_from(self.slots.len()).expect("tables hold fewer than 2^32 entries");
        self.slots.push((0, Some(value)));
        Slot {
            index,
            generation: 0,
        }
    }

    /// All values, in the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|(_, value)| value.as_ref())
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        match self.slots.get(slot.index as usize) {
            Some((generation, value)) if *generation == slot.generation => value.as_ref(),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        match self.slots.get_mut(slot.index as usize) {
            Some((generation, value)) if *generation == slot.generation => value.as_mut(),
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<T> {
        let value = match self.slots.get_mut(slot.index as usize) {
            Some((generation, value)) if *generation == slot.generation => value.take()?,
            _ => return None,
        };
        self.free.push(slot.index);
        Some(value)
    }
}
