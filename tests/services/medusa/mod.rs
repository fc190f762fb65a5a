//! A real shop, and what tests ask it.
//!
//! - `server` starts one that belongs to one test, which may kill it.
//! - `witness` stands before it, writes down what was asked, and can stop time at a write.
//! - `catalogue` has products as the source exports them, and what each must become.

pub(crate) mod catalogue;
pub(crate) mod server;
pub(crate) mod witness;

use std::sync::Mutex;
use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::site::Site;

/// The workflow of the stories: the shipped one.
pub(crate) const WORKFLOW: &str = "workflows/product-sync.yaml";
/// Longest time for an answer; a list of many products takes seconds.
const ANSWER_MAX: Duration = Duration::from_mins(2);
/// Products in one answer.
const PAGE: usize = 200;
/// All that a product is made of.
const PARTS: &str = "id,external_id,handle,title,status,metadata,images.url,thumbnail,\
    sales_channels.id,shipping_profile.id,categories.id,categories.name,categories.is_active,options.title,\
    variants.id,variants.sku,variants.manage_inventory,variants.prices.currency_code,variants.prices.amount,\
    variants.options.value,variants.inventory_items.inventory_item_id";

/// A value of the shop that `tests/services/run` made known.
pub(crate) fn known(name: &str) -> String {
    let value = std::env::var(name);
    value.unwrap_or_else(|_| panic!("{name} is not set; start the tests with tests/services/run medusa"))
}

/// A shop, as a test reads it.
pub(crate) struct Shop {
    url: String,
    client: reqwest::Client,
    runtime: Runtime,
    token: Mutex<Option<String>>,
}

impl Shop {
    /// The shop at this address.
    pub(crate) fn at(url: &str) -> Self {
        // An error says that another test was first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Node closes a connection that was idle for five seconds, perhaps just as it is used again.
        let client = reqwest::Client::builder().timeout(ANSWER_MAX).pool_max_idle_per_host(0);
        let client = client.build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { url: url.to_owned(), client, runtime, token: Mutex::new(None) }
    }

    fn send(&self, request: RequestBuilder) -> Result<(u16, Value), String> {
        self.runtime.block_on(async {
            let answer = request.send().await.map_err(|error| error.to_string())?;
            let (status, text) = (answer.status().as_u16(), answer.text().await);
            let text = text.map_err(|error| error.to_string())?;
            Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
        })
    }

    fn login(&self) -> Result<String, String> {
        let login = json!({ "email": known("MEDUSA_EMAIL"), "password": known("MEDUSA_PASSWORD") });
        let (status, answer) =
            self.send(self.client.post(format!("{}/auth/user/emailpass", self.url)).json(&login))?;
        let token = answer["token"].as_str().map(str::to_owned);
        token.ok_or_else(|| format!("login: {status} {answer}"))
    }

    /// What the admin API answers to a question.
    pub(crate) fn try_get(&self, path: &str) -> Result<Value, String> {
        let mut held = self.token.lock().unwrap();
        loop {
            let (token, is_new) = match held.take() {
                Some(token) => (token, false),
                None => (self.login()?, true),
            };
            let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&token);
            match self.send(request)? {
                (200, answer) => {
                    *held = Some(token);
                    return Ok(answer);
                }
                // It has expired.
                (401, _) if !is_new => {}
                (status, answer) => return Err(format!("{path}: {status} {answer}")),
            }
        }
    }

    /// Every product with all its parts.
    pub(crate) fn products(&self) -> Vec<Value> {
        let mut products = Vec::new();
        loop {
            let at = products.len();
            let path = format!("/admin/products?limit={PAGE}&offset={at}&order=id&fields={PARTS}");
            let mut answer = self.try_get(&path).unwrap();
            let Value::Array(page) = answer["products"].take() else { panic!("{answer}") };
            products.extend(page);
            if answer["count"] == products.len() || products.len() == at {
                return products;
            }
        }
    }

    /// Every product that customers of the default channel see, with the price of each variant.
    pub(crate) fn visible(&self) -> Vec<Value> {
        let (key, region) = (known("MEDUSA_PUBLISHABLE_KEY"), known("MEDUSA_REGION_ID"));
        let mut products = Vec::new();
        loop {
            let at = products.len();
            let path = format!(
                "{}/store/products?region_id={region}&limit={PAGE}&offset={at}&order=id&\
                 fields=id,external_id,*images,*categories,*variants.calculated_price",
                self.url
            );
            let asked = self.client.get(path).header("x-publishable-api-key", &key);
            let (status, mut answer) = self.send(asked).unwrap();
            assert_eq!(status, 200, "{answer}");
            let Value::Array(page) = answer["products"].take() else { panic!("{answer}") };
            products.extend(page);
            if answer["count"] == products.len() || products.len() == at {
                return products;
            }
        }
    }
}

/// A site whose shop is at this address and whose PIM is the sandbox, with these products.
pub(crate) fn site(url: &str, products: &[Value]) -> Site {
    let site = Site::new();
    let shop = format!(
        "shop: {{ use: medusa, url: \"{url}\", email: \"${{env:MEDUSA_EMAIL}}\", \
         password: \"${{env:MEDUSA_PASSWORD}}\" }}"
    );
    site.edit("product-sync.yaml", &[("shop: { use: sandbox }", &shop)]);
    put(&site, products);
    site
}

/// Replaces the products of a site.
pub(crate) fn put(site: &Site, products: &[Value]) {
    std::fs::write(site.path("workflows/products.json"), serde_json::to_vec(products).unwrap()).unwrap();
}

/// What runs the products of a site.
pub(crate) const RUN: &[&str] = &["run", WORKFLOW, "--input", "source=workflows/products.json"];

/// Every variant of the site's products has an inventory item from now on.
pub(crate) fn stocked(site: &Site) {
    site.edit(
        "product-sync/medusa.yaml",
        &[("manage_inventory: { value: false }", "manage_inventory: { value: true }")],
    );
}

/// A number from the environment.
pub(crate) fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().unwrap())
}
