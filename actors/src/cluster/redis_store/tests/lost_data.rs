//! Claims outlast what Redis or a node loses.

use super::*;

#[actix_rt::test]
async fn a_room_is_taken_over_when_its_lease_was_lost_and_its_owner_notices() {
    let redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    let first = n1.claim(&room("r"), None).await.unwrap().claim;
    let taken = n2.claim(&room("r"), None).await.unwrap_err();
    assert_eq!(taken, ClaimError::Taken { node: "n1".to_owned() });
    lapse(&n1, "n1").await;
    assert!(is_unavailable(&n1.claim(&room("other"), None).await), "without a lease it takes nothing");
    assert_eq!(lease_answer(&n2).await, LeaseAnswer::Kept);
    let second = n2.claim(&room("r"), None).await.unwrap().claim;
    assert!(second.epoch > first.epoch);
    assert_eq!(lease_answer(&n1).await, LeaseAnswer::Taken);
    assert_eq!(n1.renew(vec![unused(&first)]).await.unwrap(), vec![first.clone()]);
    n1.release(first).await.unwrap();
    assert_eq!(n1.locate(&room("r")).await.unwrap().unwrap().epoch, second.epoch, "it frees nothing");
}

#[actix_rt::test]
async fn an_emptied_redis_gets_its_rooms_back_and_no_epoch_twice() {
    let mut redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    let first = n1.claim(&room("r"), None).await.unwrap();
    let used =
        NumberUse { first_sequence: first.numbers.first.sequence, limit: first.numbers.limit.plus(5_000) };
    redis.restart_empty().await;
    assert!(is_unavailable(&n2.claim(&room("r"), None).await), "another table is not believed");
    assert_eq!(lease_answer(&n1).await, LeaseAnswer::Taken);
    assert_eq!(n1.renew(vec![UsedClaim { claim: first.claim.clone(), used }]).await.unwrap(), []);
    assert_eq!(lease_answer(&n2).await, LeaseAnswer::Taken);
    let taken = n2.claim(&room("r"), None).await.unwrap_err();
    assert_eq!(taken, ClaimError::Taken { node: "n1".to_owned() });
    assert!(n2.claim(&room("other"), None).await.unwrap().claim.epoch > first.claim.epoch);
    n1.release(first.claim).await.unwrap();
    let next = n2.claim(&room("r"), None).await.unwrap().numbers;
    assert!(next.first.sequence >= used.limit.sequence, "its numbers are remembered by their node");
}

#[actix_rt::test]
async fn keys_that_are_evicted_give_no_room_away_and_come_back() {
    let redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    let claim = n1.claim(&room("r"), None).await.unwrap().claim;
    query::<i64>(&n1, "DEL stream:r node:n1 node:n2 claim_epoch synctv:numbers:r").await;
    assert!(matches!(n2.claim(&room("r"), None).await, Err(ClaimError::Taken { .. })));
    assert!(n2.locate(&room("r")).await.unwrap().is_some());
    assert!(n1.audit(vec![claim.clone()]).await.unwrap().is_incomplete);
    assert_eq!(n1.renew(vec![unused(&claim)]).await.unwrap(), []);
    assert_eq!(query::<Vec<String>>(&n1, "KEYS stream:*").await, ["stream:r"]);
    assert!(!n1.audit(vec![claim.clone()]).await.unwrap().is_incomplete);

    lease_answer(&n1).await;
    lease_answer(&n2).await;
    assert_eq!(query::<i64>(&n1, "EXISTS node:n1 node:n2").await, 2);
    query::<i64>(&n1, "DEL synctv:claims").await;
    assert!(
        is_unavailable(&n2.claim(&room("r"), None).await),
        "a node that is not in the table does not believe it"
    );
    for node in [&n1, &n2] {
        assert_eq!(lease_answer(node).await, LeaseAnswer::Taken);
    }
    assert!(n1.audit(vec![claim.clone()]).await.unwrap().is_incomplete);
    assert_eq!(n1.renew(vec![unused(&claim)]).await.unwrap(), []);
    assert!(matches!(n2.claim(&room("r"), None).await, Err(ClaimError::Taken { .. })));
}

