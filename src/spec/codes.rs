//! Every kind of mistake, by a code that never changes its meaning.

/// One kind of mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The stable code: `E` and three digits, or `W` for a warning.
    pub id: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// Why it is a mistake and what to do.
    pub explanation: &'static str,
}

macro_rules! codes {
    ($($name:ident = $id:literal, $title:literal, $explanation:literal;)*) => {
        $(pub(super) const $name: Code = Code { id: $id, title: $title, explanation: $explanation };)*

        /// All of them, in the order of their codes.
        pub const CODES: &[Code] = &[$($name),*];
    };
}

codes! {
    NOT_UTF8 = "E101", "not UTF-8",
        "Workflow files are UTF-8 text. Save the file in that encoding.";
    EMPTY = "E102", "empty file",
        "A workflow file needs at least 'workflow' (its name) and 'steps'.";
    NOT_YAML = "E103", "not YAML",
        "The text breaks the rules of YAML, so nothing after this place could be read.";
    TAB = "E104", "tab in the indentation",
        "YAML is indented with spaces. A tab has no agreed width, so YAML forbids it.";
    UNQUOTED = "E105", "expression without quotes",
        "Inside { } and [ ], and where it contains ': ' or ' #', an expression must stand in \
         quotes, because YAML gives braces, colons and # a meaning of their own.";
    TOO_LARGE = "E106", "too large",
        "Aliases, nesting and size are limited, so that a small file cannot grow into gigabytes.";
    DUPLICATE = "E107", "key written twice",
        "Only one of the two could count. Remove or rename one.";
    UNSUPPORTED = "E108", "unsupported YAML",
        "Tags, several documents in one file, merge keys and keys that are not texts are not \
         used in workflow files.";

    UNKNOWN_KEY = "E201", "unknown key",
        "The key means nothing here, so it would be silently ignored.";
    MISSING = "E202", "missing key",
        "The key is required here.";
    WRONG_TYPE = "E203", "wrong type",
        "The value is of another type than the key takes.";
    DURATION = "E204", "not a duration",
        "A duration is a number and a unit: 250ms, 30s, 5m, 1h 30m, 14d.";
    OUT_OF_RANGE = "E205", "out of range",
        "The number is smaller or larger than what makes sense here.";
    UNKNOWN_WORD = "E206", "unknown word",
        "The key takes one of a few words.";
    BAD_NAME = "E207", "not a name",
        "Names begin with a letter and consist of letters, digits, '_' and '-', at most 64.";

    RATE = "E208", "not a rate",
        "A rate is a number of calls and a time, s, m or h: 10/s, 300/m, 5000/h.";
    SIZE = "E209", "not a size",
        "A size is a whole number and a unit: 512 B, 4 KiB, 10 MiB, 64 GiB.";

    NEEDLESS_KEY = "E210", "key that does not count",
        "Another key beside it decides, so it would be silently ignored.";

    UNKNOWN_USES = "E301", "unknown step kind",
        "No connector of this binary is called so.";
    UNKNOWN_CONNECTION = "E302", "unknown connection",
        "The name must stand under 'connections'.";
    UNKNOWN_USE = "E303", "unknown connection kind",
        "No kind of connection of this binary is called so.";
    WRONG_CONNECTION = "E304", "connection of the wrong kind",
        "The step cannot work over a connection of this kind; or it cannot keep idempotency keys, \
         send to a hook, be asked, or carry alerts.";
    NO_CONNECTION = "E305", "connection missing",
        "The step talks to an outside system and must say which one.";
    NEEDLESS_CONNECTION = "E306", "connection not used",
        "The step talks to no outside system.";
    UNKNOWN_PROFILE = "E307", "unknown profile",
        "The profile must stand under 'profiles'.";
    UNKNOWN_NEED = "E308", "unknown step",
        "The name must be one of the steps of this file.";

    CYCLE = "E401", "steps that wait for each other",
        "A step begins after all that it needs, so steps in a circle never begin.";
    UNREACHABLE = "E402", "step that never begins",
        "The step needs, directly or not, steps that wait for each other.";
    SECOND_SOURCE = "E403", "second source",
        "The items of a run come from one source. Split the file in two.";
    WRONG_TRACK = "E404", "step in the wrong place",
        "Some steps work once per item and stand after the source; others work once per run.";
    DELETE_AFTER = "E405", "wrong 'delete_after'",
        "A message may be deleted after the step that receives it, or a later one, but it cannot \
         be kept hidden while items wait for time or signals (rule R7).";
    AMBIGUOUS_ITEM = "E406", "two versions of the item",
        "Two 'map' steps that do not follow each other are before this step, so it is not clear \
         whose output is the item.";

    NOT_AN_EXPRESSION = "E501", "not an expression",
        "The text inside ${{ }} is not JSONata, or uses a function that would not give the same \
         value twice.";
    UNKNOWN_ROOT = "E502", "unknown name",
        "Expressions see 'input', 'item', 'steps' and 'run'; those of hooks see 'body' and \
         'headers'.";
    UNKNOWN_INPUT = "E503", "unknown input",
        "The name must stand under 'input'.";
    NO_ITEM = "E504", "no item here",
        "Only steps after the source work on items.";
    NOT_BEFORE = "E505", "step is not before this one",
        "A step sees the results of the steps that it needs, directly or not.";
    UNKNOWN_FACT = "E506", "unknown result",
        "The step returns no result of this name.";
    ITEM_RESULT = "E507", "result of an item step outside items",
        "The step returns one result per item, so a step that works once per run cannot name it.";
    NO_EXPRESSION_HERE = "E508", "expression where none is allowed",
        "The value must be known before the run, so it is taken as written.";
    EXPRESSION_NEEDED = "E509", "expression needed",
        "The value differs from item to item, so it must be computed: ${{ … }}.";
    SAME_KEY = "E510", "one key for every item",
        "An idempotency key that does not depend on the item would make all items one effect.";

    SECRET_OUTSIDE = "E601", "secret outside 'connections'",
        "Everything outside 'connections' is stored, shown and sent. Secrets stay at the edge.";
    BAD_SECRET = "E602", "not an environment variable",
        "Write ${env:NAME}, the name in letters, digits and '_'.";
    UNSAFE_REPEAT = "E603", "effect that must not be repeated",
        "After a timeout nobody knows whether the effect happened. A retry is allowed when a key \
         makes it one effect, when the connector can look, or when you declare the repeat \
         harmless.";
    NO_EFFECT = "E604", "meaningless for this step",
        "The step changes nothing outside, so it can be repeated at any time and needs no key \
         and no batches.";

    NO_FILE = "E701", "file that cannot be read",
        "Files are named relative to the workflow file; they are read and pinned when a run \
         starts.";
    CONNECTOR = "E801", "refused by the connector",
        "The connector read the step, and the files it names, and cannot work with them.";

    NOT_PORTABLE = "E802", "nothing another executor can drive",
        "The workflow is right, and the engine runs it. Step Functions cannot drive its graph.";

    UNUSED_CONNECTION = "W901", "unused connection",
        "No step names the connection.";
    UNUSED_INPUT = "W902", "unused input",
        "No expression looks at the input.";
    SECRET_WRITTEN = "W903", "secret written out",
        "Whoever reads the file reads the secret, and so does the stored copy of it. Write \
         ${env:NAME}.";
}

#[cfg(test)]
mod tests {
    use super::CODES;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(CODES.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert!(CODES.iter().all(|code| !code.title.is_empty() && code.explanation.ends_with('.')));
    }
}
