//! Configurations that are not valid: each is refused in one sentence with file, line and key, and none hangs or panics.
//!
//! Besides chosen files there are mutated ones. The mutations are deterministic; a failure prints the file.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use kube_state_fleet::replica::client_config;
use kube_state_fleet::server::WebConfig;
use kube_state_fleet::settings::{Flags, Layers};

/// Mutated files of each kind.
const ROUNDS: u64 = 400;

/// The maximum length of an error, and a prefix.
const LONGEST: usize = 2048 + 64;

/// Words of parsers and of their code, which no user knows.
const TALK: &[&str] = &[
    "mapping start",
    "sequence start",
    "scalar",
    "Option<",
    "Spanned",
    "udget",
    "Nodes",
    "struct ",
    "serde",
    "granit",
    "visitor",
    "variant",
    "i32",
    "u64",
    "anchor_id",
    "while parsing",
    "while scanning",
    "invalid type",
    "untagged",
    "__",
    "\u{1b}",
];

const CONFIG: &str = "\
port: 8080
resources: {pods: {}, nodes: {}}
namespaces: [shop, bank]
metric_allowlist: [kube_pod_.*]
labels_allow_list:
  pods: [app, team]
use_api_server_cache: true
object_limit: 10
event_batch_delay: 1s
";

const CUSTOM: &str = "\
kind: CustomResourceStateMetrics
spec:
  resources:
  - groupVersionKind: {group: example.com, version: v1, kind: Database}
    labelsFromPath:
      name: [metadata, name]
    metrics:
    - name: size
      help: The size.
      each: {type: Gauge, gauge: {path: [spec, size], nilIsZero: true}}
    - name: phase
      each:
        type: StateSet
        stateSet: {labelName: phase, path: [status, phase], list: [Ready, Failed]}
";

const WEB: &str = "\
http_server_config:
  http2: true
  headers:
    X-Frame-Options: deny
basic_auth_users:
  ann: $2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG
rate_limit:
  interval: 1s
  burst: 10
";

const KUBECONFIG: &str = "\
apiVersion: v1
kind: Config
current-context: here
contexts:
- name: here
  context: {cluster: here, user: me, namespace: default}
clusters:
- name: here
  cluster: {server: 'https://10.0.0.1:6443', insecure-skip-tls-verify: true}
users:
- name: me
  user: {token: opaque-token}
";

/// A kind of configuration.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Config,
    Custom,
    Web,
    Kubeconfig,
}

impl Kind {
    const ALL: [(Self, &str); 4] =
        [(Self::Config, CONFIG), (Self::Custom, CUSTOM), (Self::Web, WEB), (Self::Kubeconfig, KUBECONFIG)];

    /// Loads the file as the program does. Returns the error that a user sees.
    fn load(self, path: &Path, runtime: &tokio::runtime::Runtime) -> Option<String> {
        let flags = Flags::default();
        let flags = match self {
            Self::Config => Flags { config: Some(path.to_owned()), ..flags },
            Self::Custom => Flags { custom_resource_state_config_file: Some(path.to_owned()), ..flags },
            Self::Kubeconfig => Flags { kubeconfig: Some(path.to_owned()), ..flags },
            Self::Web => return runtime.block_on(WebConfig::load(path, false)).err().map(|error| error.to_string()),
        };
        let layers = Layers { flags, ..Layers::default() };
        match layers.resolve_unsharded() {
            Err(error) => Some(error.to_string()),
            Ok((settings, _)) if matches!(self, Self::Kubeconfig) => {
                runtime.block_on(client_config(&settings)).err().map(|error| error.to_string())
            }
            Ok(_) => None,
        }
    }
}

struct Loader {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    unclear: RefCell<Vec<String>>,
}

impl Loader {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { folder: tempfile::tempdir().expect("a folder"), runtime, unclear: RefCell::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("file.yaml")
    }

    fn load(&self, kind: Kind, content: &[u8]) -> Option<String> {
        std::fs::write(self.path(), content).expect("written");
        let error = kind.load(&self.path(), &self.runtime)?;
        let reason = error.rsplit("file.yaml").next().unwrap_or_default();
        let talks = TALK.iter().any(|word| reason.contains(word));
        if error.len() > LONGEST || error.contains(char::is_control) || !error.contains("file.yaml") || talks {
            let shown: String = content.escape_ascii().to_string().chars().take(600).collect();
            self.unclear.borrow_mut().push(format!("{kind:?}: {error:.600}\n    of {shown}"));
        }
        Some(error)
    }

    /// Fails if an error was unclear.
    fn finish(self) {
        let unclear = self.unclear.into_inner();
        let first = &unclear[..unclear.len().min(30)];
        assert!(unclear.is_empty(), "{} unclear errors:\n{}", unclear.len(), first.join("\n"));
    }
}

