//! Tags, types and collections: flat lists whose entries are known by one name each, and made when
//! they are not there.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicU64;

use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::Missing;
use super::path::slug;
use super::reading::{self, content, strange};
use crate::connectors::medusa::client::Shop;
use crate::connectors::medusa::request::text;
use crate::connectors::medusa::verdict::Trouble;

/// One kind of entry, as its routes have it.
#[derive(Debug)]
pub(super) struct Kind {
    /// What people call it.
    word: &'static str,
    path: &'static str,
    list: &'static str,
    one: &'static str,
    /// The member that names an entry.
    by: &'static str,
    /// Whether entries have a handle, which is then what is unique.
    handle: Handle,
}

#[derive(Debug, PartialEq, Eq)]
enum Handle {
    None,
    Unique,
}

pub(super) const TAGS: Kind = Kind {
    word: "tag",
    path: "admin/product-tags",
    list: "product_tags",
    one: "product_tag",
    by: "value",
    handle: Handle::None,
};
pub(super) const TYPES: Kind = Kind {
    word: "type",
    path: "admin/product-types",
    list: "product_types",
    one: "product_type",
    by: "value",
    handle: Handle::None,
};
pub(super) const COLLECTIONS: Kind = Kind {
    word: "collection",
    path: "admin/collections",
    list: "collections",
    one: "collection",
    by: "title",
    handle: Handle::Unique,
};

/// What a product wants of such a list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Want {
    /// The value or the title, as it is written: capitals count.
    pub(super) name: String,
    /// The handle, when the mapping gives one: then that decides which entry it is.
    pub(super) handle: Option<String>,
}

/// The entries of one kind, as far as they were needed.
#[derive(Debug)]
pub(super) struct Named {
    kind: Kind,
    /// Held while entries are looked up and made, so that calls at the same time make each once.
    held: Mutex<HashMap<Want, String>>,
}

impl Named {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, held: Mutex::new(HashMap::new()) }
    }

    /// The id of each that is wanted.
    pub(super) async fn ids(
        &self,
        shop: &Shop,
        wanted: &[Want],
        absent: Missing,
        sent: &AtomicU64,
    ) -> HashMap<Want, Result<String, Trouble>> {
        let mut held = self.held.lock().await;
        let mut missing: Vec<&Want> = wanted.iter().filter(|want| !held.contains_key(*want)).collect();
        missing.sort_unstable();
        missing.dedup();
        let mut failed: BTreeMap<&Want, Trouble> = BTreeMap::new();
        match self.find(shop, &missing, sent).await {
            Ok(found) => held.extend(found),
            Err(trouble) => failed.extend(missing.iter().map(|want| (*want, trouble.clone()))),
        }
        let mut outage: Option<Trouble> = None;
        for want in missing {
            if held.contains_key(want) || failed.contains_key(want) {
                continue;
            }
            let made = match (&outage, absent) {
                (Some(trouble), _) => Err(trouble.clone()),
                (None, Missing::MustExist) => {
                    Err(content(format!("the {} '{}' is not in the shop", self.kind.word, want.name)))
                }
                (None, Missing::Create) => self.make(shop, want, sent).await,
            };
            match made {
                Ok(id) => {
                    held.insert(want.clone(), id);
                }
                Err(trouble) => {
                    outage = Some(trouble.clone()).filter(reading::is_outage).or(outage);
                    failed.insert(want, trouble);
                }
            }
        }
        let mut of = |want: &Want| match (held.get(want), failed.remove(want)) {
            (Some(id), _) => Ok(id.clone()),
            (None, Some(trouble)) => Err(trouble),
            (None, None) => Err(strange(self.kind.word)),
        };
        let mut unique = wanted.to_vec();
        unique.sort_unstable();
        unique.dedup();
        unique.into_iter().map(|want| (want.clone(), of(&want))).collect()
    }

    /// Forgets entries whose id stands in a refusal. Returns whether there were any.
    pub(super) async fn forget(&self, message: &str) -> bool {
        let mut held = self.held.lock().await;
        let before = held.len();
        held.retain(|_, id| !message.contains(id.as_str()));
        held.len() < before
    }

    /// Those of these that the shop has.
    async fn find(
        &self,
        shop: &Shop,
        wanted: &[&Want],
        sent: &AtomicU64,
    ) -> Result<HashMap<Want, String>, Trouble> {
        let mut found = HashMap::new();
        let (by_handle, by_name): (Vec<&Want>, Vec<&Want>) =
            wanted.iter().copied().partition(|want| want.handle.is_some());
        let handles = by_handle.iter().filter_map(|want| want.handle.as_deref());
        for (member, names) in [
            ("handle", reading::groups(handles)),
            (self.kind.by, reading::groups(by_name.iter().map(|want| want.name.as_str()))),
        ] {
            let filter = format!("{member}[]");
            let fields = if self.kind.handle == Handle::Unique { "id,title,handle" } else { "id,value" };
            for group in names {
                let mut query = vec![("fields", fields)];
                query.extend(group.iter().map(|name| (filter.as_str(), *name)));
                for entry in reading::all(shop, self.kind.path, self.kind.list, &query, sent).await? {
                    let fits = |want: &&&Want| match &want.handle {
                        Some(handle) => *handle == text(&entry, "handle"),
                        None => want.name == text(&entry, self.kind.by),
                    };
                    for want in wanted.iter().filter(fits) {
                        // Titles are not unique: the oldest is taken, and pages are in the order of age.
                        found.entry((*want).clone()).or_insert_with(|| text(&entry, "id").to_owned());
                    }
                }
            }
        }
        Ok(found)
    }

    async fn make(&self, shop: &Shop, want: &Want, sent: &AtomicU64) -> Result<String, Trouble> {
        let what = format!("the {} '{}'", self.kind.word, want.name);
        let mut body = Map::from_iter([(self.kind.by.to_owned(), Value::from(want.name.clone()))]);
        if self.kind.handle == Handle::Unique {
            let handle = want.handle.clone().unwrap_or_else(|| slug(&want.name));
            if handle.is_empty() {
                return Err(content(format!("{what} needs a 'handle': its title has no letter in it")));
            }
            body.insert("handle".to_owned(), Value::from(handle));
        }
        match shop.post(self.kind.path, &[], &Value::Object(body), sent).await {
            Ok(answer) => match text(&answer[self.kind.one], "id") {
                "" => Err(strange(&what)),
                id => Ok(id.to_owned()),
            },
            // Somebody else was faster, or the handle belongs to another one.
            Err(trouble) if reading::says_taken(&trouble) => {
                let found = self.find(shop, &[want], sent).await?;
                found.get(want).cloned().ok_or_else(|| reading::unmade(trouble, &what))
            }
            Err(trouble) => Err(reading::unmade(trouble, &what)),
        }
    }
}
