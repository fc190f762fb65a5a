//! Whether what was received is what S3 holds.

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::ChecksumType;
use aws_smithy_checksums::ChecksumAlgorithm;
use aws_smithy_checksums::http::HttpChecksum;
use aws_smithy_types::base64;

/// A checksum that S3 gave with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    algorithm: &'static str,
    /// In base64, as S3 gives it.
    value: String,
    /// It is of the whole object. One of an object that was uploaded in parts may be a checksum of
    /// the parts' checksums, and where the parts begin is not known here: nothing to compare with.
    whole: bool,
}

impl Given {
    /// The one that comes with an answer, the strongest if there are several.
    pub(super) fn with(answer: &GetObjectOutput) -> Option<Self> {
        let given = [
            ("sha256", answer.checksum_sha256()),
            ("crc64nvme", answer.checksum_crc64_nvme()),
            ("crc32c", answer.checksum_crc32_c()),
            ("crc32", answer.checksum_crc32()),
            ("sha1", answer.checksum_sha1()),
        ];
        let (algorithm, value) = given.into_iter().find_map(|(name, value)| Some((name, value?)))?;
        // A checksum of checksums ends with the number of parts, which base64 cannot.
        let whole = answer.checksum_type() != Some(&ChecksumType::Composite) && !value.contains('-');
        Some(Self { algorithm, value: value.to_owned(), whole })
    }

    /// As `algorithm:value`.
    pub(super) fn told(&self) -> String {
        format!("{}:{}", self.algorithm, self.value)
    }

    /// What computes it over what is received; `None` when there is nothing to compare.
    pub(super) fn running(&self) -> Option<Box<dyn HttpChecksum>> {
        let algorithm = self.whole.then(|| self.algorithm.parse::<ChecksumAlgorithm>().ok())?;
        algorithm.map(ChecksumAlgorithm::into_impl)
    }

    /// Whether this is the checksum of what was received.
    pub(super) fn is(&self, running: Box<dyn HttpChecksum>) -> bool {
        base64::encode(running.finalize()) == self.value
    }
}
