//! One Medusa server: login, and requests with the login.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Client, Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::BuildFault;
use super::verdict::Trouble;
use crate::connectors::wire::{self, Answer, Redirects};
use crate::core::fault::{Fault, name};
use crate::core::retry::Again;

/// What the login says when the credentials are wrong. Any other 401 there is an outage.
const WRONG_CREDENTIALS: &str = "Invalid email or password";

/// A server with a login. The JWT is used rather than a secret key, because the key costs the
/// server a password hash for every request.
pub(super) struct Shop {
    client: Client,
    url: Url,
    email: SecretString,
    password: SecretString,
    token: Mutex<Option<Arc<SecretString>>>,
}

impl Shop {
    pub(super) fn new(url: &str, email: &str, password: &str, timeout: Duration) -> Result<Self, BuildFault> {
        Ok(Self {
            client: wire::client(timeout, Redirects::Refused)?,
            url: Url::parse(&format!("{url}/")).map_err(|_| BuildFault::field("url", "'url' is no URL"))?,
            email: email.into(),
            password: password.into(),
            token: Mutex::new(None),
        })
    }

    /// Where it is.
    pub(super) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// A read. Nothing that goes wrong with it is a doubt.
    pub(super) async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        sent: &AtomicU64,
    ) -> Result<Value, Trouble> {
        let answer = self.send(Method::GET, path, query, None, sent).await.map_err(Trouble::of_read)?;
        if answer.status != 200 {
            return Err(Trouble::Sure { fault: answer.fault(), again: answer.again_of_read() });
        }
        let unreadable = || Trouble::Unsure(Fault::new(name::NO_ANSWER, "the answer is not JSON")).of_read();
        answer.json().ok_or_else(unreadable)
    }

    /// A write.
    pub(super) async fn post(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: &Value,
        sent: &AtomicU64,
    ) -> Result<Value, Trouble> {
        let answer = self.send(Method::POST, path, query, Some(body), sent).await?;
        if answer.status != 200 {
            return Err(Trouble::of_status(&answer));
        }
        answer.json().ok_or_else(|| Trouble::Unsure(Fault::new(name::NO_ANSWER, "the answer is not JSON")))
    }

    /// Sends with the login. A 401 says that the login is over, and that nothing else was looked
    /// at; so after a new login the same is sent once more.
    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<&Value>,
        sent: &AtomicU64,
    ) -> Result<Answer, Trouble> {
        let mut stale = None;
        loop {
            let token = self.login(stale.as_ref(), sent).await?;
            let mut url = self.address(path)?;
            if !query.is_empty() {
                url.query_pairs_mut().extend_pairs(query);
            }
            let mut request = self.client.request(method.clone(), url).bearer_auth(token.expose_secret());
            if let Some(body) = body {
                request = request.json(body);
            }
            sent.fetch_add(1, Ordering::Relaxed);
            let answer = wire::send(request).await.map_err(Trouble::of_broken)?;
            if answer.status != 401 {
                return Ok(answer);
            }
            if stale.is_some() {
                return Err(Trouble::Sure { fault: answer.fault(), again: Again::Later });
            }
            stale = Some(token);
        }
    }

    /// The token; a new one when there is none, or only the stale one.
    async fn login(
        &self,
        stale: Option<&Arc<SecretString>>,
        sent: &AtomicU64,
    ) -> Result<Arc<SecretString>, Trouble> {
        let mut held = self.token.lock().await;
        if let Some(token) = &*held
            && !stale.is_some_and(|stale| Arc::ptr_eq(stale, token))
        {
            return Ok(Arc::clone(token));
        }
        *held = None;
        let body = json!({ "email": self.email.expose_secret(), "password": self.password.expose_secret() });
        sent.fetch_add(1, Ordering::Relaxed);
        let request = self.client.post(self.address("auth/user/emailpass")?).json(&body);
        // A login changes nothing, so whatever goes wrong, nothing was done.
        let later = |fault| Trouble::Sure { fault, again: Again::Later };
        let answer = wire::send(request).await.map_err(|broken| later(broken.fault()))?;
        let json = answer.json().unwrap_or_default();
        match (answer.status, json["token"].as_str()) {
            (200, Some(token)) => {
                let token = Arc::new(SecretString::from(token));
                *held = Some(Arc::clone(&token));
                Ok(token)
            }
            (401, _) if json["message"] == WRONG_CREDENTIALS => {
                let fault = Fault::new(name::REFUSED, "the shop refuses the login: wrong email or password");
                Err(Trouble::Sure { fault, again: Again::Never })
            }
            (401, _) => Err(later(answer.fault())),
            _ => Err(Trouble::Sure { fault: answer.fault(), again: answer.again_of_read() }),
        }
    }

    fn address(&self, path: &str) -> Result<Url, Trouble> {
        let wrong = |_| Trouble::Sure { fault: Fault::new(name::REFUSED, "no URL"), again: Again::Never };
        self.url.join(path).map_err(wrong)
    }
}
