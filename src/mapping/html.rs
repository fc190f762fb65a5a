//! HTML in texts: taken out, made safe, or kept.

use std::cell::{Cell, RefCell};

use html5ever::tokenizer::{
    BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts, states,
};

/// What becomes of HTML.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Html {
    /// The text is taken as it is.
    #[default]
    Keep,
    /// Harmless elements stay; scripts, styles, handlers and addresses of other kinds go. The result
    /// is HTML, so `&` becomes `&amp;`.
    Sanitise,
    /// The text alone: no tags, entities as the characters they mean, blocks on lines of their own.
    Strip,
}

impl Html {
    /// The text by this choice.
    pub(super) fn apply(self, text: &str) -> Option<String> {
        match self {
            // Sanitising writes these as entities.
            Self::Sanitise if text.contains(['<', '&', '>']) => Some(ammonia::clean(text)),
            Self::Strip if may_read_otherwise(text) => Some(stripped(text)),
            Self::Keep | Self::Sanitise | Self::Strip => None,
        }
    }
}

/// Whether a reader of HTML may see something else than the text as it stands: a tag begins, or the name of
/// a character. An `&` between words is only itself. Where there is one, single carriage returns are left to
/// the parser.
fn may_read_otherwise(text: &str) -> bool {
    let bytes = text.as_bytes();
    let begins_name = |pair: &[u8]| pair[0] == b'&' && (pair[1].is_ascii_alphanumeric() || pair[1] == b'#');
    bytes.contains(&b'<')
        || bytes.contains(&b'&') && (bytes.contains(&b'\r') || bytes.windows(2).any(begins_name))
}

/// Elements that begin and end a line.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tr",
    "ul",
];

fn stripped(html: &str) -> String {
    let queue = BufferQueue::default();
    queue.push_back(html.into());
    let tokenizer = Tokenizer::new(Plain::default(), TokenizerOpts::default());
    // The sink never asks for a pause, so one call feeds all.
    let _ = tokenizer.feed(&queue);
    tokenizer.end();
    tokenizer.sink.text.into_inner()
}

/// Gathers what a reader would see.
#[derive(Default)]
struct Plain {
    text: RefCell<String>,
    /// Inside an element whose content is no text for people.
    is_hidden: Cell<bool>,
}

impl TokenSink for Plain {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        match token {
            Token::CharacterTokens(characters) if !self.is_hidden.get() => {
                self.text.borrow_mut().push_str(&characters);
            }
            Token::TagToken(tag) => {
                let raw = match &*tag.name {
                    "script" => Some(states::RawKind::ScriptData),
                    "style" | "noscript" | "iframe" | "template" => Some(states::RawKind::Rawtext),
                    _ => None,
                };
                self.is_hidden.set(raw.is_some() && tag.kind == TagKind::StartTag);
                if BLOCKS.contains(&&*tag.name) {
                    self.text.borrow_mut().push('\n');
                } else if matches!(&*tag.name, "td" | "th") {
                    self.text.borrow_mut().push(' ');
                }
                if let (Some(raw), TagKind::StartTag) = (raw, tag.kind) {
                    return TokenSinkResult::RawData(raw);
                }
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripping_leaves_what_a_reader_would_see() {
        for (html, text) in [
            ("<p>Soft &amp; warm</p><p>100&nbsp;% wool</p>", "\nSoft & warm\n\n100\u{a0}% wool\n"),
            ("a<br>b<b>c</b>d", "a\nbcd"),
            ("<td>1</td><td>2</td>", " 1  2 "),
            ("x<script>if (a < b) { '</p>' }</script>y", "xy"),
            ("x<style>p > a { }</style>y<!-- z -->", "xy"),
            ("&#x2713; &euro;5 &unknown; &lt;b&gt;", "✓ €5 &unknown; <b>"),
            ("I <3 cups, 5 < 6", "I <3 cups, 5 < 6"),
        ] {
            assert_eq!(stripped(html), text, "{html}");
        }
        assert_eq!(Html::Strip.apply("plain"), None);
    }

    #[test]
    fn what_is_not_parsed_would_have_come_out_as_it_is() {
        for same in ["Cups & more", "&", "a &", "a && b", "& ;", "a &, b", "Größe & Farbe\n&\tmehr", "x >y"]
        {
            assert_eq!((Html::Strip.apply(same), stripped(same)), (None, same.to_owned()), "{same}");
        }
        for other in ["a<b>c</b>", "R&amp;D", "R&D", "&#65;", "a & b\rc", "a &lt b"] {
            assert_eq!(Html::Strip.apply(other), Some(stripped(other)), "{other}");
        }
    }

    #[test]
    fn sanitising_takes_out_what_does_something() {
        let html = "<p onclick=\"x()\">a <b>b</b></p><script>y</script><a href=\"javascript:z\">c</a><img src=x onerror=y>";
        let clean = Html::Sanitise.apply(html).unwrap();
        assert_eq!(clean, "<p>a <b>b</b></p><a rel=\"noopener noreferrer\">c</a><img src=\"x\">");
        assert_eq!(Html::Sanitise.apply(&clean), Some(clean.clone()), "what is clean stays as it is");
        assert_eq!(Html::Sanitise.apply("Cups & more").as_deref(), Some("Cups &amp; more"));
        assert_eq!(Html::Keep.apply(html), None);
    }
}
