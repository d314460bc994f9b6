//! The status page in a real browser: it agrees with the JSON, follows a scale-up, and shows replicas that do not answer. Leaves the
//! screenshots light.png, dark.png and phone.png. Then the states of [`page_states`].

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::page_states::{self, accessible};
use crate::browser::Browser;
use crate::cluster::Cluster;
use crate::fleet::Fleet;
use crate::http::get_text;
use crate::process::Signal;
use crate::stage::Stage;
use crate::wait::until;

/// How long the page may take to show a change: a handover with the start of a process, or an audit.
const LIMIT: Duration = Duration::from_secs(150);

/// Returns the visible content of the page.
const READ: &str = include_str!("../page.js");

#[derive(Debug, Deserialize)]
struct Page {
    headline: String,
    name: String,
    cards: Vec<Card>,
    rows: Vec<Row>,
    /// The number of pixels by which the content is wider than the window.
    overflow: i64,
    /// Requests to servers other than the replica.
    outside: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Card {
    ordinal: u64,
    standing: String,
    facts: BTreeMap<String, String>,
    links: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Row {
    resource: String,
    served: String,
    seen: String,
    cover: String,
    link: String,
}

pub async fn run(stage: &Stage) -> Result<String> {
    let browser = Browser::start(stage).await?;
    let cluster = Cluster::shared(stage).await?;
    let fleet = Fleet::start(stage, &cluster, 2).await?;
    let at = fleet.at(0)?;
    let root = format!("http://{}:{}/", at.address, at.port);
    browser.open(&root).await?;
    browser.show(1100, 1500, false).await?;

    let page = until("agreement of page and JSON", LIMIT, async || {
        let said: Value = serde_json::from_str(&get_text(&format!("{root}fleet")).await?)?;
        let page = read(&browser).await?;
        same(&page, &said)?;
        ensure!(page.headline == "Every object is served exactly once", "the headline is {:?}", page.headline);
        Ok(page)
    })
    .await?;
    ensure!(page.name == "page/kube-state-fleet", "its name is {}", page.name);
    let link = page.rows.iter().find(|row| row.resource == "pods").context("no pods")?;
    let pods = get_text(&link.link).await?;
    ensure!(
        pods.contains("kube_pod_info{") && !pods.contains("kube_node_info{"),
        "{} does not serve exactly pods",
        link.link
    );
    let neighbour = page.cards[1].links.first().context("no link to the other replica's metrics")?;
    ensure!(get_text(neighbour).await?.contains("kube_pod_info{"), "{neighbour} serves no pods");

    let mut seen = vec![page.headline];
    fleet.scale(3).await?;
    seen.push(
        shows(&browser, "a handover", async |page| {
            page.headline.contains("handover") || page.headline.contains("change hands")
        })
        .await?,
    );
    shows(&browser, "three replicas with a third each", async |page| {
        page.cards.len() == 3
            && page.cards.iter().all(|card| card.facts["share"] == "33 %" && card.standing == "serving")
    })
    .await?;
    pictures(stage, &browser).await?;

    // Pause a replica other than the one that serves the page.
    fleet.signal(2, Signal::STOP)?;
    let silent = |page: &Page| page.cards.iter().any(|card| card.ordinal == 2 && card.standing == "no answer");
    seen.push(shows(&browser, "that a replica does not answer", async |page| silent(page)).await?);
    seen.push(
        shows(&browser, "that others serve for it", async |page| {
            page.headline == "Replica 2 is absent: the others serve its objects"
        })
        .await?,
    );
    fleet.signal(2, Signal::CONT)?;
    let back =
        async |page: &Page| page.cards.len() == 3 && page.cards.iter().all(|card| card.facts.contains_key("share"));
    shows(&browser, "that it is back", back).await?;

    // Pause the one that serves the page.
    fleet.signal(0, Signal::STOP)?;
    seen.push(
        shows(&browser, "that nobody answers", async |page| page.headline == "This replica does not answer").await?,
    );
    accessible(stage, &browser, "outdated data").await?;
    fleet.signal(0, Signal::CONT)?;
    let states = page_states::run(stage, &browser, &root).await?;
    Ok(format!("shown: {}; {states}", seen.join("; ")))
}

async fn read(browser: &Browser) -> Result<Page> {
    let page: Page = browser.evaluate(READ).await?;
    ensure!(page.outside.is_empty(), "the page sent requests to {:?}", page.outside);
    Ok(page)
}

/// Waits until the page satisfies the condition. Returns its headline.
async fn shows(browser: &Browser, what: &str, is_so: impl AsyncFn(&Page) -> bool) -> Result<String> {
    until(what, LIMIT, async || {
        let page = read(browser).await?;
        ensure!(is_so(&page).await, "the page shows {:?} and {:?}", page.headline, page.cards);
        Ok(page.headline)
    })
    .await
}

/// Returns an error if the page differs from the JSON.
fn same(page: &Page, said: &Value) -> Result<()> {
    let replicas = said["replicas"].as_array().context("no replicas")?;
    ensure!(page.cards.len() == replicas.len(), "{} cards of {} replicas", page.cards.len(), replicas.len());
    for (card, replica) in page.cards.iter().zip(replicas) {
        let objects = replica["objects"].as_u64().context("no objects")?;
        let shown = card.facts.get("objects").map(|text| text.replace(',', "").parse());
        ensure!(replica["ordinal"] == json!(card.ordinal), "{card:?} is not {replica}");
        ensure!(replica["standing"] == json!(card.standing), "{card:?} is not {replica}");
        ensure!(shown == Some(Ok(objects)), "{card:?} is not {replica}");
    }
    let number = |text: &str| text.replace(',', "").parse::<u64>().ok();
    for row in &page.rows {
        let resources = said["resources"].as_array().context("no resources")?;
        let resource = resources.iter().find(|of| of["resource"] == json!(row.resource)).context("an unknown row")?;
        ensure!(resource["owned"].as_u64() == number(&row.served), "{row:?} is not {resource}");
        ensure!(resource["seen"].as_u64() == number(&row.seen), "{row:?} is not {resource}");
        ensure!(resource["cover"] == json!(row.cover), "{row:?} is not {resource}");
    }
    Ok(())
}

async fn pictures(stage: &Stage, browser: &Browser) -> Result<()> {
    shows(browser, "that all is proven", async |page| page.headline == "Every object is served exactly once").await?;
    for (name, width, height, dark) in
        [("light.png", 1100, 1500, false), ("dark.png", 1100, 1500, true), ("phone.png", 390, 1500, false)]
    {
        browser.show(width, height, dark).await?;
        let page = read(browser).await?;
        ensure!(page.overflow <= 0, "{name}: the content is {} pixels too wide", page.overflow);
        accessible(stage, browser, name).await?;
        browser.picture(&stage.directory.join(name)).await?;
    }
    browser.show(1100, 1500, false).await
}
