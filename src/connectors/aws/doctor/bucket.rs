//! A bucket, and an object in it that a run would read.

use super::super::session::Session;
use super::answer::{No, no};
use crate::connectors::examine::Diagnosis;

/// Looks whether a source at `s3://bucket/key` can be read; other sources are not our business.
pub(super) async fn examine_source(session: &Session, uri: &str, found: &mut Vec<Diagnosis>) {
    let Some((bucket, key)) = uri.strip_prefix("s3://").and_then(|rest| rest.split_once('/')) else { return };
    let (key, version) = match key.split_once("?versionId=") {
        Some((key, version)) => (key, Some(version.to_owned())),
        None => (key, None),
    };
    if key.is_empty() {
        return examine(session, bucket, found).await;
    }
    // The first byte is as good as all of them, and unlike a HEAD a refusal has a reason. An object
    // without bytes has no first one.
    let asked = session.s3().await.get_object().bucket(bucket).key(key).set_version_id(version);
    found.push(match asked.range("bytes=0-0").send().await {
        Ok(_) => Diagnosis::good(format!("source {uri}: it can be read")),
        Err(error) => {
            let is_empty = error.raw_response().is_some_and(|answer| answer.status().as_u16() == 416);
            match no("s3:GetObject", &format!("source {uri}"), error) {
                _ if is_empty => Diagnosis::good(format!("source {uri}: it can be read, and is empty")),
                No::Absent => Diagnosis::wrong(
                    format!("source {uri}: there is no such object, or no such bucket"),
                    format!("aws s3 cp FILE {uri}, or name another one with --input"),
                ),
                No::Other(diagnosis) => diagnosis,
            }
        }
    });
}

/// Looks whether a bucket is there.
pub(super) async fn examine(session: &Session, bucket: &str, found: &mut Vec<Diagnosis>) {
    let what = format!("bucket {bucket}");
    let asked = session.s3().await.list_objects_v2().bucket(bucket).max_keys(1).send().await;
    found.push(match asked.map_err(|error| no("s3:ListBucket", &what, error)) {
        Ok(_) => Diagnosis::good(format!("{what}: it is there")),
        Err(No::Absent) => {
            Diagnosis::wrong(format!("{what}: there is none"), format!("aws s3 mb s3://{bucket}"))
        }
        Err(No::Other(diagnosis)) => diagnosis,
    });
}
