//! Placement: the worker thread that serves a viewer.

/// The load of a worker thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// The viewers of the room in question that it serves.
    pub of_room: u64,
    /// The viewers of all rooms.
    pub total: u64,
    /// The room's stream is there: no other thread has to be woken for its media.
    pub has_stream: bool,
}

/// The worker that serves a room's next viewer; `None` if there are no workers. It is the stream's own, or else one that
/// serves the room already, for as long as one has space, and then the one with the fewest of the room's viewers. `max` is the
/// most of a room's viewers on one thread before another one helps.
pub(crate) fn place(loads: &[Load], max: u64) -> Option<usize> {
    let least = loads.iter().map(|load| load.total).min()?;
    let workers = || loads.iter().enumerate();
    let with_space = workers().filter(|(_, load)| load.has_space(least, max));
    // The fullest, so that a large room that becomes small comes together again.
    let home = with_space.max_by_key(|(_, load)| (load.has_stream, load.of_room));
    let next = || workers().min_by_key(|(_, load)| (load.of_room, load.total));
    home.or_else(next).map(|(worker, _)| worker)
}

impl Load {
    /// Returns whether the worker serves the room and takes one more, the least busy one serving `least` viewers.
    fn has_space(self, least: u64, max: u64) -> bool {
        let is_of_room = self.has_stream || self.of_room > 0;
        is_of_room && self.of_room < max && self.total < least + max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: u64 = 400;

    /// Of the room, and of all rooms. The stream is on the first of them.
    fn loads(all: &[(u64, u64)]) -> Vec<Load> {
        let load = |(at, &(of_room, total))| Load { of_room, total, has_stream: at == 0 };
        all.iter().enumerate().map(load).collect()
    }

    #[test]
    fn a_viewer_is_served_where_its_room_is_until_that_is_full() {
        let cases = [
            ("the first, where the stream is", vec![(0, 9), (0, 4)], 0),
            ("the second, there too", vec![(1, 9), (0, 4)], 0),
            ("the first, elsewhere if far more is to do there", vec![(0, FULL), (0, 9), (0, 0)], 2),
            ("the second, where the first is", vec![(0, FULL), (1, 10), (0, 0)], 1),
            ("where the stream is as soon as that can be", vec![(0, FULL - 1), (9, 9), (0, 0)], 0),
            ("one more than fits, elsewhere", vec![(FULL, FULL), (0, 0)], 1),
            ("elsewhere, where the fewest are", vec![(FULL, FULL), (0, 70), (0, 60)], 2),
            ("the next, there too", vec![(FULL, FULL), (0, 0), (1, 61)], 2),
            ("where the most of the room are", vec![(FULL, FULL), (3, 3), (80, 80)], 2),
            ("when all are full, where the fewest are", vec![(FULL + 1, FULL + 1), (FULL, FULL + 9)], 1),
        ];
        for (what, all, expected) in cases {
            assert_eq!(place(&loads(&all), FULL), Some(expected), "{what}");
        }
    }

    #[test]
    fn a_stream_may_be_on_a_thread_without_viewers() {
        let load = |of_room, total| Load { of_room, total, has_stream: false };
        assert_eq!(place(&[load(0, 9), load(0, 4)], FULL), Some(1));
        assert_eq!(place(&[load(1, 9), load(0, 4)], FULL), Some(0));
        assert_eq!(place(&[], FULL), None);
    }

    /// Admits so many viewers to rooms in turn, whose streams are on the workers in turn: how many of each room each
    /// worker serves.
    fn admit(viewers: usize, rooms: usize, workers: usize) -> Vec<Vec<u64>> {
        let mut served = vec![vec![0; workers]; rooms];
        for viewer in 0..viewers {
            let room = viewer % rooms;
            let loads = (0..workers).map(|worker| Load {
                of_room: served[room][worker],
                total: served.iter().map(|room| room[worker]).sum(),
                has_stream: room % workers == worker,
            });
            let at = place(&loads.collect::<Vec<_>>(), FULL).unwrap();
            served[room][at] += 1;
        }
        served
    }

    #[test]
    fn a_small_room_is_on_one_thread_and_a_large_one_on_all_alike() {
        assert_eq!(admit(300, 1, 2), [[300, 0]]);
        assert_eq!(admit(2000, 1, 2), [[1000, 1000]]);
        assert_eq!(admit(1000, 1, 4), [[400, 400, 200, 0]]);
        assert_eq!(admit(8000, 1, 4), [[2000; 4]]);
    }

    #[test]
    fn each_room_stays_with_its_stream() {
        assert_eq!(admit(800, 4, 2), [[200, 0], [0, 200], [200, 0], [0, 200]]);
    }
}