#[actix_rt::test]
async fn after_a_restore_the_later_claim_wins_and_one_that_its_node_does_not_know_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("redis.conf");
    std::fs::write(&config, "save \"\"\n").unwrap();
    let mut redis = Redis::start_with(&config, &[]).await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    let given_back = n1.claim(&room("given_back"), None).await.unwrap().claim;
    let first = n1.claim(&room("moved"), None).await.unwrap().claim;
    query::<String>(&n1, "SAVE").await;
    n1.release(given_back.clone()).await.unwrap();
    n1.release(first).await.unwrap();
    let moved = n2.claim(&room("moved"), None).await.unwrap();
    redis.restart_restored(directory.path()).await;

    assert!(is_unavailable(&n2.claim(&room("other"), None).await), "it may lack what others know");
    let (before, after) = (n1.table_id(), n1.renew_lease().await.unwrap());
    assert_eq!(after.answer, LeaseAnswer::Kept, "the lease was saved");
    assert_ne!(before, after.table);
    assert_eq!(n1.audit(Vec::new()).await.unwrap().claims.len(), 2, "both are given back by the registry");
    lease_answer(&n2).await;
    let limit = moved.numbers.limit.plus(700);
    let used = NumberUse { first_sequence: moved.numbers.first.sequence, limit };
    let renewed = n2.renew(vec![UsedClaim { claim: moved.claim.clone(), used }]).await.unwrap();
    assert_eq!(renewed, [], "what is live stays live");
    assert_eq!(query::<String>(&n1, "HGET stream:moved publisher_node").await, "n2");
    n1.release(given_back).await.unwrap();
    n2.claim(&room("given_back"), None).await.unwrap();
    n2.release(moved.claim).await.unwrap();
    let next = n1.claim(&room("moved"), None).await.unwrap().numbers;
    assert!(next.first.sequence >= limit.sequence && !next.continues);
}

#[actix_rt::test]
async fn a_registry_gives_back_what_it_does_not_know_and_writes_again_what_is_not_there() {
    let redis = Redis::start().await;
    // The table is looked through when the lease is renewed, three times within it.
    let membership = Membership { lease_ttl: Duration::from_secs(6), ..redis.membership("n1", 1) };
    let joined = join(membership, Instant::now() + PATIENCE).await.unwrap();
    let n2 = redis.node("n2", 2).await;
    let n1 = RegistryHandle::start_on(&actix_rt::Arbiter::current(), Duration::from_secs(300), move || {
        RedisStore::new(&joined)
    });
    let live = n1.claim(room("live"), None, Owner.start().recipient()).await.unwrap().claim;
    write(&n2, "r:stale", &format!("n1 1 {} 1", live.epoch - 1)).await;
    query::<i64>(&n2, "DEL stream:live").await;
    poll_until(async || {
        query::<i64>(&n2, "HEXISTS synctv:claims r:stale").await == 0
            && query::<i64>(&n2, "EXISTS stream:live").await == 1
    })
    .await;
    n2.renew_lease().await.unwrap();
    n2.claim(&room("stale"), None).await.unwrap();
    assert_eq!(query::<u64>(&n2, "HGET stream:live epoch").await, live.epoch);
}

#[actix_rt::test]
async fn a_redis_that_is_full_says_so_and_keeps_what_is_live() {
    let redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    let claim = n1.claim(&room("r"), None).await.unwrap().claim;
    assert!(!n1.renew_lease().await.unwrap().is_full);
    query::<String>(&n1, "CONFIG SET maxmemory 1").await;
    for _ in 0..3 {
        let renewal = n1.renew_lease().await.unwrap();
        assert_eq!((renewal.answer, renewal.is_full), (LeaseAnswer::Kept, true));
    }
    let refused = n1.claim(&room("other"), None).await.unwrap_err();
    assert!(refused.to_string().contains("full"), "{refused}");
    assert_eq!(n1.renew(vec![unused(&claim)]).await.unwrap(), []);
    assert!(n2.trace(&room("r"), true).await.unwrap().current.is_some());
    n1.release(claim).await.unwrap();
    query::<String>(&n1, "CONFIG SET maxmemory 0").await;
    assert!(!n2.renew_lease().await.unwrap().is_full);
    n2.claim(&room("r"), None).await.unwrap();
}

#[actix_rt::test]
async fn what_a_dead_node_left_is_forgotten() {
    let redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    n1.claim(&room("r"), None).await.unwrap();
    query::<i64>(&n1, "DEL node:n1").await;
    write(&n1, "n:n1", "1 1000 h:1 h:2 -").await;
    n2.audit(Vec::new()).await.unwrap();
    assert_eq!(query::<Vec<String>>(&n2, "HKEYS synctv:claims").await, ["n:n2", "s:n2"]);
}
