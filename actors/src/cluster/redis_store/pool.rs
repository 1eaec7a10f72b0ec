//! Connections to Redis: a few, kept, replaced when they break.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bb8_redis::{
    RedisConnectionManager,
    bb8::{ErrorSink, ManageConnection, Pool, RunError},
};
use redis::{ErrorKind, RedisError, ServerErrorKind, aio::MultiplexedConnection};
use synctv_media::cluster::claims::TableId;
use thiserror::Error;

use super::{
    scripts::SCRIPTS,
    server::{ServerInfo, UnsupportedServer},
};
use crate::cluster::store::StoreError;

/// Time limit for a connection.
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
    server: ServerInfo,
    table: TableId,
    is_broken: bool,
}

/// Opens connections that have the scripts.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    pub redis: RedisConnectionManager,
    pub response_timeout: Duration,
    /// One Redis says the same of itself over all connections. Something in front of several may not.
    pub trusts_ids: bool,
}

/// The reason a connection could not be opened.
#[derive(Debug, Error)]
pub(super) enum LinkError {
    #[error("{}", shown(.0).0)]
    Redis(#[from] RedisError),
    #[error(transparent)]
    Unsupported(#[from] UnsupportedServer),
}

/// The reason the last connection could not be opened: the pool itself only says that none came.
#[derive(Debug, Clone, Default)]
struct LastError(Arc<Mutex<Option<String>>>);

impl RedisPool {
    /// Up to `max` connections, opened when they are needed.
    pub fn new(connector: Connector, max: u32) -> Self {
        let last_error = LastError::default();
        let pool = Pool::builder()
            .max_size(max)
            .connection_timeout(CONNECT_TIMEOUT)
            // A check before each use would double each round trip. A broken connection shows when it is used.
            .test_on_check_out(false)
            .error_sink(last_error.boxed_clone())
            .build_unchecked(connector);
        Self { max, pool, last_error }
    }

    /// Lets `work` use a connection. If that turns out to be broken, `work` starts again with another one, so it has to
    /// be such that this does no harm.
    pub async fn run<T>(
        &self,
        work: impl AsyncFn(&mut PooledConnection) -> Result<T, RedisError>,
    ) -> Result<T, StoreError> {
        // All that are kept may have broken together.
        let mut attempts_left = self.max;
        loop {
            let mut link = self.pool.get().await.map_err(|error| self.unavailable(error))?;
            let error = match work(&mut link).await {
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

    fn unavailable(&self, error: RunError<LinkError>) -> StoreError {
        match error {
            RunError::User(error) => StoreError(error.to_string()),
            RunError::TimedOut => self.last_error(),
        }
    }

    /// The reason there is no connection.
    pub fn last_error(&self) -> StoreError {
        let last = self.last_error.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        StoreError(last.unwrap_or_else(|| "Redis does not answer in time".to_owned()))
    }
}

/// The state of a connection after an error.
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
    let text = error.to_string().replace('\n', " ");
    let reason = match error.code() {
        Some("OOM") => "it is full (maxmemory is reached)",
        Some("WRONGTYPE") => "another application uses a key of this name, set REDIS_PREFIX",
        Some("READONLY") => "it is a replica that takes no writes",
        _ => return StoreError(text),
    };
    StoreError(format!("Redis: {reason}: {text}"))
}

impl PooledConnection {
    /// The server's description of itself.
    pub fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// The memory of the table that it leads to.
    pub fn table(&self) -> TableId {
        self.table
    }
}

impl Deref for PooledConnection {
    type Target = MultiplexedConnection;

    fn deref(&self) -> &MultiplexedConnection {
        &self.connection
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut MultiplexedConnection {
        &mut self.connection
    }
}

impl ManageConnection for Connector {
    type Connection = PooledConnection;
    type Error = LinkError;

    async fn connect(&self) -> Result<PooledConnection, LinkError> {
        let mut connection = self.redis.connect().await?;
        connection.set_response_timeout(self.response_timeout);
        let server = ServerInfo::ask(&mut connection).await?;
        server.check()?;
        SCRIPTS.load().exec_async(&mut connection).await?;
        let table = if self.trusts_ids { server.id() } else { TableId::default() };
        Ok(PooledConnection { connection, server, table, is_broken: false })
    }

    async fn is_valid(&self, link: &mut PooledConnection) -> Result<(), LinkError> {
        Ok(self.redis.is_valid(&mut link.connection).await?)
    }

    fn has_broken(&self, link: &mut PooledConnection) -> bool {
        link.is_broken
    }
}

impl ErrorSink<LinkError> for LastError {
    fn sink(&self, error: LinkError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<LinkError>> {
        Box::new(self.clone())
    }
}

impl fmt::Debug for PooledConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledConnection").field("is_broken", &self.is_broken).finish_non_exhaustive()
    }
}
