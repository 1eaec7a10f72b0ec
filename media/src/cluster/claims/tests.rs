//! The table alone, at given times.

use super::*;

const TTL_MS: u64 = 10_000;
const NO_NUMBERS: NumberUse =
    NumberUse { first_sequence: 0, limit: HlsNumbers { sequence: 0, discontinuity: 0 } };

fn room() -> RoomName {
    RoomName::new("r").unwrap()
}

fn process(node: &str, incarnation: u64) -> Process {
    Process { node: node.to_owned(), incarnation }
}

fn request(process: &Process, epoch: u64) -> ClaimRequest {
    ClaimRequest { room: room(), process: process.clone(), epoch, valid_until_ms: u64::MAX }
}

fn live(table: &mut ClaimTable, process: &Process, now_ms: u64) {
    let addresses =
        NodeAddresses { rtmp: "a:1".to_owned(), httpflv: "a:2".to_owned(), hls: Some("a:3".to_owned()) };
    let lease = Lease { incarnation: process.incarnation, addresses, standing: NodeStanding::default() };
    table.renew_lease(&process.node, &lease, None, TTL_MS, now_ms);
}

#[test]
fn a_room_is_taken_over_from_a_process_that_is_dead_and_from_no_other() {
    let (holder, other) = (process("n1", 7), process("n2", 9));
    let mut held = ClaimTable::default();
    live(&mut held, &holder, 0);
    assert!(matches!(held.try_claim(&request(&holder, 1), None, 0), ClaimAnswer::Granted(_)));
    live(&mut held, &other, 0);
    assert!(matches!(held.clone().try_claim(&request(&other, 2), None, 0), ClaimAnswer::Held(_)));
    let again = held.clone().try_claim(&request(&holder, 2), None, 0);
    assert!(matches!(again, ClaimAnswer::Granted(_)), "an answer that got lost: {again:?}");

    live(&mut held, &other, TTL_MS);
    assert_eq!(held.clone().try_claim(&request(&holder, 2), None, TTL_MS), ClaimAnswer::NoLease);
    let lapsed = held.clone().try_claim(&request(&other, 2), None, TTL_MS);
    assert!(matches!(lapsed, ClaimAnswer::Granted(_)), "its lease lapsed: {lapsed:?}");
    live(&mut held, &process("n1", 8), TTL_MS);
    let restarted = held.try_claim(&request(&other, 2), None, TTL_MS);
    assert!(matches!(restarted, ClaimAnswer::Granted(_)), "it restarted: {restarted:?}");
}

#[test]
fn the_later_claim_wins_in_a_table_that_went_back() {
    let (n1, n2) = (process("n1", 1), process("n2", 2));
    let mut table = ClaimTable::default();
    live(&mut table, &n1, 0);
    live(&mut table, &n2, 0);
    table.try_claim(&request(&n1, 1), None, 0);
    let earlier = table.clone();
    table.release(&room(), &n1, 1, 0);
    table.try_claim(&request(&n2, 2), None, 0);

    let mut restored = earlier;
    assert_eq!(restored.renew(&request(&n2, 2), &NO_NUMBERS, 0), RenewAnswer::Reasserted);
    assert_eq!(restored.holder(&room()).map(|holder| holder.epoch), Some(2));
    assert_eq!(restored.renew(&request(&n1, 1), &NO_NUMBERS, 0), RenewAnswer::Lost);
}

