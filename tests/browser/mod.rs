//! Pages as a browser shows them: headless Chromium, driven over a pipe.
//!
//! In: a file, the size of a window, light or dark. Out: what is wrong with it ([`Page::problems`]), and a screenshot. Speaks
//! the DevTools protocol (JSON messages that end in a zero byte) over descriptors 3 and 4, so that no port is opened.
//! `.ci/run` installs the browser; without one the tests say that they are skipped.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};

use crate::workspace::skipped;

/// Names a Chromium goes by; `CHROMIUM` names another one.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
/// So long may an answer take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(120);
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];

/// A window.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// For the name of the screenshot.
    pub name: &'static str,
    pub width: u32,
    pub height: u32,
    /// Pixels a CSS pixel.
    pub scale: u32,
    pub dark: bool,
}

/// A phone and a desktop, light and dark.
pub const VIEWS: [View; 4] = [
    View {
        name: "phone-light",
        width: 390,
        height: 844,
        scale: 2,
        dark: false,
    },
    View {
        name: "phone-dark",
        width: 390,
        height: 844,
        scale: 2,
        dark: true,
    },
    View {
        name: "desktop-light",
        width: 1280,
        height: 800,
        scale: 1,
        dark: false,
    },
    View {
        name: "desktop-dark",
        width: 1280,
        height: 800,
        scale: 1,
        dark: true,
    },
];

/// A running Chromium.
pub struct Browser {
    process: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    sent: u64,
    /// Messages that were no answer, of all pages.
    events: Vec<Value>,
    _profile: tempfile::TempDir,
}

/// An open page.
pub struct Page {
    session: String,
    /// Where its events begin.
    first_event: usize,
    url: String,
}

impl Browser {
    /// Starts one; `None`, and a message, where there is none to start.
    pub fn start() -> Option<Self> {
        let given = std::env::var("CHROMIUM").ok();
        let names = given.iter().map(String::as_str).chain(NAMES);
        let works = |name: &&str| {
            let version = Command::new(name).arg("--version").output();
            version.is_ok_and(|output| output.status.success())
        };
        let Some(name) = names.into_iter().find(works) else {
            skipped("there is no Chromium (apt-get install chromium, or name one in CHROMIUM)");
            return None;
        };
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let mut process = Command::new("sh")
            .args([
                "-c",
                "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null",
                name,
            ])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let to = process.stdin.take().expect("it is piped");
        let stdout = process.stdout.take().expect("it is piped");
        let (send, from) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(stdout).split(0) {
                let Ok(message) = message else { return };
                let message = serde_json::from_slice(&message).expect("JSON");
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        Some(Self {
            process,
            to,
            from,
            sent: 0,
            events: Vec::new(),
            _profile: profile,
        })
    }

    /// Sends a command and waits for its answer.
    fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let text = message.to_string() + "\0";
        self.to
            .write_all(text.as_bytes())
            .expect("the browser listens");
        loop {
            let message = self.receive();
            if message["id"] == self.sent {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    fn receive(&mut self) -> Value {
        self.from
            .recv_timeout(PATIENCE)
            .expect("the browser answers")
    }

    /// Opens a file and waits until it is loaded.
    pub fn open(&mut self, file: &Path, view: View) -> Page {
        let target = self.call(None, "Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.call(None, "Target.attachToTarget", attach);
        let session = attached["sessionId"]
            .as_str()
            .expect("a session")
            .to_owned();
        let first_event = self.events.len();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(Some(&session), &format!("{domain}.enable"), json!({}));
        }
        let metrics = json!({
            "width": view.width, "height": view.height, "deviceScaleFactor": view.scale, "mobile": view.width < 600,
        });
        self.call(
            Some(&session),
            "Emulation.setDeviceMetricsOverride",
            metrics,
        );
        let scheme = if view.dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call(Some(&session), "Emulation.setEmulatedMedia", features);
        let file = file.canonicalize().expect("the page is there");
        let url = format!("file://{}", file.display());
        self.call(Some(&session), "Page.navigate", json!({"url": url}));
        let loaded = |event: &Value| {
            event["method"] == "Page.loadEventFired" && event["sessionId"] == session.as_str()
        };
        while !self.events[first_event..].iter().any(loaded) {
            let message = self.receive();
            self.events.push(message);
        }
        Page {
            session,
            first_event,
            url,
        }
    }

    /// The value of an expression in the page.
    pub fn evaluate(&mut self, page: &Page, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true});
        let answer = self.call(Some(&page.session), "Runtime.evaluate", params);
        assert!(answer["exceptionDetails"].is_null(), "{answer}");
        answer["result"]["value"].clone()
    }

    /// Everything that is wrong with the page: what the probe sees, what the console says, what was asked of the network.
    pub fn problems(&mut self, page: &Page) -> Vec<String> {
        let found = self.evaluate(page, include_str!("probe.js"));
        let found = found.as_array().expect("a list").iter();
        let mut problems: Vec<String> = found
            .map(|text| text.as_str().expect("text").to_owned())
            .collect();
        let events = self.events[page.first_event..].iter();
        for event in events.filter(|event| event["sessionId"] == page.session.as_str()) {
            let params = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Runtime.consoleAPICalled" => problems.push(format!("console: {}", params["args"])),
                "Runtime.exceptionThrown" => problems.push(format!("exception: {params}")),
                "Log.entryAdded" => problems.push(format!("console: {}", params["entry"]["text"])),
                "Network.requestWillBeSent" => {
                    let url = params["request"]["url"].as_str().unwrap_or_default();
                    if url != page.url && !url.starts_with("data:") {
                        problems.push(format!("asked for {url}"));
                    }
                }
                _ => {}
            }
        }
        problems
    }

    /// The whole page as PNG.
    pub fn screenshot(&mut self, page: &Page) -> Vec<u8> {
        let metrics = self.call(Some(&page.session), "Page.getLayoutMetrics", json!({}));
        let size = &metrics["cssContentSize"];
        let params = json!({
            "format": "png", "captureBeyondViewport": true,
            "clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1},
        });
        let answer = self.call(Some(&page.session), "Page.captureScreenshot", params);
        let data = answer["data"].as_str().expect("base64");
        base64::engine::general_purpose::STANDARD
            .decode(data)
            .expect("base64")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let close = json!({"id": self.sent + 1, "method": "Browser.close"}).to_string() + "\0";
        if self.to.write_all(close.as_bytes()).is_err() {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}
