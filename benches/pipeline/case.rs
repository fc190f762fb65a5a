//! What is measured: the workflow file of each case.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Items with real connectors and stand-ins: they are the slow part, so fewer say enough.
const SANDBOX_ITEMS: u64 = 5_000;

/// One case.
pub(crate) struct Case {
    /// Its name in results.
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) what: &'static str,
    /// Products per second to reach; none: only told.
    pub(crate) target: Option<u32>,
    /// Whether it speaks to stand-ins in a process of their own.
    pub(crate) sandbox: bool,
    workflow: &'static str,
}

/// All cases.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "P1",
        what: "whole pipeline, effects that do nothing",
        target: Some(5_000),
        sandbox: false,
        workflow: include_str!("p1.yaml"),
    },
    Case {
        name: "P2",
        what: "validate and transform alone",
        target: Some(20_000),
        sandbox: false,
        workflow: include_str!("p2.yaml"),
    },
    Case {
        name: "P2-python",
        what: "the same as P2 by a Python handler",
        target: None,
        sandbox: false,
        workflow: include_str!("p2-python.yaml"),
    },
    Case {
        name: "P1-sandbox",
        what: "whole pipeline against the stand-ins",
        target: None,
        sandbox: true,
        workflow: include_str!("p1-sandbox.yaml"),
    },
];

impl Case {
    /// The case of a name.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        CASES.iter().find(|case| case.name == name)
    }

    /// How many of `items` it works on.
    pub(crate) fn items(&self, items: u64) -> u64 {
        if self.sandbox { items.min(SANDBOX_ITEMS) } else { items }
    }

    /// Writes the workflow file beside the files it names. `urls` are those of PIM and shop.
    pub(crate) fn write(&self, dir: &Path, urls: &[String; 2]) -> io::Result<PathBuf> {
        for folder in ["product-sync", "product-python"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows").join(folder);
            let to = dir.join(folder);
            fs::create_dir_all(&to)?;
            for file in fs::read_dir(from)?.filter_map(Result::ok).filter(|file| file.path().is_file()) {
                fs::copy(file.path(), to.join(file.file_name()))?;
            }
        }
        let path = dir.join(format!("{}.yaml", self.name.to_lowercase()));
        let [pim, shop] = urls;
        fs::write(&path, self.workflow.replace("PIM_URL", pim).replace("SHOP_URL", shop))?;
        Ok(path)
    }
}
