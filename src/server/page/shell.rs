//! What is around every page.

use maud::{DOCTYPE, Markup, html};

use super::super::gate::{Caller, Way};

/// Where a page belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Here {
    Runs,
    Workflows,
    DeadLetters,
    Connections,
    Elsewhere,
    /// Before the login.
    Door,
}

/// The pages that every page leads to.
const PLACES: [(Here, &str, &str); 4] = [
    (Here::Runs, "/", "Runs"),
    (Here::Workflows, "/workflows", "Workflows"),
    (Here::DeadLetters, "/dead-letters", "Dead letters"),
    (Here::Connections, "/connections", "Connections"),
];

/// Keys that the script listens to, and what they do.
const KEYS: [(&str, &str); 10] = [
    ("/", "search"),
    ("j k", "next and previous row"),
    ("Enter", "open the row"),
    ("1 … 7", "the tabs of a run"),
    ("p", "plan a resume"),
    ("g r", "runs"),
    ("g w", "workflows"),
    ("g d", "dead letters"),
    ("g c", "connections"),
    ("?", "this list"),
];

/// What is around a page.
pub(super) struct Frame<'a> {
    title: &'a str,
    here: Here,
    /// Who looks; `None`: that was not found out.
    caller: Option<&'a Caller>,
    /// Where the script hears that something changed.
    follows: Option<String>,
    /// Whether what is shown changes by itself now.
    moves: bool,
}

impl<'a> Frame<'a> {
    pub(super) fn new(title: &'a str, here: Here, caller: Option<&'a Caller>) -> Self {
        Self { title, here, caller, follows: None, moves: false }
    }

    /// The page follows what is told at this path of the API.
    pub(super) fn following(self, path: String) -> Self {
        Self { follows: Some(path), ..self }
    }

    /// Whether what is shown changes by itself now.
    pub(super) fn moving(self, moves: bool) -> Self {
        Self { moves, ..self }
    }

    /// A whole page.
    pub(super) fn around(&self, content: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · Milepost" }
                    link rel="stylesheet" href="/page/style.css";
                    link rel="icon" href="/page/icon.svg";
                    script src="/page/page.js" defer {}
                    @if self.moves { noscript { meta http-equiv="refresh" content="5"; } }
                }
                body data-follow=[self.follows.as_deref()] data-moves[self.moves] {
                    a.skip href="#main" { "Skip to the content" }
                    (self.top())
                    main #main tabindex="-1" { (content) }
                    footer {
                        details #keys {
                            summary { "Keyboard" }
                            dl { @for (key, does) in KEYS { div { dt { kbd { (key) } } dd { (does) } } } }
                        }
                        p { "Times are UTC." }
                    }
                }
            }
        }
    }

    fn top(&self) -> Markup {
        html! {
            header.top {
                a.brand href="/" { img src="/page/icon.svg" alt="" width="18" height="18"; "Milepost" }
                @if self.here != Here::Door { nav aria-label="Pages" {
                    @for (here, path, name) in PLACES { a href=(path) aria-current=[(self.here == here).then_some("page")] { (name) } }
                } }
                p.pulse #pulse role="status" hidden {}
                @if let Some(caller) = self.caller.filter(|_| self.here != Here::Door) { (who(caller)) }
            }
        }
    }
}

/// Who looks, and the way out.
fn who(caller: &Caller) -> Markup {
    html! {
        @match (&caller.token, caller.way) {
            (Some(token), _) => {
                form.who method="post" action="/logout" {
                    span title=(format!("a token that is good for: {}", token.scope.word())) { (token.name) }
                    button.plain type="submit" { "Log out" }
                }
            }
            (None, Way::Network) => { p.who { a href="/login" { "Log in" } } }
            (None, Way::Socket) => {}
        }
    }
}
