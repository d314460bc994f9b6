//! A real browser: headless Chromium, driven through W3C WebDriver.
//!
//! The cases use a handful of requests; the crates for WebDriver have about fifty dependencies.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::http::{get_text, post};
use crate::process::{Process, Signal, signal};
use crate::stage::Stage;
use crate::wait::until;

/// How long the driver may take to start.
const START_LIMIT: Duration = Duration::from_secs(60);
/// No network traffic except that of the page, no sandbox that needs privileges, no GPU.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// The browser is not installed.
#[derive(Debug, thiserror::Error)]
#[error("{0} is missing: install it, or run scripts/e2e as root on Debian")]
pub struct Missing(&'static str);

/// A browser with one page. Dropping it ends the browser.
pub struct Browser {
    session: String,
    /// The ID of its process, which outlives the driver.
    process: u32,
    _driver: Process,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = signal(self.process, Signal::KILL);
    }
}

impl Browser {
    /// Starts a browser.
    ///
    /// # Errors
    /// [`Missing`] if it is not installed.
    pub async fn start(stage: &Stage) -> Result<Self> {
        let (chromium, chromedriver) = (program("chromium")?, program("chromedriver")?);
        let port = stage.free_port(1)?;
        let directory = stage.directory.join("browser");
        std::fs::create_dir_all(&directory)?;
        let environment = [("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()), ("HOME", text(&directory)?)];
        let mut driver = Process::start(
            &chromedriver,
            &[format!("--port={port}")],
            &environment.map(|(name, value)| (name.to_owned(), value)),
            &stage.directory.join("chromedriver.log"),
            None,
        )?;
        let url = format!("http://127.0.0.1:{port}");
        until("chromedriver", START_LIMIT, async || {
            driver.ensure_running()?;
            get_text(&format!("{url}/status")).await
        })
        .await?;
        let profile = format!("--user-data-dir={}", text(&directory.join("profile"))?);
        let flags: Vec<_> = FLAGS.iter().copied().chain([profile.as_str()]).collect();
        let options = json!({ "args": flags, "binary": chromium });
        let asked = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let session: Value = command(&format!("{url}/session"), &asked).await?;
        let id = session["sessionId"].as_str().context("a session without a name")?;
        let process = session["capabilities"]["goog:processID"].as_u64().and_then(|id| u32::try_from(id).ok());
        let process = process.context("a browser without a process")?;
        Ok(Self { session: format!("{url}/session/{id}"), process, _driver: driver })
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.ask::<Value>("url", &json!({ "url": url })).await.map(drop)
    }

    /// Runs a script in the page and returns its result.
    pub async fn evaluate<T: DeserializeOwned>(&self, script: &str) -> Result<T> {
        self.ask("execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// Runs a script in the page, and returns the value that it gives to its last argument.
    pub async fn evaluate_async<T: DeserializeOwned>(&self, script: &str) -> Result<T> {
        self.ask("execute/async", &json!({ "script": script, "args": [] })).await
    }

    /// Runs a script in every page that is opened from now on, before the page's own. Returns its name.
    pub async fn preload(&self, script: &str) -> Result<String> {
        let said = self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await?;
        Ok(said["identifier"].as_str().context("a script without a name")?.to_owned())
    }

    /// Undoes [`Self::preload`].
    pub async fn forget(&self, script: &str) -> Result<()> {
        let script = json!({ "identifier": script });
        self.devtools("Page.removeScriptToEvaluateOnNewDocument", script).await.map(drop)
    }

    /// Presses and releases a key, as a person does.
    pub async fn press(&self, key: &str, code: u32) -> Result<()> {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code });
            if key == " " && kind == "keyDown" {
                event["text"] = json!(key);
            }
            self.devtools("Input.dispatchKeyEvent", event).await?;
        }
        Ok(())
    }

    /// Sets the size of the window and the preferred colour scheme.
    pub async fn show(&self, width: u32, height: u32, dark: bool) -> Result<()> {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await?;
        let scheme = json!({ "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } });
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [scheme] })).await.map(drop)
    }

    /// Writes a screenshot into `file`, as PNG.
    pub async fn picture(&self, file: &Path) -> Result<()> {
        let encoded: String = answer(&get_text(&format!("{}/screenshot", self.session)).await?)?;
        std::fs::write(file, STANDARD.decode(encoded)?).with_context(|| format!("cannot write {}", file.display()))
    }

    async fn devtools(&self, name: &str, params: Value) -> Result<Value> {
        self.ask("goog/cdp/execute", &json!({ "cmd": name, "params": params })).await
    }

    async fn ask<T: DeserializeOwned>(&self, what: &str, body: &Value) -> Result<T> {
        command(&format!("{}/{what}", self.session), body).await
    }
}

async fn command<T: DeserializeOwned>(url: &str, body: &Value) -> Result<T> {
    let said = post(url, body).await?;
    ensure!(said.status.is_success(), "{url}: {}", said.text()?.trim());
    answer(said.text()?)
}

fn answer<T: DeserializeOwned>(text: &str) -> Result<T> {
    let mut said: Value = serde_json::from_str(text)?;
    Ok(serde_json::from_value(said["value"].take())?)
}

fn text(path: &Path) -> Result<String> {
    Ok(path.to_str().context("a path that is not UTF-8")?.to_owned())
}

/// The path of an installed program.
fn program(name: &'static str) -> Result<PathBuf, Missing> {
    let places = ["/usr/bin", "/usr/local/bin"].map(|place| Path::new(place).join(name));
    places.into_iter().find(|place| place.exists()).ok_or(Missing(name))
}
