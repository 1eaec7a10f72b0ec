//! Connections to Redis: a few, kept, replaced when they break.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bb8_redis::{
    RedisConnectionManager,
    bb8::{ErrorSink, ManageConnection, Pool, RunError},
};
use redis::{ErrorKind, RedisError, ServerErrorKind, aio::MultiplexedConnection};

use super::scripts::SCRIPTS;
use crate::cluster::store::StoreError;

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections for one purpose.
#[derive(Debug, Clone)]
pub(super) struct RedisPool {
    max: u32,
    pool: Pool<Connector>,
    last_error: LastError,
}

/// A connection, and whether it can be used again.
pub(super) struct PooledConnection {
    connection: MultiplexedConnection,
    is_broken: bool,
}

/// Opens connections that have the scripts.
#[derive(Debug)]
pub(super) struct Connector {
    redis: RedisConnectionManager,
    response_timeout: Duration,
}

/// Why the last connection could not be opened: the pool itself only says that none came.
#[derive(Debug, Clone, Default)]
struct LastError(Arc<Mutex<Option<String>>>);

impl RedisPool {
    /// Up to `max` connections, opened when they are needed. An answer may take `response_timeout`.
    pub fn new(redis: RedisConnectionManager, response_timeout: Duration, max: u32) -> Self {
        let last_error = LastError::default();
        let pool = Pool::builder()
            .max_size(max)
            .connection_timeout(CONNECT_TIMEOUT)
            // Asking first would double each round trip. What is broken shows when it is used.
            .test_on_check_out(false)
            .error_sink(last_error.boxed_clone())
            .build_unchecked(Connector { redis, response_timeout });
        Self { max, pool, last_error }
    }

    /// Lets `work` use a connection. If that turns out to be broken, `work` starts again with another one, so it has to
    /// be such that this does no harm.
    pub async fn run<T>(
        &self,
        work: impl AsyncFn(&mut MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, StoreError> {
        // All that are kept may have broken together.
        let mut attempts_left = self.max;
        loop {
            let mut link = self.pool.get().await.map_err(|error| self.unavailable(error))?;
            let error = match work(&mut link.connection).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let failure = Failure::of(&error);
            link.is_broken = !matches!(failure, Failure::Refused);
            if !matches!(failure, Failure::Stale) || attempts_left == 0 {
                return Err(shown(&error));
            }
            attempts_left -= 1;
        }
    }

    fn unavailable(&self, error: RunError<RedisError>) -> StoreError {
        match error {
            RunError::User(error) => shown(&error),
            RunError::TimedOut => self.last_error(),
        }
    }

    /// Why there is no connection.
    pub fn last_error(&self) -> StoreError {
        let last = self.last_error.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        StoreError(last.unwrap_or_else(|| "Redis does not answer in time".to_owned()))
    }
}

/// What an error says of its connection.
enum Failure {
    /// It had broken before, or its Redis has forgotten the scripts: another one may work.
    Stale,
    /// It cannot be trusted any more: an answer is missing.
    Lost,
    /// It is good: Redis has answered, with an error.
    Refused,
}

impl Failure {
    fn of(error: &RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::NoScript) => Self::Stale,
            // The Redis behind a name may be another one now.
            ErrorKind::Server(ServerErrorKind::ReadOnly) => Self::Lost,
            _ if error.is_connection_dropped() => Self::Stale,
            _ if error.is_timeout() || error.is_unrecoverable_error() => Self::Lost,
            _ => Self::Refused,
        }
    }
}

/// An error in one line. The client's errors never hold a password.
pub(super) fn shown(error: &RedisError) -> StoreError {
    StoreError(error.to_string().replace('\n', " "))
}

impl ManageConnection for Connector {
    type Connection = PooledConnection;
    type Error = RedisError;

    async fn connect(&self) -> Result<PooledConnection, RedisError> {
        let mut connection = self.redis.connect().await?;
        connection.set_response_timeout(self.response_timeout);
        SCRIPTS.load().exec_async(&mut connection).await?;
        Ok(PooledConnection { connection, is_broken: false })
    }

    async fn is_valid(&self, link: &mut PooledConnection) -> Result<(), RedisError> {
        self.redis.is_valid(&mut link.connection).await
    }

    fn has_broken(&self, link: &mut PooledConnection) -> bool {
        link.is_broken
    }
}

impl ErrorSink<RedisError> for LastError {
    fn sink(&self, error: RedisError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown(&error).0);
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<RedisError>> {
        Box::new(self.clone())
    }
}

impl fmt::Debug for PooledConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledConnection").field("is_broken", &self.is_broken).finish_non_exhaustive()
    }
}
