//! Words for people: the nearest right name, lists, what a value is.

/// Names further apart than this share of their length are different names, not typing mistakes.
const SIMILAR_MIN: f64 = 0.6;
/// Longer lists of names help nobody.
const LISTED_MAX: usize = 12;

/// The name that was probably meant.
pub(super) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(written);
    known
        .into_iter()
        .map(|name| (similarity(&folded, &fold(name)), name))
        .filter(|(similar, _)| *similar >= SIMILAR_MIN)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}

/// Upper case, `-` and `_` are the mistakes people make most.
fn fold(name: &str) -> String {
    name.to_lowercase().replace(['-', ' '], "_")
}

fn similarity(written: &str, known: &str) -> f64 {
    let edited = strsim::normalized_damerau_levenshtein(written, known);
    // `event.publish` for `eventbridge.publish`, `need` for `needs`.
    let cut = written.len() >= 3 && (known.starts_with(written) || known.ends_with(written));
    let short = written.chars().count() <= 5 && strsim::damerau_levenshtein(written, known) <= 1;
    if cut || short { edited.max(SIMILAR_MIN) } else { edited }
}

/// `a`, `a or b`, `a, b or c`; shortened when there are many.
pub(super) fn either<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.into_iter().map(|name| format!("'{name}'")).collect();
    if names.len() > LISTED_MAX {
        let more = names.len() - LISTED_MAX;
        names.truncate(LISTED_MAX);
        return format!("{} and {more} more", names.join(", "));
    }
    match names.pop() {
        None => "none".to_owned(),
        Some(only) if names.is_empty() => only,
        Some(last) => format!("{} or {last}", names.join(", ")),
    }
}

/// `did you mean 'x'?`, else the names there are.
pub(super) fn suggest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
    what: &str,
) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(written, known.iter().copied()) {
        Some(name) => Some(format!("did you mean '{name}'?")),
        None if known.is_empty() => None,
        None => Some(format!("{what}: {}", either(known))),
    }
}

/// Whether it may name a workflow, a step, a connection or an input.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        let keys = ["uses", "needs", "with", "when", "connection", "batch", "retry", "timeout"];
        for (written, meant) in
            [("need", "needs"), ("conection", "connection"), ("time_out", "timeout"), ("Retry", "retry")]
        {
            assert_eq!(nearest(written, keys), Some(meant), "{written}");
        }
        assert_eq!(nearest("parallel", keys), None);
        assert_eq!(nearest("event.publish", ["eventbridge.publish", "map"]), Some("eventbridge.publish"));
    }

    #[test]
    fn lists_read_like_sentences() {
        assert_eq!(either(["a"]), "'a'");
        assert_eq!(either(["a", "b", "c"]), "'a', 'b' or 'c'");
    }
}
