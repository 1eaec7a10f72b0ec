//! A Redis that is not of this kind, or has the data of others, is left as it is.

use super::*;

#[actix_rt::test]
async fn what_another_application_has_is_neither_read_nor_touched() {
    let redis = Redis::start().await;
    let (n1, n2) = (redis.node("n1", 1).await, redis.node("n2", 2).await);
    for command in [
        "XADD stream:orders * a 1",
        "SET stream:config x",
        "HSET stream:other a 1",
        "HSET synctv:claims r:broken x",
        "SET node:n3 x",
    ] {
        query::<redis::Value>(&n1, command).await;
    }
    let claim = n1.claim(&room("r"), None).await.unwrap().claim;
    for name in ["orders", "config", "other", "broken"] {
        assert_eq!(n2.locate(&room(name)).await.unwrap(), None, "{name}");
        let claim = n1.claim(&room(name), None).await.unwrap().claim;
        assert_eq!(
            n2.locate(&room(name)).await.unwrap().map(|origin| origin.epoch),
            Some(claim.epoch),
            "{name}"
        );
        assert_eq!(n1.renew(vec![unused(&claim)]).await.unwrap(), [], "{name}");
        n1.release(claim).await.unwrap();
    }
    assert_eq!(query::<i64>(&n1, "XLEN stream:orders").await, 1);
    assert_eq!(query::<i64>(&n1, "TTL stream:orders").await, -1);
    assert_eq!(query::<String>(&n1, "GET stream:config").await, "x");
    assert_eq!(query::<Vec<String>>(&n1, "HKEYS stream:other").await, ["a"]);
    let rooms: Vec<String> = n2.rooms().await.unwrap().iter().map(|room| room.room.to_string()).collect();
    assert_eq!(rooms, ["r"]);
    assert_eq!(n1.audit(vec![claim]).await.unwrap().claims.len(), 1);
    let n3 = redis.node("n3", 3).await;
    assert_eq!(lease_answer(&n3).await, LeaseAnswer::Kept, "its entry is not needed");
    assert_eq!(query::<String>(&n1, "GET node:n3").await, "x");
}

#[actix_rt::test]
async fn a_table_of_another_kind_ends_the_start_with_what_to_do() {
    let redis = Redis::start().await;
    let store = redis.node("n1", 1).await;
    query::<i64>(&store, "DEL synctv:claims").await;
    query::<String>(&store, "SET synctv:claims x").await;
    let refused = join(redis.membership("n2", 2), Instant::now() + Duration::from_secs(1)).await.unwrap_err();
    assert!(refused.to_string().contains("REDIS_PREFIX"), "{refused}");
    let mut elsewhere = redis.membership("n2", 2);
    elsewhere.prefix = KeyPrefix::new("mine:").unwrap();
    let joined = join(elsewhere, Instant::now() + PATIENCE).await.unwrap();
    RedisStore::new(&joined).claim(&room("r"), None).await.unwrap();
    let keys: Vec<String> = query(&store, "KEYS mine:*").await;
    assert_eq!(keys.len(), 5, "{keys:?}");
}

#[actix_rt::test]
async fn a_redis_cluster_and_a_sentinel_are_refused_by_name() {
    for (flags, words) in [(["--cluster-enabled", "yes"], "Redis Cluster"), (["--sentinel", ""], "Sentinel")]
    {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("redis.conf");
        std::fs::write(&config, "").unwrap();
        let redis = Redis::start_with(&config, &flags).await;
        let mut membership = redis.membership("n1", 1);
        membership.url = RedisUrl::parse(&format!("redis://127.0.0.1:{}", redis.port)).unwrap();
        let refused = join(membership, Instant::now() + PATIENCE).await.unwrap_err();
        assert!(matches!(refused, JoinError::Unsupported { .. }), "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
}
