//! What the step and its connection say about references.

use serde_json::{Map, Value};

use crate::connectors::{BuildFault, settings};

/// `categories`: those that the shop does not have are made. The default.
pub(in crate::connectors::medusa) const CREATE: &str = "create";
/// `categories`: those that the shop does not have are refused.
pub(in crate::connectors::medusa) const MUST_EXIST: &str = "must_exist";

/// Whether a category that the shop does not have is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::connectors::medusa) enum Missing {
    /// Yes, with all above it.
    #[default]
    Create,
    /// No: it is refused.
    MustExist,
}

/// What the step and its connection say. What they do not say is read from the shop.
#[derive(Clone, Debug, Default)]
pub(in crate::connectors::medusa) struct Options {
    /// `categories` of the step.
    pub(super) categories: Missing,
    /// The channels of a product that names none; empty: the store's default channel.
    pub(super) sales_channels: Vec<String>,
    /// The profile of a product that names none; without: the only one that there is.
    pub(super) shipping_profile: Option<String>,
    /// Where a stock without a location lies; without: the only location that there is.
    pub(super) stock_location: Option<String>,
    /// The currencies that prices may be in, in lower case; empty: those of the store.
    pub(super) currencies: Vec<String>,
}

impl Options {
    /// Reads the fields of `with` and of the connection.
    ///
    /// # Errors
    /// A field is not of its kind.
    pub(in crate::connectors::medusa) fn of(
        with: &Map<String, Value>,
        connection: &Map<String, Value>,
    ) -> Result<Self, BuildFault> {
        let categories = match settings::text(with, "categories")? {
            None | Some(CREATE) => Missing::Create,
            Some(MUST_EXIST) => Missing::MustExist,
            Some(_) => {
                let message = format!("'categories' must be '{CREATE}' or '{MUST_EXIST}'");
                return Err(BuildFault::field("categories", message));
            }
        };
        let name = |field: &str| settings::text(connection, field).map(|text| text.map(ToOwned::to_owned));
        let currencies = settings::texts(connection, "currencies")?;
        Ok(Self {
            categories,
            sales_channels: settings::texts(connection, "sales_channels")?,
            shipping_profile: name("shipping_profile")?,
            stock_location: name("stock_location")?,
            currencies: currencies.iter().map(|code| code.to_lowercase()).collect(),
        })
    }
}
