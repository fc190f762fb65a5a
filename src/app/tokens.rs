//! Who may ask over the network, and what is said about the engine as a whole.

use std::time::Duration;

use tokio::sync::broadcast;

use crate::core::change::Change;
use crate::core::deed::{Deed, Done};
use crate::core::id::RunId;
use crate::core::measures::Measures;
use crate::core::token::{self, Token};
use crate::ports::{Journal as _, StoreError};
use crate::view::{NewToken, Problem, ProblemKind, TokenOrder, TokenView, code};

use super::Engine;
use super::clock::now;

/// Longest name of a token.
const NAME_MAX: usize = 64;
/// A disk that takes longer than this for nothing is not ready.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

impl Engine {
    /// Keeps that somebody does something that is about no one run. Before it is done, so that nothing is
    /// done whose record may be lost; afterwards only what is known no earlier. When it returns, that is durable.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn did(&self, by: String, what: Done) -> Result<(), StoreError> {
        let deed = Deed { at: self.ports.clock.now(), by, what };
        self.store.commit(vec![Change::Deed(Box::new(deed))]).await
    }

    /// Makes a token. When it returns, what is kept of it is on disk; its text is nowhere else.
    ///
    /// # Errors
    /// The name is taken or is none; the disk failed.
    pub async fn create_token(&self, order: TokenOrder) -> Result<NewToken, Problem> {
        let TokenOrder { name, scope, by } = order;
        let is_fit = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(is_fit) {
            let detail = format!("a token's name has 1 to {NAME_MAX} letters, digits, '-', '_' or '.'");
            return Err(Problem::new(ProblemKind::Invalid, code::TOKEN_NAME, detail));
        }
        let taken = || {
            let detail = format!("there is a token '{name}' already");
            Problem::new(ProblemKind::Refused, code::TOKEN_NAME, detail)
                .next(format!("milepost token revoke {name}"))
        };
        if self.tokens.all().iter().any(|known| known.name == name) {
            return Err(taken());
        }
        self.did(by.clone(), Done::TokenCreated { name: name.clone(), scope }).await?;
        let text = token::text(&rand::random());
        let sha256 = token::hashed(&text);
        let made = Token { name: name.clone(), scope, sha256, created_at: now(), created_by: by };
        // Somebody else may have taken the name since it was looked at.
        let is_made = self.tokens.change(|all| {
            let is_free = all.iter().all(|known| known.name != name);
            all.extend(is_free.then(|| made.clone()));
            is_free
        })?;
        if !is_made {
            return Err(taken());
        }
        Ok(NewToken { about: TokenView::from(&made), token: text })
    }

    /// The tokens, the oldest first.
    pub fn tokens(&self) -> Vec<TokenView> {
        self.tokens.all().iter().map(TokenView::from).collect()
    }

    /// Takes a token away. When it returns, nobody is let in by it any more.
    ///
    /// # Errors
    /// There is none of this name; the disk failed.
    pub async fn revoke_token(&self, name: &str, by: String) -> Result<TokenView, Problem> {
        let known = self.tokens();
        let Some(gone) = known.iter().find(|token| token.name == name) else {
            let names = known.into_iter().map(|token| token.name);
            return Err(Problem::new(
                ProblemKind::NotFound,
                code::TOKEN_NAME,
                format!("there is no token '{name}'"),
            )
            .candidates(names)
            .next("milepost token list"));
        };
        self.did(by, Done::TokenRevoked { name: name.to_owned() }).await?;
        self.tokens.change(|all| {
            all.retain(|token| token.name != name);
            true
        })?;
        Ok(gone.clone())
    }

    /// What a text that was presented is good for; `None`: nothing.
    pub fn token(&self, text: &str) -> Option<Token> {
        token::presented(&self.tokens.all(), text).cloned()
    }

    /// Whether a token that was presented is good still.
    pub fn is_good(&self, token: &Token) -> bool {
        self.tokens.all().contains(token)
    }

    /// Tells of every run that a commit touches, once that is durable.
    pub fn listen(&self) -> broadcast::Receiver<RunId> {
        self.store.listen()
    }

    /// What the engine counted since it began.
    pub fn measures(&self) -> Measures {
        let room = rustix::fs::statvfs(&self.options.state).ok();
        let free_bytes = room.map(|room| room.f_bavail.saturating_mul(room.f_frsize));
        Measures { free_bytes, ..self.store.measures() }
    }

    /// Whether the thread that writes answers. It stops for good when a write, or a sync, fails; this
    /// writes nothing to find out.
    ///
    /// # Errors
    /// Why not.
    pub async fn is_writing(&self) -> Result<(), StoreError> {
        match tokio::time::timeout(READY_TIMEOUT, self.store.is_writing()).await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError("the disk does not answer".to_owned())),
        }
    }
}
