//! Text in which `%XX` stands for a byte: paths, and keys of objects.

/// What is meant (RFC 3986, section 2.1); `None`: after a `%` come no two hexadecimal digits, or it is not UTF-8.
pub fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digit = |at: usize| char::from(digits[at]).to_digit(16);
        bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn what_is_escaped_is_read_and_what_is_broken_is_nothing() {
        for (text, meant) in [("a/b", "a/b"), ("%41%c3%A9%2525", "A\u{e9}%25"), ("a+b", "a+b"), ("%00", "\0")]
        {
            assert_eq!(decoded(text).as_deref(), Some(meant), "{text}");
        }
        for broken in ["%", "%4", "%zz", "%+1", "% 1", "%\u{e9}1", "%c0%af", "%ff"] {
            assert_eq!(decoded(broken), None, "{broken}");
        }
    }
}
