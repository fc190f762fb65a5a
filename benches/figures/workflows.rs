//! The workflow file of each case, and the records that its runs work on.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::product::Products;

/// Where chance begins for products.
const SEED: u64 = 1;
/// Records that share a group, each as far from the next as there are groups.
pub(crate) const GROUP: u64 = 100;
/// Steps of a run in the cases of many runs.
pub(crate) const STEPS_OF_A_RUN: u64 = 6;
/// Bytes of a result that no store can pack, as long as a UUID is as text.
const OPAQUE_BYTES: u32 = 36;
/// Bytes of the results of W1.
const SEQUENCE_BYTES: u32 = 200;

/// What the runs of a case work on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Records {
    /// Nothing: there are only steps of the run.
    Nothing,
    /// `{"id":"17","sku":"SKU-0000017","group":"17"}` a line, about 50 bytes each.
    Small,
    /// Generated products, 3 KB each, as a JSON array with one a line.
    Products,
}

/// What a workflow file is made from.
pub(crate) struct Ground<'a> {
    /// How many items, or steps where there are no items.
    pub(crate) size: u64,
    /// The log of the effects.
    pub(crate) log: &'a Path,
    /// Of PIM and shop, where the case has stand-ins.
    pub(crate) urls: &'a [String; 2],
}

/// A workflow.
pub(crate) struct Flow {
    pub(crate) records: Records,
    /// The text of its file.
    pub(crate) text: fn(&Ground<'_>) -> String,
    /// Effects in the log of each item, or of each step where there are no items.
    pub(crate) effects: u64,
}

pub(crate) const SEQUENCE: Flow = Flow {
    records: Records::Nothing,
    text: |ground| chain("sequence", ground.size, &nothing(ground, Some(SEQUENCE_BYTES))),
    effects: 1,
};
pub(crate) const SIX_STEPS: Flow = Flow {
    records: Records::Nothing,
    text: |ground| chain("six", STEPS_OF_A_RUN, &nothing(ground, None)),
    effects: STEPS_OF_A_RUN,
};
pub(crate) const FOUR_STEPS: Flow = Flow {
    records: Records::Small,
    text: |ground| items(&["s1", "s2", "s3", "s4"], &nothing(ground, None)),
    effects: 4,
};
pub(crate) const FOUR_STEPS_IN_BATCHES: Flow = Flow {
    records: Records::Small,
    text: |ground| {
        let step = format!("{}\n    batch: {{ max: 100 }}", nothing(ground, None));
        items(&["s1", "s2", "s3", "s4"], &step)
    },
    effects: 4,
};
pub(crate) const OPAQUE: Flow = Flow {
    records: Records::Small,
    text: |ground| items(&["s1", "s2"], &nothing(ground, Some(OPAQUE_BYTES))),
    effects: 2,
};
pub(crate) const PACKED: Flow =
    Flow { records: Records::Small, text: |ground| items(&["s1", "s2"], &nothing(ground, None)), effects: 2 };
pub(crate) const SCATTERED: Flow = Flow {
    records: Records::Small,
    text: |ground| {
        let step = nothing(ground, Some(OPAQUE_BYTES));
        let wait = "uses: signal.wait\n    with: { signal: go, key: \"${{ item.group }}\", timeout: 1h }";
        let text = items(&["s1"], &step);
        format!("{text}  wait:\n    needs: [s1]\n    {wait}\n  s2:\n    needs: [wait]\n    {step}\n")
    },
    effects: 2,
};
pub(crate) const ONE_STEP: Flow =
    Flow { records: Records::Small, text: |ground| items(&["s1"], &nothing(ground, None)), effects: 1 };
pub(crate) const ONE_STEP_WITH_A_KEY: Flow = Flow {
    records: Records::Small,
    text: |ground| {
        let key = "\n    idempotency: { key: \"${{ item.sku }}\" }";
        items(&["s1"], &(nothing(ground, None) + key))
    },
    effects: 1,
};
pub(crate) const PIPELINE: Flow =
    Flow { records: Records::Products, text: |ground| filled(include_str!("p1.yaml"), ground), effects: 2 };
pub(crate) const PIPELINE_WITH_KEYS: Flow = Flow {
    records: Records::Products,
    text: |ground| filled(include_str!("p1-keys.yaml"), ground),
    effects: 2,
};
pub(crate) const PIPELINE_WITH_STAND_INS: Flow = Flow {
    records: Records::Products,
    text: |ground| filled(include_str!("p1-sandbox.yaml"), ground),
    effects: 0,
};
pub(crate) const PURE: Flow =
    Flow { records: Records::Products, text: |ground| filled(include_str!("p2.yaml"), ground), effects: 0 };
pub(crate) const PURE_IN_PYTHON: Flow = Flow {
    records: Records::Products,
    text: |ground| filled(include_str!("p2-python.yaml"), ground),
    effects: 0,
};

impl Flow {
    /// Writes the workflow file, and beside it the files that it names.
    pub(crate) fn write(&self, dir: &Path, ground: &Ground<'_>) -> anyhow::Result<PathBuf> {
        fs::create_dir_all(dir)?;
        if self.records == Records::Products {
            for folder in ["product-sync", "product-python"] {
                let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows").join(folder);
                crate::process::copy(&from, &dir.join(folder))?;
            }
        }
        let path = dir.join("workflow.yaml");
        fs::write(&path, (self.text)(ground))?;
        Ok(path)
    }
}

impl Records {
    /// Writes so many of them, once.
    pub(crate) fn write(self, dir: &Path, count: u64) -> anyhow::Result<PathBuf> {
        let name = match self {
            Self::Nothing => return Ok(dir.to_owned()),
            Self::Small => format!("records-{count}.ndjson"),
            Self::Products => format!("products-{count}.json"),
        };
        let path = dir.join(name);
        if path.exists() {
            return Ok(path);
        }
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&path)?);
        if self == Self::Products {
            Products::new(count, SEED, 0).write_array(&mut out)?;
        } else {
            let groups = (count / GROUP).max(1);
            for at in 0..count {
                let group = at % groups;
                writeln!(out, r#"{{"id":"{at}","sku":"SKU-{at:07}","group":"{group}"}}"#)?;
            }
        }
        // What is written behind a case's back would be paid for by it.
        out.into_inner()?.sync_all()?;
        Ok(path)
    }
}

