//! The idempotent upsert of one object, and the look whether it was done.

use serde_json::{Map, Value};

use super::client::{Found, Hub};
use super::document::{self, Pass};
use super::request;
use super::verdict::{self, Trouble};
use crate::core::cell::Facts;
use crate::core::fault::Fault;
use crate::core::retry::{Again, Outcome, Probed};

/// Carries out one attempt; returns how many requests it took.
pub(super) async fn one(hub: &Hub, wanted: &Value) -> (Outcome, u64) {
    let mut attempt = Attempt { hub, wanted, sent: 0, begun: false };
    let outcome = attempt.write().await.map_or_else(Trouble::outcome, Outcome::Done);
    (if attempt.begun { outcome.in_part() } else { outcome }, attempt.sent)
}

/// One attempt for one object. Its operations go one after the other: a save writes the whole row,
/// so two at once could lose one.
struct Attempt<'a> {
    hub: &'a Hub,
    wanted: &'a Value,
    /// How many requests went out.
    sent: u64,
    /// A part was carried out, and more is to follow.
    begun: bool,
}

impl Attempt<'_> {
    async fn write(&mut self) -> Result<Facts, Trouble> {
        match self.find().await? {
            Found::One(id, _) => match self.update(id).await {
                // It went away in between. What is wrong still after that, is wrong for this attempt.
                Err(Trouble::Stale(_)) => match self.find().await? {
                    Found::One(id, _) => self.update(id).await,
                    Found::Nothing | Found::Alike(_) => self.create().await,
                },
                other => other,
            },
            Found::Nothing | Found::Alike(_) => match self.create().await {
                // Somebody was faster, or somebody else has the key.
                Err(Trouble::Conflict(fault)) => {
                    let id = self.holder(fault).await?;
                    self.update(id).await
                }
                // A create saves twice: perhaps the first save is there.
                Err(Trouble::Half(fault)) => match self.find().await {
                    Ok(Found::One(id, _)) => {
                        self.begun = true;
                        self.update(id).await
                    }
                    Ok(Found::Nothing | Found::Alike(_)) => Err(Trouble::Sure { fault, again: Again::Later }),
                    // Nobody can say yet whether it is.
                    Err(trouble) => Err(Trouble::Half(trouble.told().0)),
                },
                other => other,
            },
        }
    }

    async fn find(&mut self) -> Result<Found, Trouble> {
        self.sent += 1;
        self.hub.find(text(self.wanted, "sku")).await
    }

    /// Who stands in the way of a create: the object with our SKU, wherever it is. An object with
    /// another SKU at our path, or with one that only differs in case, is a mistake that only
    /// people can mend.
    async fn holder(&mut self, conflict: Fault) -> Result<i64, Trouble> {
        let (sku, key) = (text(self.wanted, "sku"), text(self.wanted, "key"));
        let found = self.find().await?;
        if let Found::One(id, _) = found {
            return Ok(id);
        }
        self.sent += 1;
        match (self.hub.at_key(key).await?, found) {
            (Found::One(id, node), _) if node["sku"] == sku => Ok(id),
            (Found::One(_, node), _) => Err(Trouble::never(format!(
                "the key '{key}' belongs to the object with SKU {}: give '{sku}' another 'key' in the mapping",
                node["sku"],
            ))),
            (_, Found::Alike(other)) => Err(Trouble::never(format!(
                "the SKU '{sku}' is taken by the object with SKU '{other}': Pimcore's database compares without case"
            ))),
            _ => Err(Trouble::Conflict(conflict)),
        }
    }

    async fn create(&mut self) -> Result<Facts, Trouble> {
        let passes = passes(self.hub, self.wanted);
        let Some((first, others)) = passes.split_first() else { return Err(Trouble::Absent) };
        self.sent += 1;
        let created = self.hub.create(text(self.wanted, "key"), first).await?;
        let id = created.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok());
        match (others, id) {
            ([], _) => Ok(created),
            (_, None) => Err(Trouble::never("the create does not say which object it made")),
            (_, Some(id)) => {
                self.begun = true;
                let mut facts = self.passes(id, others).await?;
                facts.insert("action".to_owned(), Value::from("created"));
                Ok(facts)
            }
        }
    }

    async fn update(&mut self, id: i64) -> Result<Facts, Trouble> {
        self.passes(id, &passes(self.hub, self.wanted)).await
    }

    async fn passes(&mut self, id: i64, passes: &[Pass]) -> Result<Facts, Trouble> {
        let mut facts = Facts::new();
        for (at, pass) in passes.iter().enumerate() {
            self.begun |= at > 0;
            self.sent += 1;
            facts = self.hub.update(id, pass).await?;
        }
        Ok(facts)
    }
}

/// The writing operations of a request: one, or without a locale collector one per language. An
/// object that is to be published is so with the last of them, when everything is there; one that
/// is taken back is so with the first.
fn passes(hub: &Hub, wanted: &Value) -> Vec<Pass> {
    let plain = wanted["input"].as_object().cloned().unwrap_or_default();
    let localized = wanted["localized"].as_object();
    let languages = request::languages(wanted, &hub.terms);
    let first = languages.first().map(|language| (*language).to_owned());
    let mut passes = vec![Pass { language: first, input: plain, published: None }];
    if let Some((before, after)) = &hub.collector {
        let collected = localized.into_iter().flatten();
        let collected = collected.map(|(field, texts)| (format!("{before}{field}{after}"), texts.clone()));
        passes[0].input.extend(collected);
    } else {
        let of = |language: &str| -> Map<String, Value> {
            let fields = localized.into_iter().flatten();
            fields.filter_map(|(field, texts)| Some((field.clone(), texts.get(language)?.clone()))).collect()
        };
        for (at, language) in languages.iter().enumerate() {
            if at == 0 {
                passes[0].input.extend(of(language));
            } else {
                let language = Some((*language).to_owned());
                passes.push(Pass {
                    input: of(language.as_deref().unwrap_or_default()),
                    language,
                    published: None,
                });
            }
        }
    }
    let published = wanted["published"].as_bool();
    let bearer = if published == Some(true) { passes.last_mut() } else { passes.first_mut() };
    if let Some(bearer) = bearer {
        bearer.published = published;
    }
    passes
}

/// Looks whether an earlier attempt was carried out. What the schema of the site does not let us
/// compare is "absent": the repeat is an update that sets the same.
pub(super) async fn probe(hub: &Hub, wanted: &Value) -> Probed {
    match hub.compare(wanted).await {
        Ok((Found::One(_, node), shown)) => {
            let published = wanted["published"].as_bool().is_none_or(|published| published == shown);
            if !published || !document::same(&node, wanted) {
                return Probed::Absent;
            }
            let mut facts = verdict::facts_of(&node);
            facts.insert("action".to_owned(), Value::from("found"));
            Probed::Done(facts)
        }
        Ok((Found::Nothing | Found::Alike(_), _)) | Err(Trouble::Schema(_)) => Probed::Absent,
        Err(trouble) => Probed::Unknown(trouble.told().0),
    }
}

fn text<'a>(wanted: &'a Value, name: &str) -> &'a str {
    wanted[name].as_str().unwrap_or_default()
}
