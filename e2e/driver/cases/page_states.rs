//! The states of the status page with made-up answers: what each says, no serious finding of axe-core, nothing too wide or too high,
//! and a focus, a selection and scroll positions that survive a refresh. Leaves a screenshot of each.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::browser::Browser;
use crate::stage::Stage;
use crate::wait::until;

const LIMIT: Duration = Duration::from_secs(60);

const ANSWERS: &str = include_str!("../states.js");

/// A name of `states.js`, the number of replicas, and parts of the text that the page shows.
const STATES: &[(&str, u32, &[&str])] = &[
    ("fine", 1, &["One replica serves all objects"]),
    ("fine", 3, &["Every object is served exactly once", "metrics of replica 0 only"]),
    ("fine", 64, &["Every object is served exactly once"]),
    ("young", 3, &["not yet known", "the first proof follows within"]),
    (
        "bad",
        3,
        &[
            "Replica 1 does not answer: its objects may be missing",
            "Objects are missing: deployments",
            "The API server refuses secrets",
            "list services: <b>503</b>",
        ],
    ),
    ("bad", 64, &["Replica 1 does not answer: its objects may be missing"]),
    ("long", 3, &["Replica 1 is loading", "--metric-labels-allowlist"]),
    ("long", 64, &["Replica 1 is loading", "--metric-labels-allowlist"]),
    ("empty", 3, &["There are no objects to serve", "No resource is enabled"]),
    ("loading", 3, &["Asking the replicas"]),
    ("unreachable", 3, &["This replica does not answer", "the connection failed"]),
    ("error", 3, &["answers with an error", "503"]),
    (
        "preparing",
        12,
        &[
            "A handover is being prepared",
            "waiting for replicas 1 to 9, up to 5 s",
            "1 handover since this replica started",
        ],
    ),
    ("foreign", 3, &["not the state of a fleet"]),
    ("stale", 3, &["may not read", "401", "Outdated: the data below is of"]),
];

/// Widths of the window in pixels.
const DESKTOP: u32 = 1100;
const PHONE: u32 = 390;
/// The narrowest window for which WCAG 2.2, 1.4.10 demands that nothing is cut.
const NARROW: u32 = 320;
/// Greatest height in pixels of the page with 64 replicas on a phone.
const MOST_PIXELS: u64 = 5000;
/// Greatest number of elements with 1,024 replicas.
const MOST_ELEMENTS: u64 = 6000;

pub async fn run(stage: &Stage, browser: &Browser, root: &str) -> Result<String> {
    let mut views = 0;
    for (state, replicas, texts) in STATES {
        let answers = answers(browser, state, *replicas).await?;
        let phone = if *state == "long" { NARROW } else { PHONE };
        for (width, dark) in [(DESKTOP, false), (DESKTOP, true), (phone, false), (phone, true)] {
            browser.show(width, 900, dark).await?;
            browser.open(root).await?;
            until(&format!("the state {state} of {replicas}"), LIMIT, async || {
                let text: String = browser.evaluate("return document.body.innerText").await?;
                let missing = texts.iter().find(|part| !text.contains(**part));
                ensure!(missing.is_none(), "{missing:?} is not in {text}");
                Ok(())
            })
            .await?;
            let what = format!("{state}-{replicas}-{width}-{}", if dark { "dark" } else { "light" });
            accessible(stage, browser, &what).await?;
            let height: u64 = browser.evaluate("return document.documentElement.scrollHeight").await?;
            // Long names take more lines.
            ensure!(height < MOST_PIXELS || *state == "long", "{what}: {height} pixels high");
            browser.show(width, u32::try_from(height)?, dark).await?;
            browser.picture(&stage.directory.join(format!("{what}.png"))).await?;
            views += 1;
        }
        browser.forget(&answers).await?;
    }
    unhealthy_first(browser, root).await?;
    survives_a_refresh(browser, root).await?;
    works_by_keyboard(browser, root).await?;
    Ok(format!("{views} views of {} states without serious findings", STATES.len()))
}

/// Makes all pages that are opened from now on get made-up answers. Returns the name of the script.
async fn answers(browser: &Browser, state: &str, replicas: u32) -> Result<String> {
    browser.preload(&format!("{{ const state = {state:?}, replicas = {replicas};\n{ANSWERS}}}")).await
}

#[derive(Debug, Deserialize)]
struct Finding {
    impact: Option<String>,
    id: String,
    targets: Vec<String>,
}

