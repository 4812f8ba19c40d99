//! Counts by name over time, exact however long the run is.

/// Most steps of a series; when there would be more, each becomes twice as long.
const STEPS_MAX: usize = 2_000;

/// How often each of a few names came, by steps of time.
#[derive(Clone, Debug)]
pub(super) struct Series {
    step: u64,
    names: Vec<(&'static str, Vec<u32>)>,
}

impl Series {
    /// Nothing yet, in steps of so many microseconds.
    pub(super) const fn new(step: u64) -> Self {
        Self {
            step,
            names: Vec::new(),
        }
    }

    /// Counts a name once.
    pub(super) fn count(&mut self, at: u64, name: &'static str) {
        self.stretch(at);
        // The same name is nearly always the same text at the same place.
        let mut names = self.names.iter();
        let place = names.position(|(other, _)| std::ptr::eq(*other, name));
        let place = place.or_else(|| self.names.iter().position(|(other, _)| *other == name));
        let place = place.unwrap_or_else(|| {
            self.names.push((name, Vec::new()));
            self.names.len() - 1
        });
        let counts = &mut self.names[place].1;
        let step = (at / self.step) as usize;
        if counts.len() <= step {
            counts.resize(step + 1, 0);
        }
        counts[step] += 1;
    }

    fn coarsen(&mut self) {
        self.step *= 2;
        for (_, counts) in &mut self.names {
            *counts = counts.chunks(2).map(|pair| pair.iter().sum()).collect();
        }
    }

    /// Makes the steps as long as those of a series that has counted something just `now`.
    pub(super) fn stretch(&mut self, now: u64) {
        while now / self.step >= STEPS_MAX as u64 {
            self.coarsen();
        }
    }

    /// Microseconds of a step.
    pub(super) const fn step(&self) -> u64 {
        self.step
    }

    /// The names with their counts, sorted.
    pub(super) fn sorted(&self) -> Vec<(&'static str, Vec<u32>)> {
        let mut names = self.names.clone();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_has_longer_steps_and_the_same_counts() {
        let mut series = Series::new(10);
        for at in 0..100_000 {
            series.count(at, "a");
        }
        series.count(3, "b");
        let sorted = series.sorted();
        assert_eq!(series.step(), 80);
        assert!(sorted[0].1.len() <= STEPS_MAX);
        assert!(sorted[0].1.iter().all(|count| *count == 80));
        assert_eq!(sorted[0].1.iter().sum::<u32>(), 100_000);
        assert_eq!(sorted[1], ("b", vec![1]));
    }
}
