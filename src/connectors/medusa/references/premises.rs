//! What a shop is run with, and what no product may make: sales channels, shipping profiles, stock
//! locations, currencies. Medusa takes an unknown channel or profile without a word and links to
//! nothing (seen with 2.21.2), and a price in a currency that the shop does not have; so here they are
//! looked up, and refused with the names that there are.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Options;
use super::reading::{self, content};
use crate::connectors::medusa::client::Shop;
use crate::connectors::medusa::request::text;
use crate::connectors::medusa::verdict::Trouble;

/// How long what was read is believed. A channel that is taken away meanwhile is a link to nothing.
const AGE_MAX: Duration = Duration::from_mins(1);

/// The currencies of ISO 4217 (list one, 2026, without funds and metals), in lower case. It only words a
/// refusal: what the shop has decides.
const ISO_4217: &str = "aed afn all amd aoa ars aud awg azn bam bbd bdt bhd bif bmd bnd bob brl bsd btn \
    bwp byn bzd cad cdf chf clp cny cop crc cup cve czk djf dkk dop dzd egp ern etb eur fjd fkp gbp gel ghs \
    gip gmd gnf gtq gyd hkd hnl htg huf idr ils inr iqd irr isk jmd jod jpy kes kgs khr kmf kpw krw kwd kyd \
    kzt lak lbp lkr lrd lsl lyd mad mdl mga mkd mmk mnt mop mru mur mvr mwk mxn myr mzn nad ngn nio nok npr \
    nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sdg sek sgd shp sle sos srd ssp stn \
    svc syp szl thb tjs tmt tnd top try ttd twd tzs uah ugx usd uyu uzs ved ves vnd vuv wst xad xaf xcd xcg \
    xof xpf yer zar zmw zwg";

/// The premises of one shop.
#[derive(Debug, Default)]
pub(super) struct Premises {
    held: Mutex<Option<(Instant, Arc<Inventory>)>>,
}

/// What there is.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    pub(super) channels: Vec<Named>,
    pub(super) profiles: Vec<Named>,
    pub(super) locations: Vec<Named>,
    /// In lower case.
    pub(super) currencies: Vec<String>,
    /// The id of the store's default channel; empty without.
    pub(super) default_channel: String,
    /// The id of the store's default location; empty without.
    pub(super) default_location: String,
}

/// One thing with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) name: String,
    /// Of a location the ids of the channels that it is linked to; of a profile its type.
    pub(super) marks: Vec<String>,
}

impl Premises {
    /// What there is, not older than `AGE_MAX`.
    pub(super) async fn inventory(&self, shop: &Shop, sent: &AtomicU64) -> Result<Arc<Inventory>, Trouble> {
        let now = Instant::now();
        self.since(shop, now.checked_sub(AGE_MAX).unwrap_or(now), sent).await
    }

    /// What there is, read not before `since`.
    pub(super) async fn since(
        &self,
        shop: &Shop,
        since: Instant,
        sent: &AtomicU64,
    ) -> Result<Arc<Inventory>, Trouble> {
        let mut held = self.held.lock().await;
        if let Some((read_at, inventory)) = &*held
            && *read_at >= since
        {
            return Ok(Arc::clone(inventory));
        }
        let inventory = Arc::new(Inventory::read(shop, sent).await?);
        *held = Some((Instant::now(), Arc::clone(&inventory)));
        Ok(inventory)
    }
}

impl Inventory {
    async fn read(shop: &Shop, sent: &AtomicU64) -> Result<Self, Trouble> {
        let fields =
            [("fields", "default_sales_channel_id,default_location_id,supported_currencies.currency_code")];
        let answer = shop.get("admin/stores", &fields, sent).await?;
        let store = &answer["stores"][0];
        let currencies = store["supported_currencies"].as_array().into_iter().flatten();
        let read = async |list: &str, path: &str, fields: &str| {
            reading::all(shop, path, list, &[("fields", fields)], sent).await
        };
        let plain = |entry: &Value| Named::of(entry, Vec::new());
        let typed = |entry: &Value| Named::of(entry, vec![text(entry, "type").to_owned()]);
        let linked = |entry: &Value| {
            let channels = entry["sales_channels"].as_array().into_iter().flatten();
            Named::of(entry, channels.map(|channel| text(channel, "id").to_owned()).collect())
        };
        let channels = read("sales_channels", "admin/sales-channels", "id,name").await?;
        let profiles = read("shipping_profiles", "admin/shipping-profiles", "id,name,type").await?;
        let locations = read("stock_locations", "admin/stock-locations", "id,name,sales_channels.id").await?;
        Ok(Self {
            channels: channels.iter().map(plain).collect(),
            profiles: profiles.iter().map(typed).collect(),
            locations: locations.iter().map(linked).collect(),
            currencies: currencies.map(|entry| text(entry, "currency_code").to_lowercase()).collect(),
            default_channel: text(store, "default_sales_channel_id").to_owned(),
            default_location: text(store, "default_location_id").to_owned(),
        })
    }