#[test]
fn a_room_that_is_offered_is_its_own_publishers_and_free_when_the_offer_lapses() {
    let (n1, n2) = (process("n1", 1), process("n2", 2));
    let (own, other) = (PublisherProof::from_text("own"), PublisherProof::from_text("other"));
    let mut table = ClaimTable::default();
    live(&mut table, &n1, 0);
    live(&mut table, &n2, 0);
    table.try_claim(&request(&n1, 1), None, 0);
    let by = Holder { process: n1.clone(), epoch: 1 };
    let offer = Offer { by: by.clone(), proof: own.clone(), until_ms: 100 };
    let of_another = Offer { by: Holder { epoch: 2, ..by.clone() }, ..offer.clone() };
    assert!(!table.offer(&room(), of_another, 0), "a claim that it does not have");
    assert!(table.offer(&room(), offer, 0));

    let mut held = table.clone();
    assert_eq!(held.try_claim(&request(&n2, 2), Some(&other), 0), ClaimAnswer::Held(by.clone()));
    assert!(matches!(held.try_claim(&request(&n2, 2), Some(&own), 0), ClaimAnswer::Granted(_)));
    assert_eq!(held.renew(&request(&n1, 1), &NO_NUMBERS, 0), RenewAnswer::Lost);
    assert!(!held.release(&room(), &n1, 1, 0) && held.offer_of(&room(), 0).is_none());

    assert!(table.release(&room(), &n1, 1, 0));
    for process in [&n1, &n2] {
        let refused = table.try_claim(&request(process, 2), Some(&other), 99);
        assert_eq!(refused, ClaimAnswer::Held(by.clone()), "between two claims");
    }
    let after = table.clone().try_claim(&request(&n2, 2), None, 100);
    assert!(matches!(after, ClaimAnswer::Granted(_)), "it has lapsed: {after:?}");
    let back = table.try_claim(&request(&n2, 2), Some(&own), 99);
    assert!(matches!(back, ClaimAnswer::Granted(_)) && table.offer_of(&room(), 99).is_none(), "{back:?}");
}

/// A publisher that moves twice in a short time, while the first node has not noticed that it left.
#[test]
fn an_earlier_claim_does_not_come_back_while_a_later_one_keeps_the_room_reserved() {
    let (n1, n2) = (process("n1", 1), process("n2", 2));
    let own = PublisherProof::from_text("own");
    let mut table = ClaimTable::default();
    live(&mut table, &n1, 0);
    live(&mut table, &n2, 0);
    for (process, epoch) in [(&n1, 1), (&n2, 2)] {
        let answer = table.try_claim(&request(process, epoch), Some(&own), 0);
        assert!(matches!(answer, ClaimAnswer::Granted(_)), "{answer:?}");
        let by = Holder { process: process.clone(), epoch };
        assert!(table.offer(&room(), Offer { by, proof: own.clone(), until_ms: 100 }, 0));
    }
    assert!(table.release(&room(), &n2, 2, 0));
    assert_eq!(table.renew(&request(&n1, 1), &NO_NUMBERS, 99), RenewAnswer::Lost);
    assert!(table.offer_of(&room(), 99).is_some(), "it is still its publisher's");
    assert_eq!(table.renew(&request(&n1, 1), &NO_NUMBERS, 100), RenewAnswer::Reasserted, "it has lapsed");
}

#[test]
fn an_epoch_is_above_all_that_the_node_knows_of() {
    let mut table = ClaimTable::default();
    assert_eq!(table.next_epoch(0, 100), 100);
    assert_eq!(table.next_epoch(0, 50), 101);
    assert_eq!(table.next_epoch(500, 60), 501);
}

#[test]
fn a_node_that_is_long_dead_is_forgotten_with_its_claims() {
    let (n1, n2) = (process("n1", 1), process("n2", 2));
    let mut table = ClaimTable::default();
    live(&mut table, &n1, 0);
    table.try_claim(&request(&n1, 1), None, 0);
    table.forget_dead("n1", 5_000, TTL_MS + 4_999);
    assert!(table.holder(&room()).is_some());
    table.forget_dead("n1", 5_000, TTL_MS + 5_000);
    assert!(table.holder(&room()).is_none());
    live(&mut table, &n2, TTL_MS);
    table.forget_dead("n2", 0, TTL_MS);
    assert!(table.lease("n2", TTL_MS).is_some());
}

#[test]
fn a_table_gives_no_number_that_one_before_it_gave() {
    let n1 = process("n1", 1);
    let mut table = ClaimTable::from_sequence(7_000_000_000);
    live(&mut table, &n1, 0);
    let ClaimAnswer::Granted(grant) = table.try_claim(&request(&n1, 1), None, 0) else { panic!() };
    assert_eq!(grant.first.sequence, 7_000_000_000);
}

#[test]
fn numbers_are_remembered_of_a_bounded_number_of_rooms() {
    let n1 = process("n1", 1);
    let mut table = ClaimTable::default();
    live(&mut table, &n1, 0);
    for index in 0..NUMBERS_MAX as u64 + 10 {
        let room = RoomName::new(&format!("r{index}")).unwrap();
        table.try_claim(&ClaimRequest { room: room.clone(), ..request(&n1, index + 1) }, None, 0);
        table.release(&room, &n1, index + 1, 0);
    }
    assert!(table.numbers.len() <= NUMBERS_MAX);
}
