//! Queue policies, as far as they can be read: who may send.

use serde_json::Value;

/// What a policy says about one service that wants to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// It may, from one of the given sources.
    Yes,
    /// Nothing lets it.
    No,
    /// It may, but only from sources that are none of the given.
    FromElsewhere,
    /// There are conditions, or denials, that only AWS can judge.
    Perhaps,
}

/// Whether the policy of a queue lets the service send what comes from one of these ARNs.
pub(super) fn lets_send(policy: Option<&str>, service: &str, sources: &[String]) -> Says {
    let policy = policy.and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or_default();
    let statements = list(&policy["Statement"]);
    let about_us = statements.iter().filter(|statement| is_about(statement, service));
    let (denials, grants): (Vec<&Value>, Vec<&Value>) =
        about_us.partition(|statement| statement["Effect"] == "Deny");
    let judged: Vec<Says> =
        grants.iter().map(|statement| of_condition(&statement["Condition"], sources)).collect();
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

/// The only condition that is read is the one that every guide of AWS writes: the source's ARN.
fn of_condition(condition: &Value, sources: &[String]) -> Says {
    let Some(operators) = condition.as_object().filter(|operators| !operators.is_empty()) else {
        return Says::Yes;
    };
    let mut says = Says::Yes;
    for (operator, keys) in operators {
        for (key, wanted) in keys.as_object().into_iter().flatten() {
            let is_source = key.eq_ignore_ascii_case("aws:SourceArn");
            let compares =
                matches!(operator.as_str(), "ArnEquals" | "ArnLike" | "StringEquals" | "StringLike");
            if !is_source || !compares {
                says = Says::Perhaps;
            } else if !texts(wanted).iter().any(|wanted| sources.iter().any(|source| fits(wanted, source))) {
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
        lets_send(Some(&policy), "events.amazonaws.com", &["arn:aws:events:eu-1:1:rule/b/r".to_owned()])
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
        assert_eq!(lets_send(None, "events.amazonaws.com", &[]), Says::No);
    }
}
