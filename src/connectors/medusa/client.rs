//! One Medusa server: the way in, and requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Url};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::BuildFault;
use super::login::{Credentials, Token};
use super::verdict::{self, Trouble};
use crate::connectors::wire::{self, Answer, Redirects};
use crate::core::fault::{Fault, name};
use crate::core::retry::Again;

/// What the login says when the credentials are wrong. Any other 401 there is an outage: with its
/// database down Medusa answers 401 with the database's words.
const WRONG_CREDENTIALS: &str = "Invalid email or password";

/// A server that lets us in.
pub(super) struct Shop {
    client: Client,
    url: Url,
    credentials: Credentials,
    token: Mutex<Option<Arc<Token>>>,
}

impl Shop {
    pub(super) fn new(url: &str, credentials: Credentials, timeout: Duration) -> Result<Self, BuildFault> {
        Ok(Self {
            client: wire::client(timeout, Redirects::Refused)?,
            url: Url::parse(&format!("{url}/")).map_err(|_| BuildFault::field("url", "'url' is no URL"))?,
            credentials,
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
        let url = self.address(path, query)?;
        let answer = self.send(|| self.client.get(url.clone()), sent).await.map_err(Trouble::of_read)?;
        if answer.status != 200 {
            return Err(Trouble::Sure { fault: answer.fault(), again: answer.again_of_read() });
        }
        answer.json().ok_or_else(|| unreadable().of_read())
    }

    /// A write.
    pub(super) async fn post(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: &Value,
        sent: &AtomicU64,
    ) -> Result<Value, Trouble> {
        let url = self.address(path, query)?;
        self.write(|| self.client.post(url.clone()).json(body), sent).await
    }

    /// A removal. What is gone already is no error to Medusa.
    pub(super) async fn delete(&self, path: &str, sent: &AtomicU64) -> Result<Value, Trouble> {
        let url = self.address(path, &[])?;
        self.write(|| self.client.delete(url.clone()), sent).await
    }

    async fn write(&self, request: impl Fn() -> RequestBuilder, sent: &AtomicU64) -> Result<Value, Trouble> {
        let answer = self.send(request, sent).await?;
        match answer.status {
            200 => answer.json().ok_or_else(unreadable),
            // An outage and a record that the server cannot take have the same answer, to the letter.
            // Who else can be answered meanwhile tells them apart.
            500 if self.is_well(sent).await => Err(Trouble::Stumbled(verdict::words(&answer))),
            _ => Err(Trouble::of_status(&answer)),
        }
    }

    /// Whether it answers a request that has nothing wrong with it, from its database.
    async fn is_well(&self, sent: &AtomicU64) -> bool {
        self.get("admin/products", &[("limit", "1"), ("fields", "id")], sent).await.is_ok()
    }

    /// Sends with the login. A 401 says that the login is over, and that nothing else was looked
    /// at; so after a new login the same is sent once more.
    async fn send(&self, request: impl Fn() -> RequestBuilder, sent: &AtomicU64) -> Result<Answer, Trouble> {
        let (email, password) = match &self.credentials {
            Credentials::Login { email, password } => (email.expose_secret(), password.expose_secret()),
            Credentials::Key(key) => {
                let answer = self.count(request().basic_auth(key.expose_secret(), Some("")), sent).await?;
                return if answer.status == 401 { Err(verdict::shut_out(&answer)) } else { Ok(answer) };
            }
        };
        let mut stale = None;
        loop {
            let token = self.token(email, password, stale.as_ref(), sent).await?;
            let answer = self.count(request().bearer_auth(token.text.expose_secret()), sent).await?;
            match (answer.status, &stale) {
                (401, None) => stale = Some(token),
                (401, Some(_)) => return Err(verdict::shut_out(&answer)),
                _ => return Ok(answer),
            }
        }
    }

    /// A token that is good as far as we know; a new one when there is none, or only the stale one.
    async fn token(
        &self,
        email: &str,
        password: &str,
        stale: Option<&Arc<Token>>,
        sent: &AtomicU64,
    ) -> Result<Arc<Token>, Trouble> {
        let mut held = self.token.lock().await;
        let known = held.take().filter(|known| !stale.is_some_and(|stale| Arc::ptr_eq(stale, known)));
        let token = match known {
            Some(token) if !token.is_old(Instant::now()) => token,
            Some(token) => match self.renewed(&token, sent).await {
                Some(token) => token,
                None => self.login(email, password, sent).await?,
            },
            None => self.login(email, password, sent).await?,
        };
        *held = Some(Arc::clone(&token));
        Ok(token)
    }

    /// A new token for an old one; `None`: the old one is good for nothing any more, or nobody answers.
    async fn renewed(&self, old: &Token, sent: &AtomicU64) -> Option<Arc<Token>> {
        let request = self.client.post(self.address("auth/token/refresh", &[]).ok()?);
        let answer = self.count(request.bearer_auth(old.text.expose_secret()), sent).await.ok()?;
        token_in(&answer)
    }

    async fn login(&self, email: &str, password: &str, sent: &AtomicU64) -> Result<Arc<Token>, Trouble> {
        let body = json!({ "email": email, "password": password });
        let request = self.client.post(self.address("auth/user/emailpass", &[])?).json(&body);
        // A login changes nothing, so whatever goes wrong, nothing was done.
        let answer = self.count(request, sent).await.map_err(Trouble::of_read)?;
        if let Some(token) = token_in(&answer) {
            return Ok(token);
        }
        let json = answer.json().unwrap_or_default();
        Err(match answer.status {
            401 if json["message"] == WRONG_CREDENTIALS => {
                // No product is at fault: the connection is held, with this reason, until a person
                // has mended it. A million products are not a million logins.
                let fault = Fault::new(name::REFUSED, "the shop refuses the login: wrong email or password");
                Trouble::Sure { fault, again: Again::Later }
            }
            200 | 401 => Trouble::Sure { fault: answer.fault(), again: Again::Later },
            _ => Trouble::Sure { fault: answer.fault(), again: answer.again_of_read() },
        })
    }

    async fn count(&self, request: RequestBuilder, sent: &AtomicU64) -> Result<Answer, Trouble> {
        sent.fetch_add(1, Ordering::Relaxed);
        wire::send(request).await.map_err(Trouble::of_broken)
    }

    fn address(&self, path: &str, query: &[(&str, &str)]) -> Result<Url, Trouble> {
        let wrong = |_| Trouble::Sure { fault: Fault::new(name::REFUSED, "no URL"), again: Again::Never };
        let mut url = self.url.join(path).map_err(wrong)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }
}

fn token_in(answer: &Answer) -> Option<Arc<Token>> {
    let json = answer.json().filter(|_| answer.status == 200)?;
    json["token"].as_str().map(|text| Arc::new(Token::new(text, Instant::now())))
}

fn unreadable() -> Trouble {
    Trouble::Unsure(Fault::new(name::NO_ANSWER, "the answer is not JSON"))
}