    pub(super) fn channel(&self, name: &str) -> Result<&Named, Trouble> {
        known("sales channel", &self.channels, name)
    }

    pub(super) fn profile(&self, name: &str) -> Result<&Named, Trouble> {
        known("shipping profile", &self.profiles, name)
    }

    pub(super) fn location(&self, name: &str) -> Result<&Named, Trouble> {
        known("stock location", &self.locations, name)
    }

    /// The ids of the channels of a product that names none.
    pub(super) fn usual_channels(&self, options: &Options) -> Result<Vec<String>, Trouble> {
        if !options.sales_channels.is_empty() {
            return options.sales_channels.iter().map(|name| Ok(self.channel(name)?.id.clone())).collect();
        }
        if self.default_channel.is_empty() {
            let message = "the product names no sales channel, and the store has no default one";
            return Err(content(format!("{message}: give the connection 'sales_channels'")));
        }
        Ok(vec![self.default_channel.clone()])
    }

    /// The id of the profile of a product that names none; `None` when the shop has no profile.
    pub(super) fn usual_profile(&self, options: &Options) -> Result<Option<String>, Trouble> {
        if let Some(name) = &options.shipping_profile {
            return self.profile(name).map(|profile| Some(profile.id.clone()));
        }
        let standard = |profile: &&Named| profile.marks.iter().any(|kind| kind == "default");
        let only = only(&self.profiles).or_else(|| only(self.profiles.iter().filter(standard)));
        match only {
            Some(profile) => Ok(Some(profile.id.clone())),
            None if self.profiles.is_empty() => Ok(None),
            None => Err(undecided("shipping profile", &self.profiles, "shipping_profile")),
        }
    }

    /// Where a stock without a location lies.
    pub(super) fn usual_location(&self, options: &Options) -> Result<&Named, Trouble> {
        if let Some(name) = &options.stock_location {
            return self.location(name);
        }
        let standard = |location: &&Named| location.id == self.default_location;
        match only(&self.locations).or_else(|| self.locations.iter().find(standard)) {
            Some(location) => Ok(location),
            None => Err(undecided("stock location", &self.locations, "stock_location")),
        }
    }

    /// What is wrong with a currency; nothing when prices may be in it.
    pub(super) fn refuses_currency(&self, options: &Options, code: &str) -> Option<String> {
        let (owner, allowed) = match options.currencies.as_slice() {
            [] => ("the shop has", self.currencies.as_slice()),
            named => ("the connection names", named),
        };
        let is_allowed = allowed.iter().any(|known| known == code);
        if is_allowed {
            return None;
        }
        let allowed = allowed.join(", ");
        if !ISO_4217.split_whitespace().any(|known| known == code) {
            return Some(format!("'{code}' is no currency of ISO 4217; {owner} prices in {allowed}"));
        }
        Some(format!("{owner} no prices in '{code}', only in {allowed}"))
    }
}

impl Named {
    fn of(entry: &Value, marks: Vec<String>) -> Self {
        Self { id: text(entry, "id").to_owned(), name: text(entry, "name").to_owned(), marks }
    }
}

/// The one member of a list that has no other.
fn only<'a>(list: impl IntoIterator<Item = &'a Named>) -> Option<&'a Named> {
    let mut list = list.into_iter();
    let first = list.next()?;
    list.next().is_none().then_some(first)
}

/// By id or by name.
fn known<'a>(what: &str, list: &'a [Named], name: &str) -> Result<&'a Named, Trouble> {
    let mut named = list.iter().filter(|one| one.id == name || one.name == name);
    match (named.next(), named.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => {
            Err(content(format!("several {what}s are called '{name}': give the id of the one that is meant")))
        }
        (None, _) => Err(content(format!("the shop has no {what} '{name}': {}", listed(list)))),
    }
}

fn undecided(what: &str, list: &[Named], field: &str) -> Trouble {
    content(format!(
        "no {what} is named, and there is not just one: {}; give the connection '{field}'",
        listed(list)
    ))
}

/// The names that there are.
fn listed(list: &[Named]) -> String {
    if list.is_empty() {
        return "it has none".to_owned();
    }
    let mut names = String::from("it has ");
    for (at, one) in list.iter().take(10).enumerate() {
        let _ = write!(names, "{}'{}'", if at == 0 { "" } else { ", " }, one.name);
    }
    if list.len() > 10 {
        let _ = write!(names, " and {} more", list.len() - 10);
    }
    names
}
