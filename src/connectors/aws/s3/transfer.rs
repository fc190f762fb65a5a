//! One object, received from its first byte to its last, however often the transfer breaks: what is
//! missing is asked for again, from the object that was begun with and no other.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use aws_smithy_checksums::http::HttpChecksum;
use tokio::time::{sleep, timeout};

use super::address::Address;
use super::checksum::Given;
use super::refusal::{self, Asked, CHANGED};
use crate::core::fault::{Fault, name};
use crate::core::retry::Again;
use crate::core::run::Origin;
use crate::ports::Unread;

/// Times in a row that a transfer is taken up again without getting on.
const RESUMES_MAX: u32 = 5;
/// Getting on: after so many bytes, breaks are counted from the beginning.
const PROGRESS_BYTES: u64 = 1024 * 1024;

/// What a transfer may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Most bytes.
    pub(super) bytes_max: u64,
    /// Longest wait for the next bytes.
    pub(super) stall: Duration,
    /// The pause before the transfer is taken up again; it doubles with each time in a row.
    pub(super) pause: Duration,
}

/// An object on its way.
pub(super) struct Transfer {
    client: Client,
    address: Address,
    limits: Limits,
    /// As the first answer has it, with its quotes.
    etag: Option<String>,
    given: Option<Given>,
    running: Option<Box<dyn HttpChecksum>>,
    /// How long it is, once S3 has said so.
    promised: Option<u64>,
    received: u64,
    body: ByteStream,
    /// Breaks in a row, and where the last one was.
    breaks: u32,
    broke_at: u64,
    ended: bool,
}

impl Transfer {
    /// Asks for an object. From then on it is this version of it, and this content.
    ///
    /// # Errors
    /// Why it cannot be read, or that it is too long.
    pub(super) async fn start(client: Client, address: Address, limits: Limits) -> Result<Self, Unread> {
        let asked = client
            .get_object()
            .bucket(&address.bucket)
            .key(&address.key)
            .set_version_id(address.version.clone())
            .checksum_mode(ChecksumMode::Enabled);
        let answer =
            asked.send().await.map_err(|error| refusal::unread(refusal::of(Asked::Get, &address, error)))?;
        let given = Given::with(&answer);
        let promised = answer.content_length().and_then(|length| u64::try_from(length).ok());
        let mut transfer = Self {
            client,
            limits,
            etag: answer.e_tag().map(ToOwned::to_owned),
            running: given.as_ref().and_then(Given::running),
            given,
            promised,
            received: 0,
            address,
            body: ByteStream::default(),
            breaks: 0,
            broke_at: 0,
            ended: false,
        };
        transfer.address.version =
            transfer.address.version.or_else(|| answer.version_id().map(ToOwned::to_owned));
        transfer.fits(promised.unwrap_or(0))?;
        transfer.body = answer.body;
        Ok(transfer)
    }

    /// What S3 says of the object.
    pub(super) fn origin(&self) -> Origin {
        Origin {
            bytes: self.promised,
            etag: self.etag.as_ref().map(|etag| etag.trim_matches('"').to_owned()),
            version: self.address.version.clone(),
            checksum: self.given.as_ref().map(Given::told),
            verified: self.given.as_ref().is_some_and(|given| given.running().is_some()),
        }
    }

    /// The next bytes; `None` when all were received and, where S3 gave a checksum of the whole, are
    /// those that it holds.
    ///
    /// # Errors
    /// Why the object cannot be read to its end. What came before is worth nothing then.
    pub(super) async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, Unread> {
        while !self.ended {
            let complete = self.promised == Some(self.received);
            let why = match timeout(self.limits.stall, self.body.next()).await {
                Ok(Some(Ok(bytes))) if bytes.is_empty() => continue,
                Ok(Some(Ok(bytes))) => {
                    self.take(&bytes)?;
                    return Ok(Some(bytes));
                }
                // However it ends: nothing is missing.
                Ok(Some(Err(_)) | None) | Err(_) if complete => return self.end().map(|()| None),
                Ok(None) if self.promised.is_none() => return self.end().map(|()| None),
                Ok(None) => "it ended early".to_owned(),
                Ok(Some(Err(error))) => innermost(&error),
                Err(_) => format!("nothing came for {:?}", self.limits.stall),
            };
            self.resume(why).await?;
        }
        Ok(None)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        self.received += bytes.len() as u64;
        if let Some(promised) = self.promised.filter(|promised| self.received > *promised) {
            let message = format!("{} is longer than the {promised} bytes that S3 announced", self.address);
            return Err(Fault::new(name::VALIDATION, message).into());
        }
        self.fits(self.received)?;
        if let Some(running) = &mut self.running {
            running.update(bytes);
        }
        Ok(())
    }

