//! Queue policies, as far as they can be read: who may send.

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use super::queue::Found;
use crate::connectors::examine::Diagnosis;

/// A service of AWS that sends to queues.
pub(super) struct Sender {
    name: &'static str,
    /// As policies call it.
    principal: &'static str,
}

/// What rules send.
pub(super) const EVENTBRIDGE: Sender = Sender { name: "EventBridge", principal: "events.amazonaws.com" };
/// What buckets send.
pub(super) const S3: Sender = Sender { name: "S3", principal: "s3.amazonaws.com" };

/// Whether the queue lets in what the service sends from one of these ARNs.
pub(super) fn admission(name: &str, queue: &Found, sender: &Sender, sources: &[String]) -> Diagnosis {
    let policy = queue.attributes.get(&QueueAttributeName::Policy).map(String::as_str);
    let (what, who) = (format!("queue {name}: its policy"), sender.name);
    let next = format!(
        "allow sqs:SendMessage to the service {} in the policy of {name}; see {}",
        sender.principal,
        super::TEMPLATE
    );
    let from = From { arns: sources, account: queue.arn.split(':').nth(4).unwrap_or_default() };
    match lets_send(policy, sender.principal, &from) {
        Says::Yes => Diagnosis::good(format!("{what} lets {who} send")),
        Says::No => Diagnosis::wrong(format!("{what} does not let {who} send"), next),
        Says::FromElsewhere => {
            Diagnosis::wrong(format!("{what} lets {who} send from elsewhere, not from here"), next)
        }
        Says::Perhaps => {
            Diagnosis::unknown(format!("{what} lets {who} send under conditions that cannot be judged"), next)
        }
    }
}

/// What a policy says about one service that wants to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// It may, from one of the given sources.
    Yes,
    /// Nothing lets it.
    No,
    /// It may, but only from sources that are none of the given.
    FromElsewhere,
    /// There are conditions, or denials, that only AWS can judge.
    Perhaps,
}

/// Where a message would come from: one of these sources, in this account.
struct From<'a> {
    arns: &'a [String],
    account: &'a str,
}

/// Whether the policy of a queue lets the service send what comes from there.
fn lets_send(policy: Option<&str>, service: &str, from: &From<'_>) -> Says {
    let policy = policy.and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or_default();
    let statements = list(&policy["Statement"]);
    let about_us = statements.iter().filter(|statement| is_about(statement, service));
    let (denials, grants): (Vec<&Value>, Vec<&Value>) =
        about_us.partition(|statement| statement["Effect"] == "Deny");
    let judged: Vec<Says> =
        grants.iter().map(|statement| of_condition(&statement["Condition"], from)).collect();
    match [Says::Yes, Says::Perhaps, Says::FromElsewhere].into_iter().find(|says| judged.contains(says)) {
        None => Says::No,
        Some(Says::Yes) if !denials.is_empty() => Says::Perhaps,
        Some(says) => says,
    }
}

fn is_about(statement: &Value, service: &str) -> bool {
    let principal = &statement["Principal"];
    let everybody = *principal == "*" || texts(&principal["AWS"]).contains(&"*");
    let names = everybody || texts(&principal["Service"]).iter().any(|name| *name == service || *name == "*");
    let actions = texts(&statement["Action"]);
    let sends =
        |action: &&str| matches!(action.to_ascii_lowercase().as_str(), "*" | "sqs:*" | "sqs:sendmessage");
    names && actions.iter().any(sends)
}

/// The only conditions that are read are those that the guides of AWS write: the source's ARN and
/// account.
fn of_condition(condition: &Value, from: &From<'_>) -> Says {
    let mut says = Says::Yes;
    for (operator, keys) in condition.as_object().into_iter().flatten() {
        let compares = matches!(operator.as_str(), "ArnEquals" | "ArnLike" | "StringEquals" | "StringLike");
        for (key, wanted) in keys.as_object().into_iter().flatten() {
            let fits = |known: &str| texts(wanted).iter().any(|wanted| fits(wanted, known));
            let holds = match key.to_ascii_lowercase().as_str() {
                "aws:sourcearn" if compares => from.arns.iter().any(|arn| fits(arn)),
                "aws:sourceaccount" if compares => fits(from.account),
                _ => {
                    says = Says::Perhaps;
                    continue;
                }
            };
            if !holds {
                return Says::FromElsewhere;
            }
        }
    }
    says
}

/// Whether a text fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| fits(after, &rest[at..]))
        }),
    }
}

/// AWS writes a list of one as the one.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(all) => all.iter().collect(),
        one => vec![one],
    }
}

fn texts(value: &Value) -> Vec<&str> {
    list(value).into_iter().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn says(statements: &Value) -> Says {
        let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        let arns = ["arn:aws:events:eu-1:1:rule/b/r".to_owned()];
        lets_send(Some(&policy), "events.amazonaws.com", &From { arns: &arns, account: "1" })
    }

    #[test]
    fn who_may_send_is_read_from_the_policy() {
        let grant = |principal: Value, action: Value, condition: Value| json!({ "Effect": "Allow", "Principal": principal, "Action": action, "Condition": condition });
        let service = || json!({ "Service": "events.amazonaws.com" });
        let from = |arn: &str| json!({ "ArnEquals": { "aws:SourceArn": arn } });
        let send = || json!("sqs:SendMessage");
        for (statements, expected) in [
            (grant(service(), send(), from("arn:aws:events:eu-1:1:rule/b/r")), Says::Yes),
            (grant(service(), send(), from("arn:aws:events:*:1:rule/*")), Says::Yes),
            (json!([grant(json!("*"), json!(["sqs:GetQueueUrl", "SQS:SendMessage"]), json!({}))]), Says::Yes),
            (grant(service(), send(), from("arn:aws:events:eu-1:1:rule/b/other")), Says::FromElsewhere),
            (grant(service(), send(), json!({ "Bool": { "aws:SecureTransport": "true" } })), Says::Perhaps),
            (grant(service(), send(), json!({ "StringEquals": { "aws:SourceAccount": ["1"] } })), Says::Yes),
            (
                grant(service(), send(), json!({ "StringEquals": { "AWS:SourceAccount": "2" } })),
                Says::FromElsewhere,
            ),
            (grant(json!({ "Service": "s3.amazonaws.com" }), send(), json!({})), Says::No),
            (grant(service(), json!("sqs:ReceiveMessage"), json!({})), Says::No),
            (json!([]), Says::No),
        ] {
            assert_eq!(says(&statements), expected, "{statements}");
        }
        let denied = json!([
            grant(service(), send(), json!(null)),
            { "Effect": "Deny", "Principal": "*", "Action": "sqs:*" },
        ]);
        assert_eq!(says(&denied), Says::Perhaps);
        assert_eq!(lets_send(None, "events.amazonaws.com", &From { arns: &[], account: "1" }), Says::No);
    }
}
