//! One object, received however its transfer breaks.

use std::io::Read;
use std::time::Duration;

use super::server::{Answer, End, Request, Server, Stored};
use super::{limits, objects};
use crate::connectors::aws::s3::transfer::Limits;
use crate::connectors::opening::Opener;
use crate::core::fault::name;
use crate::core::retry::Again;
use crate::core::run::Origin;
use crate::ports::{Interest, Unread};

const URI: &str = "s3://shop-files/in/products.json";
const PLENTY: u64 = 1 << 30;

fn content() -> Vec<u8> {
    (0..100_000u32).flat_map(u32::to_le_bytes).collect()
}

/// Everything that is read, with what S3 said of it.
fn read(server: &Server, limits: Limits, uri: &str) -> Result<(Vec<u8>, Origin), Unread> {
    let mut opened = objects(&server.endpoint, limits).open(uri, &Interest::default())?;
    let mut bytes = Vec::new();
    match opened.bytes.read_to_end(&mut bytes) {
        Ok(_) => Ok((bytes, opened.origin.unwrap())),
        Err(error) => Err(error.get_ref().and_then(|cause| cause.downcast_ref::<Unread>()).unwrap().clone()),
    }
}

fn refused(server: &Server) -> (String, String, Again) {
    let Unread { fault, again } = read(server, limits(PLENTY), URI).unwrap_err();
    (fault.name, fault.message, again)
}

/// Each answer breaks off after so many bytes, the last one does not.
fn breaking(stored: Stored, after: Vec<usize>, end: End) -> Server {
    Server::start(move |number, request| match after.get(number) {
        Some(at) => stored.get(request).cut(*at, end),
        None => stored.get(request),
    })
}

#[test]
fn what_is_missing_is_asked_for_again_wherever_the_transfer_broke() {
    let content = content();
    let whole = content.len();
    for breaks in [
        vec![],
        vec![0],
        vec![1],
        vec![whole / 2],
        vec![whole - 1],
        vec![1, 1, 1],
        vec![0, 0, 0, 0, 0],
        vec![65_536, 65_536, 7],
    ] {
        let server = breaking(Stored::new(content.clone(), "e1"), breaks.clone(), End::Close);
        let (bytes, origin) = read(&server, limits(PLENTY), URI).unwrap();
        assert!(bytes == content, "{breaks:?}");
        assert_eq!(origin.etag.as_deref(), Some("e1"));
        assert_eq!(origin.bytes, Some(whole as u64));
        let asked = server.asked();
        assert_eq!(asked.len(), breaks.len() + 1, "{breaks:?}");
        let mut at = 0;
        for (request, broke) in asked.iter().skip(1).zip(&breaks) {
            at += broke;
            assert_eq!(request.from(), Some(at), "{breaks:?}");
            assert_eq!(request.headers["if-match"], "\"e1\"");
        }
    }
}

#[test]
fn a_transfer_that_gets_nowhere_is_given_up_and_may_be_tried_again() {
    let server = breaking(Stored::new(content(), "e1"), vec![5, 0, 0, 0, 0, 0, 0], End::Close);
    let (name, message, again) = refused(&server);
    assert_eq!((name.as_str(), again), (name::NO_ANSWER, Again::Later));
    assert!(message.contains("broke after 5 of 400000 bytes"), "{message}");
    assert_eq!(server.asked().len(), 6, "five times taken up");
}

#[test]
fn breaks_are_counted_anew_once_it_gets_on() {
    let bytes = vec![b'x'; 20 << 20];
    let server = breaking(Stored::new(bytes.clone(), "e1"), vec![2 << 20; 9], End::Close);
    let (read, _) = read(&server, limits(PLENTY), URI).unwrap();
    assert!(read == bytes);
    assert_eq!(server.asked().len(), 10);
}

#[test]
fn a_server_that_falls_silent_is_asked_again() {
    let content = content();
    let server = breaking(Stored::new(content.clone(), "e1"), vec![1000, 0], End::Hold);
    let limits = Limits { stall: Duration::from_millis(300), ..limits(PLENTY) };
    let (bytes, _) = read(&server, limits, URI).unwrap();
    assert!(bytes == content);
    let silent = breaking(Stored::new(content, "e1"), vec![1000, 0, 0, 0, 0, 0], End::Hold);
    let limits = Limits { stall: Duration::from_millis(50), ..limits };
    let unread = read(&silent, limits, URI).unwrap_err();
    assert!(unread.fault.message.contains("nothing came for 50ms"), "{unread}");
}

