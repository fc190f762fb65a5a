//! Webhooks. In: how those who send to a hook prove who they are; what is done with that is pure, and
//! elsewhere ([`crate::webhook`]). Out: who is sent what ([`receiver`]), the step that sends ([`send`]), and where it may go (`guard`).

mod guard;
pub mod receiver;
pub mod send;

use serde_json::{Map, Value};

use super::examine::Diagnosis;
use super::{BuildFault, settings};
use crate::core::catalog::{ConnectionKind, Field, Kind};
use crate::webhook::{Encoding, Scheme, Secret, SecretFault, Source};

/// Longest body when the connection does not say, in bytes: webhooks tell of something, they do not
/// carry it.
const BODY_MAX: u64 = 256 * 1024;
/// Longest that it may say: each delivery that comes in is held in memory.
const BODY_MAX_MOST: u64 = 1024 * 1024;

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

/// What a webhook connection takes.
pub const CONNECTION: ConnectionKind = ConnectionKind {
    name: "webhook",
    summary: "somebody who sends to a hook, and how they prove who they are",
    fields: &[
        Field {
            name: "scheme",
            kind: Kind::OneOf(&["standard", "hmac", "symfony", "token"]),
            required: true,
        },
        Field { name: "secrets", kind: Kind::Secrets, required: true },
        optional("header", Kind::Plain),
        optional("prefix", Kind::Plain),
        optional("encoding", Kind::OneOf(&["hex", "base64"])),
        optional("id_header", Kind::Plain),
        optional("body_max", Kind::Size),
    ],
};

/// How those who send prove it: nothing of it is a secret.
///
/// # Errors
/// A field is missing, or means nothing under the scheme.
pub fn scheme(fields: &Map<String, Value>) -> Result<Scheme, Vec<BuildFault>> {
    let text = |name: &str| settings::text(fields, name).map_err(|fault| vec![fault]);
    let written = text("scheme")?.unwrap_or_default();
    let takes: &[&str] = match written {
        "hmac" => &["header", "prefix", "encoding", "id_header"],
        "token" => &["header", "id_header"],
        _ => &[],
    };
    for field in ["header", "prefix", "encoding", "id_header"] {
        if fields.contains_key(field) && !takes.contains(&field) {
            let message = format!("the scheme '{written}' fixes it: '{field}' means nothing");
            return Err(vec![BuildFault::field(field, message)]);
        }
    }
    let header = || match settings::required(fields, "header") {
        Ok(header) => Ok(header.to_owned()),
        Err(fault) => {
            let hint = Some("name the header of the signature: header: X-Hub-Signature-256".to_owned());
            Err(vec![BuildFault { hint, ..fault }])
        }
    };
    Ok(match written {
        "standard" => Scheme::Standard,
        "symfony" => Scheme::Symfony,
        "token" => Scheme::Token { header: header()? },
        "hmac" => Scheme::Hmac {
            header: header()?,
            prefix: text("prefix")?.unwrap_or_default().to_owned(),
            encoding: match text("encoding")? {
                Some("base64") => Encoding::Base64,
                _ => Encoding::Hex,
            },
        },
        other => return Err(vec![BuildFault::field("scheme", format!("'{other}' is no scheme"))]),
    })
}

/// Who may send. The fields have their variables replaced.
///
/// # Errors
/// A field is wrong, or a secret is none.
pub fn source(fields: &Map<String, Value>) -> Result<Source, Vec<BuildFault>> {
    let scheme = scheme(fields)?;
    let written = match fields.get("secrets") {
        Some(Value::String(one)) => vec![one.clone()],
        _ => settings::texts(fields, "secrets").map_err(|fault| vec![fault])?,
    };
    let secret = |(at, text): (usize, &String)| {
        let secret = if scheme == Scheme::Standard { Secret::standard(text) } else { Secret::text(text) };
        secret.map_err(|fault| wrong_secret(at, fault))
    };
    let secrets = super::all_of(written.iter().enumerate().map(secret).collect())?;
    if secrets.is_empty() {
        return Err(vec![BuildFault::field("secrets", "there is none, so nothing could be proven")]);
    }
    let id_header = settings::text(fields, "id_header").map_err(|fault| vec![fault])?;
    Ok(Source::new(scheme, secrets, id_header.map(str::to_owned)))
}

/// The longest body that is taken, in bytes.
///
/// # Errors
/// It may not be that long.
pub fn body_max(fields: &Map<String, Value>) -> Result<usize, BuildFault> {
    let bytes = settings::count(fields, "body_max")?.unwrap_or(BODY_MAX);
    if bytes > BODY_MAX_MOST {
        return Err(BuildFault::field("body_max", "'body_max' is at most 1 MiB"));
    }
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

fn wrong_secret(at: usize, fault: SecretFault) -> BuildFault {
    let hint = match fault {
        SecretFault::Short | SecretFault::NotBase64 => "make one: openssl rand -base64 32",
        SecretFault::Padded => "export it without the line break",
    };
    let message = format!("secret {} is none: {fault}", at + 1);
    BuildFault { hint: Some(hint.to_owned()), ..BuildFault::field("secrets", message) }
}

/// Whether those who send could prove it to these hooks.
pub(crate) fn examine(fields: &Map<String, Value>, hooks: &[&str]) -> Vec<Diagnosis> {
    let paths: Vec<String> = hooks.iter().map(|name| format!("POST /hooks/{name}")).collect();
    let paths = if paths.is_empty() { "no hook hears it".to_owned() } else { paths.join(", ") };
    let scheme = fields.get("scheme").and_then(Value::as_str).unwrap_or_default();
    match source(fields).and_then(|source| body_max(fields).map(|_| source).map_err(|fault| vec![fault])) {
        Ok(source) => {
            let secrets = match source.secrets() {
                1 => "1 secret".to_owned(),
                many => format!("{many} secrets"),
            };
            vec![Diagnosis::good(format!("{paths}: scheme {scheme}, {secrets}"))]
        }
        Err(faults) => {
            let wrong = |fault: BuildFault| {
                let next = fault.hint.unwrap_or_else(|| "correct the connection".to_owned());
                Diagnosis::wrong(format!("{paths}: {}", fault.message), next)
            };
            faults.into_iter().map(wrong).collect()
        }
    }
}