#[test]
fn each_configuration_is_valid_or_refused_in_a_sentence() {
    let loader = Loader::new();
    for (kind, text) in Kind::ALL {
        assert_eq!(loader.load(kind, text.as_bytes()), None, "{kind:?}");
    }
    let deep = format!("a: {}{}", "[".repeat(500), "]".repeat(500));
    let bomb: String = (1..12)
        .map(|n| format!("x{n}: &x{n} [{}]\n", vec![format!("*x{}", n - 1); 9].join(", ")))
        .fold("x0: &x0 [a]\n".to_owned(), |text, line| text + &line);
    let long = format!("a: \"{}\"\nport: \"{}\"\n", "x".repeat(3_000_000), "y".repeat(1_000_000));
    let huge = "#".repeat(5 << 20);
    let cases: &[(Kind, &str, &str)] = &[
        (Kind::Config, "port: many", ":1: port: expected "),
        (Kind::Config, "namespaces: {shop: 1}", ":1: namespaces: expected a list of names"),
        (Kind::Config, "namespaces: [../x]", "namespaces: \"../x\" is not a namespace"),
        (Kind::Config, "namespaces: ['a?limit=1']", "namespaces: \"a?limit=1\" is not a namespace"),
        (Kind::Config, "namespaces_denylist: [A]", "namespaces_denylist: \"A\" is not a namespace"),
        (Kind::Config, "port: 1\nport: 2", ":2: port: the key is given twice"),
        (Kind::Config, "- port", ":1: expected a map of keys and values"),
        (Kind::Config, "port", ":1: expected a map of keys and values"),
        (Kind::Config, "port: [1", "a bracket or brace is not closed"),
        (Kind::Config, "port: 'a", "a quotation mark is not closed"),
        (Kind::Config, "a:\n\tport: 1", "a tab in the indentation"),
        (Kind::Config, "port: *x", "the alias has no anchor"),
        (Kind::Config, &deep, "values are nested "),
        (Kind::Config, &bomb, "too many values"),
        (Kind::Config, &long, ":2: port: expected "),
        (Kind::Config, &huge, "larger than the maximum of 4194304 bytes"),
        (Kind::Config, "metric_denylist: ['(']", "metric_denylist: invalid pattern \"(\""),
        (Kind::Custom, "spec: {resources: x}", "spec.resources: expected a list"),
        (Kind::Custom, "spec: x", "spec: expected a map of keys and values"),
        (Kind::Custom, &CUSTOM.replace("nilIsZero: true", "nilIsZero: maybe"), "nilIsZero: expected true or false"),
        (Kind::Custom, &CUSTOM.replace("help: The size.", "help: [a]"), "help: expected text"),
        (Kind::Custom, &bomb, "too many values"),
        (Kind::Custom, &huge, "larger than the maximum of 4194304 bytes"),
        (Kind::Web, "http_server_config: {http2: maybe}", ":1: http_server_config: expected true or false"),
        (Kind::Web, "http_server_config: [a]", "expected a map of keys and values"),
        (Kind::Web, "basic_auth_users: [a]", "expected a map"),
        (Kind::Web, &bomb, "unknown key; expected one of: tls_server_config"),
        (Kind::Web, &huge, "larger than the maximum of 4194304 bytes"),
        (Kind::Kubeconfig, "", "current-context: missing"),
        (Kind::Kubeconfig, "contexts: x", ":1: contexts: expected a list"),
        (Kind::Kubeconfig, "clusters: [{cluster: {}}]", "missing key name"),
        (Kind::Kubeconfig, &huge, "larger than the maximum of 4194304 bytes"),
    ];
    for (kind, text, says) in cases {
        let error = loader.load(*kind, text.as_bytes()).unwrap_or_default();
        if !error.contains(says) {
            loader.unclear.borrow_mut().push(format!("{kind:?}: {error:.600}\n    does not say {says:?}: {text:.80}"));
        }
    }
    loader.finish();
}

#[test]
fn mutated_configurations_are_refused_in_a_sentence() {
    const PIECES: &[&str] = &[
        ":",
        ": ",
        "- ",
        "\n",
        "\n  ",
        "  ",
        "[",
        "]",
        "{",
        "}",
        "'",
        "\"",
        "&a ",
        "*a",
        "!!binary x",
        "!x ",
        "|",
        ">",
        "#",
        "%",
        "\t",
        "null",
        "~",
        "true",
        "-1",
        "1e999",
        ".nan",
        "0x",
        "\u{0}",
        "\u{1b}[2J",
        "\u{202e}",
        "---\n",
        "...\n",
        "<<: ",
        "? ",
        "@",
        "`",
        "99999999999999999999",
        "(.*)*!",
    ];
    let loader = Loader::new();
    let mut refused = 0;
    for (kind, text) in Kind::ALL {
        for round in 0..ROUNDS {
            let mut rng = Rng::with_seed(round);
            let mut content = text.as_bytes().to_vec();
            for _ in 0..rng.usize(1..4) {
                let at = rng.usize(..=content.len());
                let end = rng.usize(at..=content.len().min(at + 12));
                match rng.u8(..6) {
                    0 => content.truncate(at),
                    1 => drop(content.drain(at..end)),
                    2 => content.extend_from_within(at..end),
                    3 if at < content.len() => content[at] ^= 1 << rng.u8(..8),
                    _ => drop(content.splice(at..end, PIECES[rng.usize(..PIECES.len())].bytes())),
                }
            }
            refused += u64::from(loader.load(kind, &content).is_some());
        }
    }
    loader.finish();
    assert!(refused > ROUNDS, "only {refused} of the files are not valid");
}