/// Returns an error if axe-core finds a serious or critical fault, or the content is wider than the window.
pub async fn accessible(stage: &Stage, browser: &Browser, what: &str) -> Result<()> {
    let axe = std::fs::read_to_string(stage.tool("axe.min.js")?)?;
    browser.evaluate::<Option<()>>(&format!("{axe}\nwindow.axe = axe;")).await?;
    let found: Vec<Finding> = browser
        .evaluate_async(
            "const done = arguments[arguments.length - 1];\
             axe.run().then(of => done(of.violations.map(({ impact, id, nodes }) =>\
             ({ impact, id, targets: nodes.map(node => String(node.target) + ': ' + node.failureSummary) }))),\
             error => done([{ impact: 'critical', id: String(error), targets: [] }]));",
        )
        .await?;
    let serious = found.iter().filter(|it| matches!(it.impact.as_deref(), Some("serious" | "critical")));
    let serious: Vec<_> = serious.map(|Finding { id, targets, .. }| format!("{id}: {}", targets.join("; "))).collect();
    ensure!(serious.is_empty(), "{what}: {serious:#?}");
    let overflow: i64 =
        browser.evaluate("return document.documentElement.scrollWidth - document.documentElement.clientWidth").await?;
    ensure!(overflow <= 0, "{what}: the content is {overflow} pixels too wide");
    Ok(())
}

/// The table names replicas with problems first, and the page stays small with 1,024 of them.
async fn unhealthy_first(browser: &Browser, root: &str) -> Result<()> {
    let answers = answers(browser, "bad", 1024).await?;
    browser.open(root).await?;
    let read = "return [document.querySelectorAll('*').length,\
                [...document.querySelectorAll('.members tbody tr')].slice(0, 3).map(row => row.dataset.key)]";
    until("a table of 1,024 replicas", LIMIT, async || {
        let (elements, first): (u64, Vec<String>) = browser.evaluate(read).await?;
        ensure!(first == ["1", "1023", "0"], "the first rows are {first:?}");
        ensure!(elements < MOST_ELEMENTS, "{elements} elements");
        Ok(())
    })
    .await?;
    browser.forget(&answers).await
}

/// The table of resources changes its order with each of these answers.
async fn survives_a_refresh(browser: &Browser, root: &str) -> Result<()> {
    let answers = answers(browser, "fine", 3).await?;
    browser.show(600, 400, false).await?;
    browser.open(root).await?;
    let prepare = "const link = [...document.querySelectorAll('#resources a')].find(a => a.textContent === 'secrets');\
         if (!link) return false; link.focus(); window.link = link; window.scrollTo(0, 300);\
         const text = [...document.querySelectorAll('.card dd')].at(-1).firstChild;\
         getSelection().setBaseAndExtent(document.querySelector('.card h3').firstChild, 2, text, 1);\
         window.start = [scrollY, getSelection().toString(), document.querySelector('#asked').textContent]; return true";
    until("a page to prepare", LIMIT, async || {
        ensure!(browser.evaluate::<bool>(prepare).await?, "no link");
        Ok(())
    })
    .await?;
    until("a refresh that keeps the reader's place", LIMIT, async || {
        let (refreshed, kept): (bool, Vec<bool>) = browser
            .evaluate(
                "return [document.querySelector('#asked').textContent !== start[2], [document.activeElement === link && link.isConnected,\
                 scrollY === start[0] && scrollY > 0, getSelection().toString().length > 20 && getSelection().anchorOffset === 2]]",
            )
            .await?;
        ensure!(kept == [true; 3], "focus, scroll position and selection: {kept:?}");
        ensure!(refreshed, "no refresh yet");
        Ok(())
    })
    .await?;
    browser.forget(&answers).await
}

/// Tab reaches every link and control, the focus is visible, and Space presses the button, which is the last.
async fn works_by_keyboard(browser: &Browser, root: &str) -> Result<()> {
    let answers = answers(browser, "fine", 64).await?;
    browser.show(1100, 900, false).await?;
    browser.open(root).await?;
    let controls =
        "[...document.querySelectorAll('a, button, summary, [tabindex=\"0\"]')].filter(it => it.checkVisibility())";
    until("controls", LIMIT, async || {
        let controls: usize =
            browser.evaluate(&format!("window.reached = new Set(); return {controls}.length")).await?;
        ensure!(controls > 64, "{controls} controls");
        Ok(())
    })
    .await?;
    // A refresh may add a control behind the focus, which the next round reaches.
    until("a round that leaves out no control", LIMIT, async || {
        let mut kind = String::new();
        // More steps than the page has controls.
        for _ in 0..200 {
            let outline: String;
            browser.press("Tab", 9).await?;
            (kind, outline) = browser
                .evaluate(
                    "const at = document.activeElement; reached.add(at); return [at.id || at.nodeName, getComputedStyle(at).outlineStyle]",
                )
                .await?;
            ensure!(kind != "BODY", "the focus is lost");
            ensure!(outline != "none", "the focus on {kind} is not visible");
            if kind == "pause" {
                break;
            }
        }
        ensure!(kind == "pause", "Tab does not reach the last control");
        let missing = format!("return {controls}.filter(it => !reached.has(it)).map(it => it.id || it.textContent)");
        let missing: Vec<String> = browser.evaluate(&missing).await?;
        ensure!(missing.is_empty(), "Tab does not reach {missing:?}");
        Ok(())
    })
    .await?;
    browser.press(" ", 32).await?;
    let pressed: String = browser
        .evaluate("return document.querySelector('#pause').getAttribute('aria-pressed')")
        .await
        .context("no button")?;
    ensure!(pressed == "true", "Space does not pause: {pressed}");
    browser.forget(&answers).await
}
