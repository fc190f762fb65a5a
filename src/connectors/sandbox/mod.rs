//! Stand-ins for the PIM and the shop: loopback HTTP servers that answer as the real systems do,
//! as far as the connectors use them, and fail when told to. They are stand-ins: what works here
//! has been tried against these, and against nothing else.
//!
//! Read in this order: `standin` (what every stand-in is), `pim` and `shop` (the two), `journal`
//! (how what they hold survives a kill), `faults` (how they fail), `server` (HTTP), `messenger` (what the
//! PIM sends to hooks).
//!
//! Every call is in the journal, synced to disk, before it is answered. Beside the routes of the
//! real systems each stand-in serves, on its own port:
//!
//! | route | does |
//! | --- | --- |
//! | `GET /sandbox/faults` | the present [`Faults`] |
//! | `POST /sandbox/faults` | replaces them; `{}` heals |
//! | `GET /sandbox/journal` | every [`Entry`] so far, one JSON line each |
//! | `GET /sandbox/contents` | what it holds, as [`Holdings`] |
//! | `GET /sandbox/events?after=N` | what the PIM would tell listeners: `[{number, event}]` |
//! | `POST /sandbox/logout` | forgets every login (the shop then answers 401) |

mod faults;
mod journal;
mod messenger;
mod pim;
mod remote;
mod server;
mod shop;
mod standin;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::STAND_IN;
use crate::core::catalog::{ConnectionKind, Field, Kind};
pub use faults::Faults;
pub use journal::Entry;
pub use messenger::Listener;
pub use pim::PimProfile;
use remote::Addresses;
pub use remote::fail;
use server::Desk;
use standin::Standin;
pub use standin::{Held, Holdings};

/// The key that the PIM stand-in takes in the header `X-API-Key`.
pub const API_KEY: &str = "sandbox-key";
/// The endpoint (named configuration) that the PIM stand-in serves.
pub const ENDPOINT: &str = "products";
/// The login that the shop stand-in takes.
pub const EMAIL: &str = "sandbox@milepost.invalid";
/// The key that the shop stand-in's store API takes.
pub const PUBLISHABLE_KEY: &str = "pk_sandbox";
/// The password that the shop stand-in takes.
pub const PASSWORD: &str = "sandbox";

/// What a sandbox connection takes.
pub const CONNECTION: ConnectionKind = ConnectionKind {
    name: STAND_IN,
    summary: "a stand-in for the PIM or the shop, started inside the process unless url is given",
    fields: &[Field { name: "url", kind: Kind::Plain, required: false }],
};

/// The sandbox cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Another process serves the stand-ins of this directory.
    #[error("another process serves the stand-ins in {0}")]
    Held(PathBuf),
    /// Nobody serves the stand-ins of this directory.
    #[error("nobody serves stand-ins in {0} now")]
    Absent(PathBuf),
    /// A line of a journal, not the last one, is not what this version writes.
    #[error("failed to read {path}: line {line}: {reason}")]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The file system refused.
    #[error("failed to {what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl SandboxError {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// How the stand-ins are served. They listen on the loopback address only.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where their journals live; made when it is not there.
    pub dir: PathBuf,
    /// The port of the PIM; 0: any free one.
    pub pim_port: u16,
    /// The port of the shop; 0: any free one.
    pub shop_port: u16,
    /// Which Data Hub the PIM plays.
    pub pim_profile: PimProfile,
    /// How the PIM fails from the start.
    pub pim: Faults,
    /// How the shop fails from the start.
    pub shop: Faults,
}

impl Options {
    /// Healthy stand-ins on free ports.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            pim_port: 0,
            shop_port: 0,
            pim_profile: PimProfile::default(),
            pim: Faults::default(),
            shop: Faults::default(),
        }
    }
}

/// Running stand-ins. They stop when this is dropped; [`Sandbox::shutdown`] also waits for it.
#[derive(Debug)]
pub struct Sandbox {
    /// The address of the PIM, for example `http://127.0.0.1:41234`.
    pub pim_url: String,
    /// The address of the shop.
    pub shop_url: String,
    /// The seed of the PIM's chance; with the same calls the same faults happen again.
    pub pim_seed: u64,
    /// The seed of the shop's chance.
    pub shop_seed: u64,
    pim: Weak<Desk>,
    stop: watch::Sender<()>,
    servers: [JoinHandle<()>; 2],
}

