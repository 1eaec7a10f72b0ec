//! No bytes make a session panic.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn random_bytes_after_a_handshake_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000), piece in 1..500_usize) {
        let mut session = Session::new(Arc::default());
        session.feed(&hello()).unwrap();
        let _ = bytes.chunks(piece).try_for_each(|piece| session.feed(piece));
        prop_assert!(session.reader.in_flight_bytes() <= bytes.len());
    }

    #[test]
    fn a_damaged_publisher_never_panics(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        piece in 1..500_usize,
        cut in any::<prop::sample::Index>(),
    ) {
        let media: Vec<u8> = (0..20).flat_map(|n| message(4 + n % 3, 8 + (n % 2) as u8, 1, n, &[7; 300])).collect();
        let mut bytes = [publisher_start(), media, call("deleteStream", 0.0, &[])].concat();
        bytes.remove(cut.index(bytes.len() - 3073) + 3073);
        for (place, value) in damage {
            let place = place.index(bytes.len() - 1) + 1;
            bytes[place] = value;
        }
        let mut session = Session::new(Arc::default());
        let outcome = bytes.chunks(piece).try_for_each(|piece| {
            let fed = session.feed(piece);
            session.accept();
            fed
        });
        prop_assert_eq!(outcome.is_err(), session.phase() == Phase::Closed);
        let frames = std::iter::from_fn(|| session.poll_event()).count();
        prop_assert!(frames <= bytes.len());
    }

    #[test]
    fn a_random_handshake_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        let mut session = Session::new(Arc::default());
        let _ = session.feed(&[&[3], &bytes[..]].concat());
        prop_assert!(session.take_output().len() <= 4096);
    }
}
