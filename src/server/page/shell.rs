//! What is around every page.

use maud::{DOCTYPE, Markup, html};

/// Where a page belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Here {
    Runs,
    DeadLetters,
    Elsewhere,
}

/// Keys that the script listens to, and what they do.
const KEYS: [(&str, &str); 8] = [
    ("/", "search"),
    ("j k", "next and previous row"),
    ("Enter", "open the row"),
    ("1 … 7", "the tabs of a run"),
    ("p", "plan a resume"),
    ("g r", "runs"),
    ("g d", "dead letters"),
    ("?", "this list"),
];

/// A whole page. One that is `live` follows what it shows.
pub(super) fn frame(title: &str, here: Here, live: bool, content: &Markup) -> Markup {
    let current = |place: Here| (place == here).then_some("page");
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Milepost" }
                link rel="stylesheet" href="/page/style.css";
                link rel="icon" href="/page/icon.svg";
                script src="/page/page.js" defer {}
                @if live { noscript { meta http-equiv="refresh" content="5"; } }
            }
            body data-follow[live] {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.brand href="/" { img src="/page/icon.svg" alt="" width="18" height="18"; "Milepost" }
                    nav aria-label="Pages" {
                        a href="/" aria-current=[current(Here::Runs)] { "Runs" }
                        a href="/dead-letters" aria-current=[current(Here::DeadLetters)] { "Dead letters" }
                    }
                    p.pulse #pulse role="status" hidden {}
                }
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
