//! A bucket, an object in it that a run would read, and whether a trigger hears of new ones.

use super::super::session::Session;
use super::answer::{No, no};
use super::bus::{self, Published};
use super::policy::{S3, admission};
use super::queue;
use crate::connectors::examine::{Diagnosis, fixed};
use crate::core::workflow::Trigger;

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

/// Looks whether uploads are told to the queue that a trigger hears from.
pub(super) async fn examine_trigger(session: &Session, trigger: &Trigger, found: &mut Vec<Diagnosis>) {
    let Some(name) = fixed(&trigger.with, "queue") else { return };
    let queue = match queue::look(session, name).await {
        Ok(queue) => queue,
        Err(No::Absent) => return found.push(queue::absent(name)),
        Err(No::Other(diagnosis)) => return found.push(diagnosis),
    };
    examine_notification(session, trigger, &queue, name, found).await;
    queue::examine_redrive(session, name, &queue, None, found).await;
}

/// Whether the bucket of a trigger tells its queue of uploads, and how.
async fn examine_notification(
    session: &Session,
    trigger: &Trigger,
    queue: &queue::Found,
    name: &str,
    found: &mut Vec<Diagnosis>,
) {
    let Some(bucket) = fixed(&trigger.with, "bucket") else {
        let seen = format!(
            "trigger '{}': it names no bucket, so none was asked whether it tells {name}",
            trigger.name
        );
        return found.push(Diagnosis::unknown(seen, format!("write bucket: NAME into '{}'", trigger.name)));
    };
    let what = format!("bucket {bucket}");
    let asked = session.s3().await.get_bucket_notification_configuration().bucket(bucket).send().await;
    let told = match asked.map_err(|error| no("s3:GetBucketNotification", &what, error)) {
        Ok(told) => told,
        Err(No::Absent) => {
            let next = format!("aws s3 mb s3://{bucket}");
            return found.push(Diagnosis::wrong(format!("{what}: there is none"), next));
        }
        Err(No::Other(diagnosis)) => return found.push(diagnosis),
    };
    let tells_queue = told.queue_configurations().iter().any(|tells| {
        tells.queue_arn() == queue.arn
            && tells.events().iter().any(|event| event.as_str().starts_with("s3:ObjectCreated:"))
    });
    if tells_queue {
        found.push(Diagnosis::good(format!("{what}: it tells {name} of uploads")));
        found.push(admission(name, queue, &S3, &[format!("arn:aws:s3:::{bucket}")]));
    } else if told.event_bridge_configuration().is_some() {
        found.push(Diagnosis::good(format!("{what}: it tells EventBridge of uploads")));
        let created = Published {
            step: trigger.name.clone(),
            source: Some("aws.s3".to_owned()),
            detail_type: Some("Object Created".to_owned()),
        };
        bus::examine(session, "default", &[created], Some(name), found).await;
    } else {
        let next = format!("see Bucket in {}", super::TEMPLATE);
        found.push(Diagnosis::wrong(format!("{what}: it does not tell {name} of uploads"), next));
    }
}
