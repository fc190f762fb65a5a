//! A site with its server and a browser, and the systems outside.

use super::browser::Browser;
use crate::served::Served;
use crate::site::Site;
use crate::site::outside::Outside;

const PRODUCTS: &str = "workflows/product-sync.yaml";

/// Everything that a story needs.
pub(super) struct Stage {
    pub(super) served: Served,
    pub(super) browser: Browser,
    pub(super) outside: Outside,
    pub(super) site: Site,
}

impl Stage {
    /// A server with the product workflow and others of the site, and a browser that nobody has logged in with.
    pub(super) fn new(others: &[(&str, &str)]) -> Self {
        let outside = Outside::start();
        let site = Site::reaching(&outside.pim, &outside.shop);
        let mut files = vec![PRODUCTS.to_owned()];
        for (name, text) in others {
            std::fs::write(site.path(&format!("workflows/{name}")), text).unwrap();
            files.push(format!("workflows/{name}"));
        }
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        Self { served: Served::start(&site, &files), browser: Browser::start(), outside, site }
    }

    /// The same, with a person who has logged in.
    pub(super) fn entered(others: &[(&str, &str)]) -> Self {
        let mut stage = Self::new(others);
        stage.open("/");
        stage.enter();
        stage
    }

    pub(super) fn open(&mut self, path: &str) {
        self.browser.open(&format!("{}{path}", self.served.url));
    }

    /// Logs in where the browser was led to.
    pub(super) fn enter(&mut self) {
        let browser = &mut self.browser;
        browser.until("location.pathname === '/login' && document.readyState === 'complete'");
        browser.click("input[name=token]", "");
        browser.write(&self.served.token);
        browser.click("main button", "Log in");
        browser.until("location.pathname !== '/login' && document.readyState === 'complete'");
    }

    /// Starts a run of the product workflow by clicking, and says which.
    pub(super) fn started(&mut self) -> String {
        self.browser.press(&["g", "w"]);
        self.browser.until("location.pathname === '/workflows' && document.readyState === 'complete'");
        self.browser.click("form[action='/workflows/product-sync/start'] button", "Start a run");
        self.browser
            .until("location.pathname.startsWith('/runs/run_') && document.readyState === 'complete'");
        let path = self.browser.value("location.pathname");
        path.as_str().unwrap().trim_start_matches("/runs/").to_owned()
    }
}