#[test]
fn an_object_that_changes_meanwhile_is_not_mixed() {
    type Second = fn(&Request) -> Answer;
    let second: [(Second, &str); 5] = [
        (|request| Stored::new(vec![1; 400_000], "e2").get(request), "it was replaced"),
        // A server that knows no preconditions.
        (
            |request| {
                let without = Request {
                    headers: [("range".to_owned(), "bytes=7-".to_owned())].into(),
                    ..request.clone()
                };
                Stored::new(vec![1; 400_000], "e2").get(&without)
            },
            "it was replaced",
        ),
        (|request| Stored::new(vec![1; 400_001], "e1").get(request), "another length"),
        (|_| Answer::refusal(404, "NoSuchKey"), "it was deleted"),
        (|_| Answer::refusal(416, "InvalidRange"), "it is shorter now"),
    ];
    for (second, why) in second {
        let first = Stored::new(content(), "e1");
        let server = Server::start(move |number, request| match number {
            0 => first.get(request).cut(7, End::Close),
            _ => second(request),
        });
        let (name, message, again) = refused(&server);
        assert_eq!((name.as_str(), again), ("SourceChanged", Again::Never), "{message}");
        assert!(message.contains(why) && message.contains("a resume reads it"), "{message}");
    }
}

#[test]
fn a_rest_that_begins_elsewhere_is_not_taken_for_the_rest() {
    let stored = Stored::new(content(), "e1");
    let server = Server::start(move |number, request| {
        let mut ignored = request.clone();
        ignored.headers.remove("range");
        let answer = stored.get(&ignored);
        if number == 0 { answer.cut(7, End::Close) } else { answer }
    });
    let (name, message, again) = refused(&server);
    assert_eq!((name.as_str(), again), (name::NO_ANSWER, Again::Later));
    assert!(message.contains("S3 gave something else"), "{message}");
}

#[test]
fn the_version_of_the_first_answer_is_the_one_that_is_read_on() {
    let mut stored = Stored::new(content(), "e1");
    stored.headers = vec![("x-amz-version-id", "v7".to_owned())];
    let server = breaking(stored, vec![7], End::Close);
    let (_, origin) = read(&server, limits(PLENTY), URI).unwrap();
    assert_eq!(origin.version.as_deref(), Some("v7"));
    let asked = server.asked();
    assert!(!asked[0].path.contains("versionId") && asked[1].path.contains("versionId=v7"), "{asked:?}");
}

#[test]
fn what_never_ends_is_cut() {
    let endless = |announced| {
        Server::start(move |_, request| Answer {
            announced,
            end: End::Endless,
            ..Stored::new(content(), "e1").get(request)
        })
    };
    let unread = read(&endless(None), limits(1_000_000), URI).unwrap_err();
    assert_eq!(unread.again, Again::Never);
    assert!(unread.fault.message.contains("goes on after 1000000 bytes, which is 'max_bytes'"), "{unread}");
    let unread = read(&endless(Some(2_000_000)), limits(1_000_000), URI).unwrap_err();
    assert!(unread.fault.message.contains("has 2000000 bytes, and 'max_bytes' is 1000000"), "{unread}");
}

#[test]
fn a_rest_that_is_longer_than_announced_is_cut() {
    let stored = Stored::new(content(), "e1");
    let server = Server::start(move |number, request| match number {
        0 => stored.get(request).cut(7, End::Close),
        _ => Answer { announced: None, end: End::Endless, ..stored.get(request) },
    });
    let (name, message, again) = refused(&server);
    assert_eq!((name.as_str(), again), (name::VALIDATION, Again::Never));
    assert!(message.contains("longer than the 400000 bytes that S3 announced"), "{message}");
}

#[test]
fn an_object_in_chunks_ends_where_its_last_chunk_does() {
    let server = Server::start(|number, request| {
        let answer = Stored::new(content(), "e1").get(request);
        match number {
            // Chunks that never say that they were all.
            0 => Answer { announced: None, ..answer }.cut(11, End::Hold),
            _ => Answer { announced: None, ..answer },
        }
    });
    let limits = Limits { stall: Duration::from_millis(300), ..limits(PLENTY) };
    let (bytes, _) = read(&server, limits, URI).unwrap();
    assert!(bytes == content());
}

