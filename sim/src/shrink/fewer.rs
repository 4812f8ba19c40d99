//! Leaves out as many as possible (delta debugging: Zeller and Hildebrandt's ddmin).

/// The fewest of `all` that will do, in the sense that none of the pieces tried can be missed.
/// `first` is asked which of several selections is the first that will do.
pub(super) fn fewer<T: Clone>(
    all: &[T],
    mut first: impl FnMut(&[Vec<T>]) -> Option<usize>,
) -> Vec<T> {
    let mut left = all.to_vec();
    if left.is_empty() || first(&[Vec::new()]).is_some() {
        return Vec::new();
    }
    let mut parts = 2;
    while left.len() >= 2 {
        let size = left.len().div_ceil(parts);
        let chunks: Vec<Vec<T>> = left.chunks(size).map(<[T]>::to_vec).collect();
        if let Some(one) = first(&chunks) {
            left.clone_from(&chunks[one]);
            parts = 2;
            continue;
        }
        // Of two halves, to leave one out is to take the other.
        let without: Vec<Vec<T>> = if chunks.len() > 2 {
            (0..chunks.len())
                .map(|out| {
                    let rest = chunks.iter().enumerate();
                    rest.filter(|(number, _)| *number != out)
                        .flat_map(|(_, chunk)| chunk.clone())
                        .collect()
                })
                .collect()
        } else {
            Vec::new()
        };
        if let Some(one) = first(&without) {
            left.clone_from(&without[one]);
            parts = (chunks.len() - 1).max(2);
        } else if size == 1 {
            break;
        } else {
            parts = (parts * 2).min(left.len());
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_not_needed_is_left_out() {
        let all: Vec<u32> = (0..100).collect();
        for needed in [vec![], vec![7], vec![3, 96], vec![0, 50, 51, 99]] {
            let mut asked = 0;
            let left = fewer(&all, |choices| {
                let will_do = |some: &Vec<u32>| needed.iter().all(|one| some.contains(one));
                let found = choices.iter().position(will_do);
                asked += found.map_or(choices.len(), |found| found + 1);
                found
            });
            assert_eq!(left, needed);
            assert!(asked < 200, "{asked}");
        }
    }
}
