//! Categories: a path becomes an id. What the shop lacks of a path is made from the top down.
//!
//! A category is known by the `external_id` that we gave it (people may rename and move it), else by
//! its name in its place (people had made it before). Handles are only unique, so a handle that is
//! taken says: look again, somebody may have been faster; else take the other handle.
//!
//! Facts, seen with Medusa 2.21.2: `is_active` is false unless it is sent; a handle that is taken is a
//! 400 `Product category with handle: X, already exists.`; an unknown parent is a 500 that names it;
//! categories made at the same moment under one parent get equal ranks.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Missing;
use super::path::{Path, folded};
use super::ranks;
use super::reading::{self, content, strange};
use crate::connectors::medusa::client::Shop;
use crate::connectors::medusa::request::text;
use crate::connectors::medusa::verdict::Trouble;

const ROUTE: &str = "admin/product-categories";
/// How long what was read of the tree is believed when a path is not in it.
const AGE_MAX: Duration = Duration::from_mins(1);

/// The categories of one shop, as far as they were needed.
#[derive(Debug, Default)]
pub(super) struct Categories {
    /// Held while categories are looked up and made, so that calls at the same time make each once.
    tree: Mutex<Tree>,
}

/// What is known of the tree.
#[derive(Debug, Default)]
struct Tree {
    read_at: Option<Instant>,
    /// By the key of the path.
    ids: HashMap<String, String>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    id: String,
    name: String,
    /// The `external_id`, folded.
    mark: String,
    /// Empty at the top.
    parent: String,
}

/// What one pass over many paths shares.
struct Pass {
    missing: Missing,
    /// What was read of the tree since then is believed.
    believed: Instant,
    /// Under which categories some were made; empty text: at the top.
    parents: BTreeSet<String>,
}

impl Categories {
    /// The id of each path, by its key.
    pub(super) async fn ids(
        &self,
        shop: &Shop,
        wanted: &[Path],
        missing: Missing,
        sent: &AtomicU64,
    ) -> HashMap<String, Result<String, Trouble>> {
        let mut tree = self.tree.lock().await;
        let mut ids = HashMap::new();
        let mut outage: Option<Trouble> = None;
        // From the top down, so that what several paths share is made once.
        let mut paths: Vec<Path> = wanted.to_vec();
        paths.sort_by_key(|path| (path.depth(), path.key()));
        paths.dedup_by_key(|path| path.key());
        let begun = Instant::now();
        let believed = match missing {
            // Making notices what was made since.
            Missing::Create => begun.checked_sub(AGE_MAX).unwrap_or(begun),
            // A refusal is only said of what was looked for just now.
            Missing::MustExist => begun,
        };
        let mut pass = Pass { missing, believed, parents: BTreeSet::new() };
        for path in paths {
            let found = match &outage {
                Some(trouble) if !tree.ids.contains_key(&path.key()) => Err(trouble.clone()),
                _ => tree.id(shop, &path, &mut pass, sent).await,
            };
            if let Err(trouble) = &found {
                outage = Some(trouble.clone()).filter(reading::is_outage).or(outage);
            }
            ids.insert(path.key(), found);
        }
        if outage.is_none() && !pass.parents.is_empty() {
            ranks::spread(shop, &pass.parents, sent).await;
        }
        ids
    }

    /// Forgets the category whose id stands in a refusal. Returns whether there was one.
    pub(super) async fn forget(&self, message: &str) -> bool {
        let mut tree = self.tree.lock().await;
        let is_known = tree.ids.values().any(|id| message.contains(id.as_str()));
        if is_known {
            *tree = Tree::default();
        }
        is_known
    }
}

impl Tree {
    /// The id of a path, made if need be.
    async fn id(
        &mut self,
        shop: &Shop,
        path: &Path,
        pass: &mut Pass,
        sent: &AtomicU64,
    ) -> Result<String, Trouble> {
        if let Some(id) = self.ids.get(&path.key()) {
            return Ok(id.clone());
        }
        for step in path.lineage() {
            if self.find(&step).is_none() {
                self.refresh(shop, pass.believed, sent).await?;
            }
        }
        for step in path.lineage() {
            if self.find(&step).is_some() {
                continue;
            }
            if pass.missing == Missing::MustExist {
                return Err(content(format!(
                    "the category '{step}' is not in the shop: make it there, or let the step make it with 'categories: create'"
                )));
            }
            let entry = self.make(shop, &step, sent).await?;
            pass.parents.insert(entry.parent);
        }
        self.ids.get(&path.key()).cloned().ok_or_else(|| strange("a category"))
    }

    /// The id of a path whose parent is known; what was found is remembered.
    fn find(&mut self, path: &Path) -> Option<String> {
        let key = path.key();
        if let Some(id) = self.ids.get(&key) {
            return Some(id.clone());
        }
        let marked = self.entries.iter().find(|entry| entry.mark == key);
        let parent = match path.parent() {
            Some(parent) => self.ids.get(&parent.key()).map(String::as_str),
            None => Some(""),
        };
        let name = folded(path.name());
        let placed = || {
            let parent = parent?;
            self.entries.iter().find(|entry| entry.parent == parent && folded(&entry.name) == name)
        };
        let id = marked.or_else(placed)?.id.clone();
        self.ids.insert(key, id.clone());
        Some(id)
    }

    /// Reads the tree unless that was done since.
    async fn refresh(&mut self, shop: &Shop, since: Instant, sent: &AtomicU64) -> Result<(), Trouble> {
        if self.read_at.is_some_and(|read_at| read_at >= since) {
            return Ok(());
        }
        let fields = [("fields", "id,name,external_id,parent_category_id")];
        let read = reading::all(shop, ROUTE, "product_categories", &fields, sent).await?;
        self.entries = read.iter().map(Entry::of).collect();
        self.read_at = Some(Instant::now());
        Ok(())
    }

    /// Makes a category whose parent is known.
    async fn make(&mut self, shop: &Shop, path: &Path, sent: &AtomicU64) -> Result<Entry, Trouble> {
        let parent = path.parent().and_then(|parent| self.ids.get(&parent.key()).cloned());
        let what = format!("the category '{path}'");
        let mut trouble = strange(&what);
        for handle in path.handles() {
            let body = json!({
                "name": path.name(),
                "handle": handle,
                "external_id": path.external_id(),
                "is_active": true,
                "parent_category_id": parent,
            });
            trouble = match shop.post(ROUTE, &[], &body, sent).await {
                Ok(answer) => {
                    let entry = Entry::of(&answer["product_category"]);
                    if entry.id.is_empty() {
                        return Err(strange(&what));
                    }
                    self.ids.insert(path.key(), entry.id.clone());
                    self.entries.push(entry.clone());
                    return Ok(entry);
                }
                Err(trouble) => trouble,
            };
            // The parent is gone: everything is looked up anew at the next attempt.
            if parent.as_ref().is_some_and(|parent| trouble.clone().fault().message.contains(parent.as_str()))
            {
                *self = Self::default();
            }
            if !reading::says_taken(&trouble) {
                break;
            }
            self.refresh(shop, Instant::now(), sent).await?;
            if let Some(id) = self.find(path)
                && let Some(entry) = self.entries.iter().find(|entry| entry.id == id)
            {
                return Ok(entry.clone());
            }
        }
        Err(reading::unmade(trouble, &what))
    }
}

impl Entry {
    fn of(category: &Value) -> Self {
        Self {
            id: text(category, "id").to_owned(),
            name: text(category, "name").to_owned(),
            mark: folded(text(category, "external_id")),
            parent: text(category, "parent_category_id").to_owned(),
        }
    }
}
