//! A real browser without a window, told what to do over two pipes (Chromium's `--remote-debugging-pipe`): no
//! port, no socket, no driver beside it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything on a page may take; pages are made in milliseconds, but the machine may be busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Look {
    Light,
    Dark,
    Phone,
}

/// A browser with one page.
pub(super) struct Browser {
    child: Child,
    tell: File,
    hear: BufReader<File>,
    session: String,
    number: u64,
    scripts: bool,
    shots: Option<PathBuf>,
    _home: TempDir,
}

impl Browser {
    /// Starts the browser that `MILEPOST_TEST_CHROMIUM` names. Pictures go to `MILEPOST_TEST_SHOTS`, if that is set.
    pub(super) fn start() -> Self {
        let program = std::env::var("MILEPOST_TEST_CHROMIUM")
            .expect("MILEPOST_TEST_CHROMIUM names no browser; start the tests with tests/services/run page");
        let home = tempfile::tempdir().unwrap();
        let (tell, hear) = (home.path().join("tell"), home.path().join("hear"));
        assert!(Command::new("mkfifo").args([&tell, &hear]).status().unwrap().success());
        // The browser reads from its third and writes to its fourth descriptor, which only a shell can set here.
        let child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<\"$TELL\" 4>\"$HEAR\"", "sh", &program])
            .args([
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args(["--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb"])
            .arg(format!("--user-data-dir={}", home.path().join("profile").display()))
            .env("TELL", &tell)
            .env("HEAR", &hear)
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let tell = File::options().write(true).open(tell).unwrap();
        let hear = BufReader::new(File::open(hear).unwrap());
        let shots = std::env::var_os("MILEPOST_TEST_SHOTS").map(PathBuf::from);
        if let Some(folder) = &shots {
            fs::create_dir_all(folder).unwrap();
        }
        let mut browser =
            Self { child, tell, hear, session: String::new(), number: 0, scripts: true, shots, _home: home };
        let target = browser.ask("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.ask("Target.attachToTarget", &attach);
        attached["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        browser.ask("Page.enable", &json!({}));
        browser.look(Look::Light);
        browser
    }

    /// Sends a command and returns its result.
    fn ask(&mut self, method: &str, params: &Value) -> Value {
        let told = self.exchange(method, params);
        assert!(told["error"].is_null(), "{method}: {}", told["error"]);
        told["result"].clone()
    }

    /// Sends a command and returns its answer; what the browser tells by itself meanwhile is let go.
    fn exchange(&mut self, method: &str, params: &Value) -> Value {
        self.number += 1;
        let mut command = json!({ "id": self.number, "method": method, "params": params });
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        self.tell.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let mut bytes = Vec::new();
            self.hear.read_until(0, &mut bytes).unwrap();
            assert!(bytes.pop().is_some(), "the browser ended");
            let told: Value = serde_json::from_slice(&bytes).unwrap();
            if told["id"] == self.number {
                return told;
            }
        }
    }

    /// The value of an expression on the page.
    pub(super) fn value(&mut self, script: &str) -> Value {
        let params = json!({ "expression": script, "returnByValue": true, "awaitPromise": true });
        let told = self.ask("Runtime.evaluate", &params);
        assert!(told["exceptionDetails"].is_null(), "{script}: {told}");
        told["result"]["value"].clone()
    }

    /// Opens a page and waits until all of it is there, or the login.
    pub(super) fn open(&mut self, url: &str) {
        self.ask("Page.navigate", &json!({ "url": url }));
        let path = url.splitn(4, '/').nth(3).unwrap_or_default().split('?').next().unwrap_or_default();
        self.until(&format!(
            "document.readyState === 'complete' && ['/{path}', '/login'].includes(location.pathname)"
        ));
    }

    /// Waits until an expression is true.
    pub(super) fn until(&mut self, script: &str) {
        let begun = Instant::now();
        // The page itself looks again and again; one without scripts is asked instead.
        let waits = if self.scripts {
            format!(
                "new Promise((done) => {{ const end = performance.now() + 500; const look = () => ({script}) ? \
                 done(true) : performance.now() > end ? done(false) : setTimeout(look, 15); look(); }})"
            )
        } else {
            script.to_owned()
        };
        let params = json!({ "expression": waits, "returnByValue": true, "awaitPromise": true });
        loop {
            // While a page is left, its promises go with it: then the next one is asked.
            let told = self.exchange("Runtime.evaluate", &params);
            if told["result"]["result"]["value"] == true {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "never true: {script}; the page says: {}", self.text());
        }
    }

    /// What the page says.
    pub(super) fn text(&mut self) -> String {
        self.value("document.body?.innerText ?? ''").as_str().unwrap_or_default().to_owned()
    }

    /// Presses the left button on the first element that a selector finds and, when given, that says this.
    pub(super) fn click(&mut self, selector: &str, says: &str) {
        let find = format!(
            "[...document.querySelectorAll({})].find((e) => e.textContent.includes({}))",
            json!(selector),
            json!(says)
        );
        // Before all of a page is there, things still move.
        self.until(&format!("document.readyState === 'complete' && Boolean({find})"));
        let place = self.value(&format!(
            "(() => {{ const e = {find}; e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect(); \
             return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let params =
                json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.ask("Input.dispatchMouseEvent", &params);
        }
    }

    /// Puts a text in where the cursor is, as from the clipboard.
    pub(super) fn write(&mut self, text: &str) {
        self.ask("Input.insertText", &json!({ "text": text }));
    }

    /// Presses keys one after the other.
    pub(super) fn press(&mut self, keys: &[&str]) {
        for key in keys {
            let text = match *key {
                "Enter" => "\r",
                "Tab" | "Escape" => "",
                letter => letter,
            };
            let code = match *key {
                "Enter" => 13,
                "Tab" => 9,
                "Escape" => 27,
                _ => 0,
            };
            let params =
                json!({ "type": "keyDown", "key": key, "text": text, "windowsVirtualKeyCode": code });
            self.ask("Input.dispatchKeyEvent", &params);
            self.ask(
                "Input.dispatchKeyEvent",
                &json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code }),
            );
        }
    }

    /// Looks at pages by day, by night, or on a phone.
    pub(super) fn look(&mut self, look: Look) {
        let (width, height, scale, scheme) = match look {
            Look::Light => (1360, 860, 1, "light"),
            Look::Dark => (1360, 860, 1, "dark"),
            Look::Phone => (390, 844, 2, "light"),
        };
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": matches!(look, Look::Phone) });
        self.ask("Emulation.setDeviceMetricsOverride", &metrics);
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.ask("Emulation.setEmulatedMedia", &media);
    }

    /// Switches scripts off for pages that are opened from now on.
    pub(super) fn without_scripts(&mut self) {
        self.ask("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
        self.scripts = false;
    }

    /// Takes a picture of the whole page, if anybody wants pictures.
    pub(super) fn shot(&mut self, name: &str) {
        let Some(folder) = self.shots.clone() else { return };
        let told =
            self.ask("Page.captureScreenshot", &json!({ "format": "png", "captureBeyondViewport": false }));
        let bytes = base64(told["data"].as_str().unwrap());
        fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
    }

    /// A picture in every light and width.
    pub(super) fn shots(&mut self, name: &str) {
        for (look, suffix) in [(Look::Dark, "dark"), (Look::Phone, "phone"), (Look::Light, "light")] {
            self.look(look);
            self.until("document.readyState === 'complete'");
            self.shot(&format!("{name}-{suffix}"));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bytes of a text in base 64.
fn base64(text: &str) -> Vec<u8> {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut known) = (0u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let digit = digits.iter().position(|known| *known == letter).unwrap();
        bits = bits << 6 | u32::try_from(digit).unwrap();
        known += 6;
        if known >= 8 {
            known -= 8;
            bytes.push(u8::try_from(bits >> known & 0xff).unwrap());
        }
    }
    bytes
}