impl Sandbox {
    /// From now on the PIM sends its events to whoever is in that list, until the stand-ins stop.
    pub fn tell(&self, listeners: watch::Receiver<Vec<Listener>>) {
        tokio::spawn(messenger::run(Weak::clone(&self.pim), listeners, self.stop.subscribe()));
    }

    /// Ends open calls and stops. When it returns, the directory may be opened again.
    pub async fn shutdown(self) {
        let Self { stop, servers, .. } = self;
        drop(stop);
        for server in servers {
            // A server that panicked has ended too.
            let _ = server.await;
        }
    }
}

/// What both stand-ins hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// The PIM.
    pub pim: Holdings,
    /// The shop.
    pub shop: Holdings,
}

/// Starts both stand-ins on free ports with what they held before. When it returns, they listen.
///
/// # Errors
/// Another process serves this directory, a journal is damaged, or the disk refuses.
pub async fn start(dir: &Path, faults: &Faults) -> Result<Sandbox, SandboxError> {
    serve(&Options { pim: faults.clone(), shop: faults.clone(), ..Options::new(dir) }).await
}

/// As [`start`], with every knob. The caller keeps the [`Sandbox`] for as long as it should serve.
///
/// # Errors
/// As [`start`]; also when a port is taken.
pub async fn serve(options: &Options) -> Result<Sandbox, SandboxError> {
    std::fs::create_dir_all(&options.dir)
        .map_err(SandboxError::io(format!("make {}", options.dir.display())))?;
    let (stop, ending) = watch::channel(());
    let pim = Box::new(pim::Pim::new(options.pim_profile));
    let pim = Desk::open(&journal_path(&options.dir, "pim"), pim, &options.pim)?;
    let storefront =
        Desk::open(&journal_path(&options.dir, "shop"), Box::new(shop::Shop::new()), &options.shop)?;
    let (pim_seed, shop_seed) = (pim.seed(), storefront.seed());
    let (pim_listener, pim_url) = listen(options.pim_port).await?;
    let (shop_listener, shop_url) = listen(options.shop_port).await?;
    Addresses { pim: pim_url.clone(), shop: shop_url.clone() }.write(&options.dir)?;
    let told_of = Arc::downgrade(&pim);
    let servers = [
        tokio::spawn(server::run(pim_listener, pim, ending.clone())),
        tokio::spawn(server::run(shop_listener, storefront, ending)),
    ];
    Ok(Sandbox { pim_url, shop_url, pim_seed, shop_seed, pim: told_of, stop, servers })
}

/// What the stand-ins of a directory hold, read from their journals, also while they are served.
/// A directory without stand-ins holds nothing.
///
/// # Errors
/// A journal is damaged, or the disk refuses.
pub fn contents(dir: &Path) -> Result<Contents, SandboxError> {
    Ok(Contents {
        pim: holdings(&journal_path(dir, "pim"), &mut pim::Pim::new(PimProfile::default()))?,
        shop: holdings(&journal_path(dir, "shop"), &mut shop::Shop::new())?,
    })
}

/// The calls of both stand-ins (PIM first) in the order of their arrival at each.
///
/// # Errors
/// As [`contents`].
pub fn entries(dir: &Path) -> Result<(Vec<Entry>, Vec<Entry>), SandboxError> {
    let read = |name: &str| {
        let mut entries = Vec::new();
        journal::read(&journal_path(dir, name), &mut |entry| entries.push(entry))?;
        Ok(entries)
    };
    Ok((read("pim")?, read("shop")?))
}

fn holdings(path: &Path, standin: &mut dyn Standin) -> Result<Holdings, SandboxError> {
    let mut writes = standin::Writes::default();
    journal::read(path, &mut |entry| {
        writes.add(&entry.wrote);
        entry.changes.iter().for_each(|change| standin.replay(change));
    })?;
    Ok(writes.holdings(standin))
}

fn journal_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.jsonl"))
}

async fn listen(port: u16) -> Result<(TcpListener, String), SandboxError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener =
        TcpListener::bind(address).await.map_err(SandboxError::io(format!("listen on {address}")))?;
    let bound = listener.local_addr().map_err(SandboxError::io("read the port"))?;
    Ok((listener, format!("http://{bound}")))
}
