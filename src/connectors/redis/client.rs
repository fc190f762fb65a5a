//! One connection to a Redis server, made when it is needed and thrown away after any error: what is
//! left in it may be the answer to another question.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::connectors::BuildFault;
use crate::ports::KeysError;

/// Longest time for an answer. Redis answers in less than a millisecond, or not at all.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// After an error nobody asks again for this long, so that a server that hangs does not hold up one
/// batch after the other.
const REST: Duration = Duration::from_secs(1);

/// A server, as others speak to it.
pub(super) struct Client {
    server: redis::Client,
    /// Host and port, for people.
    address: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// The last error, and until when it is taken for granted.
    resting: Option<(Instant, KeysError)>,
}

impl Client {
    /// A client for an address such as `redis://host:6379/0`; speaks to nobody yet.
    pub(super) fn new(url: &str, password: Option<&str>) -> Result<Self, BuildFault> {
        let hint = "write url: redis://host:6379, or redis://host:6379/2 for its database 2";
        let wrong =
            |message: String| BuildFault { hint: Some(hint.to_owned()), ..BuildFault::field("url", message) };
        if !url.starts_with("redis://") {
            return Err(wrong("'url' must begin with redis:// (TLS is not spoken)".to_owned()));
        }
        // The text of the error might repeat the address, and a password in it.
        let mut info = url.into_connection_info().map_err(|_| wrong("'url' is not an address".to_owned()))?;
        if let Some(password) = password {
            let settings = info.redis_settings().clone().set_password(password);
            info = info.set_redis_settings(settings);
        }
        let address = info.addr().to_string();
        let client = redis::Client::open(info).map_err(|_| wrong("'url' is not an address".to_owned()))?;
        Ok(Self { server: client, address, state: Mutex::default() })
    }

    /// Asks, and returns the answer. After an error nothing is known of what was asked.
    pub(super) async fn ask<T: FromRedisValue>(&self, question: &Pipeline) -> Result<T, KeysError> {
        let mut connection = self.connection().await?;
        match question.query_async(&mut connection).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.failed(&mut *self.state.lock().await, &error)),
        }
    }

    async fn connection(&self) -> Result<MultiplexedConnection, KeysError> {
        // Held while it connects: others would only try the same.
        let mut state = self.state.lock().await;
        if let Some((until, error)) = &state.resting {
            if Instant::now() < *until {
                return Err(error.clone());
            }
            state.resting = None;
        }
        if let Some(connection) = &state.connection {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_MAX))
            .set_response_timeout(Some(ANSWER_MAX));
        match self.server.get_multiplexed_async_connection_with_config(&config).await {
            Ok(connection) => Ok(state.connection.insert(connection).clone()),
            Err(error) => Err(self.failed(&mut state, &error)),
        }
    }

    fn failed(&self, state: &mut State, error: &RedisError) -> KeysError {
        let said =
            if error.is_timeout() { format!("no answer within {ANSWER_MAX:?}") } else { error.to_string() };
        let error = KeysError(format!("Redis at {}: {said}", self.address));
        state.connection = None;
        state.resting = Some((Instant::now() + REST, error.clone()));
        error
    }
}
