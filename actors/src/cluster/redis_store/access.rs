//! The part of access that nodes share: a secret, and administrators' orders.
//!
//! Anyone who reads Redis could claim rooms and redirect pulls anyway, so the secret is no less safe here.

use std::{collections::hash_map::RandomState, hash::BuildHasher};

use redis::{Pipeline, cmd};

use super::{
    keys::KeyPrefix,
    pool::{PooledConnection, RedisPool},
};
use crate::cluster::store::StoreError;

/// Orders that are read.
const ORDERS_MAX: isize = 10_000;

/// The shared part of access.
#[derive(Debug, Clone)]
pub struct RedisAccess {
    pool: RedisPool,
    keys: KeyPrefix,
}

/// The shared secret, the version of the orders, and the time.
#[derive(Debug)]
pub(crate) struct SharedAccess {
    pub secret: String,
    pub version: String,
    /// Redis's clock, in milliseconds since 1970.
    pub unix_ms: u64,
}

impl RedisAccess {
    pub(super) fn new(pool: RedisPool, keys: KeyPrefix) -> Self {
        Self { pool, keys }
    }

    /// Reads the secret, which is `offered` if there was none, the version of the orders, and the time.
    pub(crate) async fn look(&self, offered: &[u8]) -> Result<SharedAccess, StoreError> {
        self.pool
            .run(async |link: &mut PooledConnection| {
                let mut calls = Pipeline::new();
                calls.cmd("SET").arg(self.keys.cluster_secret()).arg(offered).arg("NX").ignore();
                calls.cmd("GET").arg(self.keys.cluster_secret()).cmd("GET").arg(self.keys.access_version());
                calls.cmd("TIME");
                let (secret, version, (unix_s, micros)): (String, Option<String>, (u64, u64)) =
                    calls.query_async(&mut **link).await?;
                let unix_ms = unix_s.saturating_mul(1_000).saturating_add(micros / 1_000);
                Ok(SharedAccess { secret, version: version.unwrap_or_default(), unix_ms })
            })
            .await
    }

    /// Reads the orders in force.
    pub(crate) async fn orders(&self, now_unix_ms: u64) -> Result<Vec<(String, u64)>, StoreError> {
        let orders: Vec<(String, f64)> = self
            .pool
            .run(async |link: &mut PooledConnection| {
                let mut range = cmd("ZRANGE");
                range.arg(self.keys.access_orders()).arg(0).arg(ORDERS_MAX - 1).arg("WITHSCORES");
                cmd("ZREMRANGEBYSCORE")
                    .arg(self.keys.access_orders())
                    .arg("-inf")
                    .arg(now_unix_ms)
                    .exec_async(&mut **link)
                    .await?;
                range.query_async(&mut **link).await
            })
            .await?;
        Ok(orders.into_iter().map(|(order, ends)| (order, ends as u64)).collect())
    }

    /// Adds orders.
    pub(crate) async fn push_orders(&self, orders: &[(String, u64)]) -> Result<(), StoreError> {
        let version = RandomState::new().hash_one(orders);
        self.pool
            .run(async |link: &mut PooledConnection| {
                let mut calls = Pipeline::new();
                for (order, ends_unix_ms) in orders {
                    calls
                        .cmd("ZADD")
                        .arg(self.keys.access_orders())
                        .arg("GT")
                        .arg(ends_unix_ms)
                        .arg(order)
                        .ignore();
                }
                calls.cmd("SET").arg(self.keys.access_version()).arg(version).ignore();
                calls.exec_async(&mut **link).await
            })
            .await
    }
}
