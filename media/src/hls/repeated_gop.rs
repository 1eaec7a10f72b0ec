//! The times of a GOP that is shown once more, all of it in a moment.

/// The times at which a repeated frame is decoded and presented, in steps of the container's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RepeatedTime {
    /// Behind the first frame's decoding.
    pub delay: i64,
    /// Behind its own decoding.
    pub composition: i64,
}

/// Puts frames one step apart, decoded in their order and presented in that of `presented`, so that only the last one is seen.
pub(super) fn repeated_times<T: Ord>(presented: &[T]) -> Vec<RepeatedTime> {
    let mut shown: Vec<_> = (0..presented.len()).collect();
    shown.sort_by_key(|at| presented.get(*at));
    let mut ranks = vec![0; presented.len()];
    for (rank, at) in shown.into_iter().enumerate() {
        if let Some(place) = ranks.get_mut(at) {
            *place = rank as i64;
        }
    }
    let ahead = |(at, rank): (i64, &i64)| at - rank;
    let reorder = (0..).zip(&ranks).map(ahead).max().unwrap_or(0);
    let times = (0..).zip(&ranks);
    times.map(|(at, rank)| RepeatedTime { delay: at, composition: reorder - ahead((at, rank)) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_presented_in_the_order_that_they_had_and_not_before_they_are_decoded() {
        let times = repeated_times(&[0, 120, 40, 80]);
        assert_eq!(times.iter().map(|time| time.delay).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(times.iter().map(|time| time.delay + time.composition).collect::<Vec<_>>(), [1, 4, 2, 3]);
    }
}
