//! How objects are named: `s3://BUCKET/KEY`, and `s3://BUCKET/KEY?versionId=VERSION` for one version.
//!
//! In KEY and VERSION `%XX` is a byte of UTF-8; in KEY a `?` and a `%` are written `%3F` and `%25`.
//! Everything else stands for itself: a `+` is a plus, a `#` a hash, a second slash a second slash.

use std::fmt;

use crate::core::escape::decoded;

/// The kind of its names.
const SCHEME: &str = "s3://";
/// The only thing that a query may say.
const VERSION: &str = "versionId=";
/// Longest key, in bytes, as S3 documents it.
const KEY_BYTES_MAX: usize = 1024;
/// Lengths of a bucket's name, as S3 documents them.
const BUCKET_BYTES: std::ops::RangeInclusive<usize> = 3..=63;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The bucket.
    pub(crate) bucket: String,
    /// The key, decoded.
    pub(crate) key: String,
    /// One version of it; `None`: the newest.
    pub(crate) version: Option<String>,
}

impl Address {
    /// Reads a name.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub(crate) fn parse(uri: &str) -> Result<Self, String> {
        let wrong =
            |why: &str| format!("{uri}: {why}; expected s3://bucket/key or s3://bucket/key?versionId=…");
        let rest = uri.strip_prefix(SCHEME).ok_or_else(|| wrong("it does not begin with s3://"))?;
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let is_of_bucket = |letter: char| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '-' | '.')
        };
        if !BUCKET_BYTES.contains(&bucket.len()) || !bucket.chars().all(is_of_bucket) {
            return Err(wrong(&format!("'{bucket}' cannot name a bucket")));
        }
        let key = decoded(key).ok_or_else(|| wrong("after a '%' come two hexadecimal digits, of UTF-8"))?;
        if key.is_empty() {
            return Err(wrong("the key is missing"));
        }
        if key.len() > KEY_BYTES_MAX {
            return Err(wrong("the key is longer than 1,024 bytes"));
        }
        let version = match query {
            None => None,
            Some(query) => {
                let version = query.strip_prefix(VERSION).filter(|version| !version.contains('&'));
                let version = version.and_then(decoded).filter(|version| !version.is_empty());
                let hint = "after '?' only versionId=… can stand; a '?' of the key is written %3F";
                Some(version.ok_or_else(|| wrong(hint))?)
            }
        };
        Ok(Self { bucket: bucket.to_owned(), key, version })
    }
}

/// As it is written in a workflow file: what [`Address::parse`] reads.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.bucket, encoded(&self.key))?;
        match &self.version {
            Some(version) => write!(f, "?{VERSION}{}", encoded(version)),
            None => Ok(()),
        }
    }
}

fn encoded(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '%' => written.push_str("%25"),
            '?' => written.push_str("%3F"),
            '&' => written.push_str("%26"),
            letter if letter.is_control() || letter == ' ' => {
                let mut bytes = [0; 4];
                for byte in letter.encode_utf8(&mut bytes).bytes() {
                    written.extend(['%', digit(byte >> 4), digit(byte & 15)]);
                }
            }
            letter => written.push(letter),
        }
    }
    written
}

fn digit(half: u8) -> char {
    char::from_digit(half.into(), 16).unwrap_or_default().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for (uri, key, version) in [
            ("s3://shop-files/in/products.json", "in/products.json", None),
            ("s3://shop-files//twice//slash", "/twice//slash", None),
            ("s3://shop-files/a+b#c&d.csv.gz", "a+b#c&d.csv.gz", None),
            ("s3://shop-files/x%20y%2B%C3%A9%3F%25", "x y+é?%", None),
            ("s3://shop-files/x y/é", "x y/é", None),
            ("s3://shop-files/a?versionId=3sL4kq.%26", "a", Some("3sL4kq.&")),
        ] {
            let address = Address::parse(uri).unwrap();
            assert_eq!((address.key.as_str(), address.version.as_deref()), (key, version), "{uri}");
            assert_eq!(Address::parse(&address.to_string()), Ok(address), "{uri}");
        }
    }

    #[test]
    fn what_names_no_object_says_what_to_write() {
        for (uri, why) in [
            ("products.json", "does not begin with s3://"),
            ("S3://bucket/key", "does not begin with s3://"),
            ("s3://bucket", "the key is missing"),
            ("s3://bucket/", "the key is missing"),
            ("s3:///key", "cannot name a bucket"),
            ("s3://Bucket/key", "cannot name a bucket"),
            ("s3://bucket/50%", "two hexadecimal digits"),
            ("s3://bucket/%C3", "of UTF-8"),
            ("s3://bucket/key?version=1", "only versionId="),
            ("s3://bucket/key?versionId=", "only versionId="),
            ("s3://bucket/key?versionId=1&x=2", "only versionId="),
        ] {
            let said = Address::parse(uri).unwrap_err();
            assert!(said.contains(why) && said.contains("expected s3://bucket/key"), "{uri}: {said}");
        }
        let long = format!("s3://bucket/{}", "k".repeat(1025));
        assert!(Address::parse(&long).unwrap_err().contains("longer than 1,024 bytes"));
    }
}