/// A step that leaves a line.
fn nothing(ground: &Ground<'_>, bytes: Option<u32>) -> String {
    let bytes = bytes.map(|bytes| format!(", bytes: {bytes}")).unwrap_or_default();
    format!("uses: nothing\n    with: {{ log: \"{}\"{bytes} }}", ground.log.display())
}

/// So many steps of the run itself, one after the other.
fn chain(name: &str, steps: u64, step: &str) -> String {
    let mut text = format!("workflow: bench-{name}\nsteps:\n");
    for number in 1..=steps {
        let needs = if number > 1 { format!("    needs: [s{}]\n", number - 1) } else { String::new() };
        // Text grows without fail.
        let _ = writeln!(text, "  s{number}:\n{needs}    {step}");
    }
    text
}

/// The same steps for each item, one after the other.
fn items(names: &[&str], step: &str) -> String {
    let mut text = "workflow: bench-items
input:
  source: { type: uri }
connections:
  files: { use: local }
steps:
  read:
    uses: json.validate
    connection: files
    with: { source: \"${{ input.source }}\", item_key: \"${{ item.id }}\", format: ndjson }
"
    .to_owned();
    let mut before = "read";
    for name in names {
        let _ = writeln!(text, "  {name}:\n    needs: [{before}]\n    {step}");
        before = name;
    }
    text
}

fn filled(text: &str, ground: &Ground<'_>) -> String {
    let [pim, shop] = ground.urls;
    let log = ground.log.display().to_string();
    text.replace("LOG", &log).replace("PIM_URL", pim).replace("SHOP_URL", shop)
}