    fn fits(&self, bytes: u64) -> Result<(), Unread> {
        let most = self.limits.bytes_max;
        if bytes <= most {
            return Ok(());
        }
        let message = match self.promised {
            Some(promised) => format!("{} has {promised} bytes, and 'max_bytes' is {most}", self.address),
            None => format!("{} goes on after {most} bytes, which is 'max_bytes'", self.address),
        };
        Err(Fault::new(name::VALIDATION, message).into())
    }

    fn end(&mut self) -> Result<(), Unread> {
        self.ended = true;
        self.body = ByteStream::default();
        let (Some(running), Some(given)) = (self.running.take(), &self.given) else { return Ok(()) };
        if given.is(running) {
            return Ok(());
        }
        let message = format!(
            "what was received of {} does not have its checksum {}: it was damaged on its way, or in the bucket",
            self.address,
            given.told()
        );
        Err(Unread { fault: Fault::new(name::NO_ANSWER, message), again: Again::Later })
    }

    /// Asks for what is missing, some times, with growing pauses.
    async fn resume(&mut self, mut why: String) -> Result<(), Unread> {
        if self.received - self.broke_at >= PROGRESS_BYTES {
            self.breaks = 0;
        }
        self.broke_at = self.received;
        loop {
            let Some(etag) = self.etag.clone().filter(|_| self.breaks < RESUMES_MAX) else {
                return Err(self.broken(&why));
            };
            sleep(self.limits.pause * 2u32.pow(self.breaks)).await;
            self.breaks += 1;
            match self.ask_for_the_rest(etag).await {
                Ok(answer) => return self.go_on(answer),
                Err(unread) if unread.again == Again::Never => return Err(unread),
                Err(unread) => why = unread.fault.message,
            }
        }
    }

    async fn ask_for_the_rest(&self, etag: String) -> Result<GetObjectOutput, Unread> {
        let asked = self
            .client
            .get_object()
            .bucket(&self.address.bucket)
            .key(&self.address.key)
            .set_version_id(self.address.version.clone())
            .if_match(etag)
            .range(format!("bytes={}-", self.received));
        asked.send().await.map_err(|error| {
            let status = error.raw_response().map_or(0, |answer| answer.status().as_u16());
            match status {
                412 => self.changed("it was replaced"),
                416 => self.changed("it is shorter now"),
                404 => self.changed("it was deleted"),
                _ => refusal::unread(refusal::of(Asked::Get, &self.address, error)),
            }
        })
    }

    /// Goes on with an answer, if it is about the same object and begins where the last one ended.
    fn go_on(&mut self, answer: GetObjectOutput) -> Result<(), Unread> {
        if answer.e_tag() != self.etag.as_deref() {
            return Err(self.changed("it was replaced"));
        }
        let range = answer.content_range().and_then(range);
        let fits = match (range, self.received) {
            (Some((first, _)), received) => first == received,
            // Nothing was received yet, and all of it comes.
            (None, received) => received == 0,
        };
        if !fits {
            let message = format!(
                "{}: asked for what is behind byte {}, S3 gave something else",
                self.address, self.received
            );
            return Err(Unread { fault: Fault::new(name::NO_ANSWER, message), again: Again::Later });
        }
        let whole = range.and_then(|(_, whole)| whole);
        match (self.promised, whole) {
            (Some(promised), Some(whole)) if promised != whole => {
                return Err(self.changed("it has another length now"));
            }
            (None, Some(whole)) => {
                self.promised = Some(whole);
                self.fits(whole)?;
            }
            _ => {}
        }
        self.body = answer.body;
        Ok(())
    }

    fn changed(&self, what: &str) -> Unread {
        let message = format!(
            "{} changed while it was read: {what}. Nothing of it was kept; a resume reads it as it is then",
            self.address
        );
        Fault::new(CHANGED, message).into()
    }

    fn broken(&self, why: &str) -> Unread {
        let of = self.promised.map_or(String::new(), |promised| format!(" of {promised}"));
        let tries = match (&self.etag, self.breaks) {
            (None, _) => "and cannot be taken up without an ETag".to_owned(),
            (Some(_), breaks) => format!("and could not be taken up {breaks} times"),
        };
        let message = format!(
            "the transfer of {} broke after {}{of} bytes, {tries}: {why}",
            self.address, self.received
        );
        Unread { fault: Fault::new(name::NO_ANSWER, message), again: Again::Later }
    }
}

/// The first byte and the whole length of `bytes 7-99/100`.
fn range(text: &str) -> Option<(u64, Option<u64>)> {
    let (first, rest) = text.strip_prefix("bytes ")?.split_once('-')?;
    let (_, whole) = rest.split_once('/')?;
    Some((first.trim().parse().ok()?, whole.trim().parse().ok()))
}

/// The innermost cause: the outer ones only say that something failed.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(inner) = error.source() {
        error = inner;
    }
    error.to_string()
}