#[test]
fn a_checksum_of_the_whole_is_compared_over_all_parts() {
    // Of "123456789", from the catalogue of CRC algorithms; SHA-256 by sha256sum.
    for (header, value, told) in [
        ("x-amz-checksum-crc32", "y/Q5Jg==", "crc32"),
        ("x-amz-checksum-crc32c", "4waSgw==", "crc32c"),
        ("x-amz-checksum-crc64nvme", "rosUhgp5mIg=", "crc64nvme"),
        ("x-amz-checksum-sha256", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=", "sha256"),
    ] {
        let mut stored = Stored::new("123456789", "e1");
        stored.headers = vec![(header, value.to_owned())];
        let (bytes, origin) =
            read(&breaking(stored.clone(), vec![4], End::Close), limits(PLENTY), URI).unwrap();
        assert_eq!(bytes, b"123456789");
        assert_eq!(origin.checksum, Some(format!("{told}:{value}")));
        assert!(origin.verified);
        stored.bytes[8] = b'0';
        for breaks in [vec![], vec![4]] {
            let (name, message, again) = refused(&breaking(stored.clone(), breaks, End::Close));
            assert_eq!((name.as_str(), again), (name::NO_ANSWER, Again::Later));
            assert!(message.contains("does not have its checksum"), "{message}");
        }
    }
}

#[test]
fn a_checksum_of_checksums_is_kept_and_not_compared() {
    let mut stored = Stored::new("123456789", "e1-2");
    stored.headers = vec![
        ("x-amz-checksum-crc32", "AAAAAA==-2".to_owned()),
        ("x-amz-checksum-type", "COMPOSITE".to_owned()),
    ];
    let (bytes, origin) = read(&breaking(stored, vec![3], End::Close), limits(PLENTY), URI).unwrap();
    assert_eq!(bytes, b"123456789");
    assert_eq!((origin.checksum.as_deref(), origin.verified), (Some("crc32:AAAAAA==-2"), false));
}

#[test]
fn refusals_say_what_to_do() {
    for (status, code, uri, says, again) in [
        (
            404,
            "NoSuchKey",
            URI,
            "there is no object s3://shop-files/in/products.json: look with 'aws s3 ls",
            Again::Never,
        ),
        (404, "NoSuchBucket", URI, "there is no bucket 'shop-files'", Again::Never),
        (404, "NoSuchVersion", "s3://shop-files/a?versionId=v", "there is no such version", Again::Never),
        (400, "InvalidArgument", "s3://shop-files/a?versionId=v", "there is no such version", Again::Never),
        (405, "MethodNotAllowed", "s3://shop-files/a?versionId=v", "the object was deleted", Again::Never),
        (403, "AccessDenied", URI, "s3:GetObject is missing, or there is no such object", Again::Never),
        (
            403,
            "AccessDenied",
            "s3://shop-files/a?versionId=v",
            "s3:GetObjectVersion is missing",
            Again::Never,
        ),
        (403, "InvalidAccessKeyId", URI, "credentials were not accepted", Again::Later),
        (400, "ExpiredToken", URI, "credentials were not accepted", Again::Later),
        (403, "InvalidObjectState", URI, "is archived: restore it first", Again::Never),
        (301, "PermanentRedirect", URI, "is in another region: set AWS_REGION", Again::Never),
        (503, "SlowDown", URI, "SlowDown (HTTP 503)", Again::Later),
        (500, "InternalError", URI, "InternalError (HTTP 500)", Again::Later),
    ] {
        let server = Server::start(move |_, _| Answer::refusal(status, code));
        let unread = read(&server, limits(PLENTY), uri).unwrap_err();
        assert!(unread.fault.message.contains(says), "{code}: {unread}");
        assert_eq!(unread.again, again, "{code}");
        assert_eq!(server.asked().len(), 1, "{code}: attempts are the engine's business");
    }
}

#[test]
fn nobody_there_may_be_tried_again() {
    // Port 0 accepts nobody.
    let unread = objects("http://127.0.0.1:0", limits(PLENTY)).open(URI, &Interest::default()).err().unwrap();
    assert_eq!((unread.fault.name.as_str(), unread.again), (name::UNREACHABLE, Again::Later));
}
