//! `demo` as a user starts it: three replicas, each object served once, no secret, a handover to a fourth, a clean end.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// Ends the demo, whatever the result of the test.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // It has already ended on success.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the demo listens where it says");
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers in text");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

/// The values of a label in the series of a family.
fn values<'a>(scrape: &'a str, family: &'a str, label: &'a str) -> impl Iterator<Item = String> + 'a {
    let lines = scrape.lines().filter(move |line| line.strip_prefix(family).is_some_and(|rest| rest.starts_with('{')));
    lines.filter_map(move |line| Some(line.split_once(&format!("{label}=\""))?.1.split_once('"')?.0.to_owned()))
}

#[test]
fn a_fleet_serves_the_simulated_cluster_until_it_is_stopped() {
    let mut demo = Demo(
        Command::new(env!("CARGO_BIN_EXE_kube-state-fleet"))
            .args(["demo", "--shards=3", "--pods=70", "--seed=5"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts"),
    );
    let mut lines = BufReader::new(demo.0.stdout.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    let introduction: Vec<String> = lines.by_ref().take_while(|line| !line.contains("Ctrl-C")).collect();
    let rows = introduction.iter().skip_while(|line| !line.starts_with("  shard")).skip(1).take(3);
    let (mut pods, mut secrets, mut nodes, mut shards) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for row in rows {
        let mut columns = row.split_whitespace().skip(1);
        let url = columns.next().and_then(|word| word.strip_prefix("http://")).expect("a URL");
        let (metrics, path) = url.split_once('/').expect("a path");
        get(&format!("127.0.0.1:{}", columns.next().expect("a port")), "readyz");
        let scrape = get(metrics, path);
        let found: Vec<_> = values(&scrape, "kube_pod_info", "uid").collect();
        assert!(!found.is_empty(), "a shard of 70 pods has some");
        pods.extend(found);
        nodes.extend(values(&scrape, "kube_node_info", "node"));
        secrets.extend(values(&scrape, "kube_secret_type", "type"));
        assert!(!scrape.contains("bm90IHNlcnZlZA"), "data of a Secret is served");
        shards += 1;
    }
    assert_eq!(shards, 3, "{introduction:#?}");
    let different: BTreeSet<_> = pods.iter().collect();
    assert_eq!(different.len(), pods.len(), "no pod twice");
    // The cluster changes: a pod may appear or vanish between two scrapes. Three pods are the fleet's own.
    assert!((69..=77).contains(&pods.len()), "{} pods", pods.len());
    nodes.sort();
    assert_eq!(nodes, ["node-1", "node-2", "node-3", "node-4"]);
    assert_eq!(secrets, ["Opaque"; 6]);

    // The reader has counted. Only a key changes the number of replicas.
    demo.0.stdin.as_mut().expect("a pipe").write_all(b"+").expect("it listens");
    let four = |line: &String| line.matches(" + ").count() == 3 && line.ends_with("every pod exactly once");
    let news: Vec<String> = lines
        .by_ref()
        .take(200)
        .scan(false, |done, line| {
            let more = !*done;
            *done = four(&line);
            more.then_some(line)
        })
        .collect();
    assert!(news.last().is_some_and(four), "a fourth replica takes its share: {news:#?}");
    let address = news.iter().find_map(|line| line.split_once("  address   replica 3: http://")?.1.split_once('/'));
    get(address.expect("the address of the new replica").0, "metrics");
    let wide: Vec<_> = introduction.iter().chain(&news).filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "wider than a terminal: {wide:#?}");

    let id = demo.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill is there").success());
    let mut said = String::new();
    demo.0.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert!(demo.0.wait().expect("it ends").success());
    assert_eq!(said, "", "a calm demo");
}
