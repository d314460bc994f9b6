//! Each room imports only what its head says it may know, and the files of a room do not import from each other in circles.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::modules::Modules;

struct Room {
    name: &'static str,
    /// Rooms of this crate that it may import.
    rooms: &'static [&'static str],
    /// Whether clients, runtimes, clocks and I/O ([`OUTSIDE`]) are forbidden.
    pure: bool,
    /// Further crates that it may not import.
    strangers: &'static [&'static str],
}

/// Forbidden in pure rooms: clients, runtimes, clocks, I/O.
const OUTSIDE: [&str; 7] = ["kube", "tokio", "hyper", "warp", "std::fs", "std::net", "std::time"];

/// Modules that every room may use; pure ones may use neither `file` nor
/// `token_bucket`.
const HELPERS: [&str; 7] = ["backoff", "file", "go", "resource_version", "shown", "sync", "token_bucket"];

const ROOMS: &[Room] = &[
    Room { name: "sharding", rooms: &[], pure: true, strangers: &["k8s_openapi"] },
    Room { name: "exposition", rooms: &["sharding"], pure: true, strangers: &["k8s_openapi"] },
    Room { name: "collectors", rooms: &["exposition"], pure: true, strangers: &["k8s_openapi"] },
    Room { name: "intake", rooms: &["collectors", "sharding"], pure: false, strangers: &["warp", "k8s_openapi"] },
    Room {
        name: "settings",
        rooms: &["collectors", "sharding"],
        pure: false,
        strangers: &["kube", "tokio", "hyper", "warp"],
    },
    Room { name: "access", rooms: &[], pure: false, strangers: &["warp", "hyper", "prometheus_client"] },
    Room { name: "fleet", rooms: &["settings", "sharding"], pure: false, strangers: &["warp", "prometheus_client"] },
    Room {
        name: "server",
        rooms: &["access", "exposition", "fleet", "health", "settings", "sharding", "telemetry"],
        pure: false,
        strangers: &["kube", "k8s_openapi"],
    },
    Room {
        name: "health",
        rooms: &["exposition", "fleet", "intake", "settings"],
        pure: false,
        strangers: &["warp", "hyper", "k8s_openapi", "prometheus_client"],
    },
    Room {
        name: "telemetry",
        rooms: &["exposition", "fleet", "health", "intake", "settings"],
        pure: false,
        strangers: &["warp", "hyper", "k8s_openapi"],
    },
    Room { name: "simulator", rooms: &[], pure: false, strangers: &["prometheus_client"] },
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("a folder of the source can be read").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") && path.file_name().is_none_or(|name| name != "tests.rs")
        {
            // The tests of a room may use other rooms.
            found.push(path);
        }
    }
}

/// Returns the code of a file without comments and without its test module.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    code.lines().filter(|l| !l.trim_start().starts_with("//")).map(|l| format!("{l}\n")).collect()
}

/// Returns the `name` of every path in `code` that begins with `prefix::name`.
fn paths<'a>(code: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(prefix).filter_map(move |(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + prefix.len()..].strip_prefix("::")?;
        let whole = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':');
        whole.then(|| after.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default())
    })
}

#[test]
fn rooms_import_only_what_they_may_know() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut broken = Vec::new();
    for room in ROOMS {
        let mut files = Vec::new();
        let folder = source.join(room.name);
        sources(&folder, &mut files);
        assert!(!files.is_empty(), "room {} has no files", room.name);
        let helpers = HELPERS.into_iter().filter(|helper| !room.pure || !["file", "token_bucket"].contains(helper));
        let allowed: BTreeSet<_> = room.rooms.iter().copied().chain(helpers).chain([room.name]).collect();
        for file in files {
            let code = code(&file);
            let file = file.strip_prefix(&source).expect("below src").display().to_string();
            for used in paths(&code, "crate") {
                if !allowed.contains(used) {
                    broken.push(format!("{file}: {} may not know {used}", room.name));
                }
            }
            for stranger in OUTSIDE.iter().filter(|_| room.pure).chain(room.strangers) {
                if paths(&code, stranger).next().is_some() {
                    broken.push(format!("{file}: {} may not know {stranger}", room.name));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Tests run models of the fleet, so its decisions must not depend on clocks or the network.
#[test]
fn the_decisions_of_a_fleet_are_pure() {
    let fleet = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fleet");
    let mut files: Vec<_> =
        ["record.rs", "coverage.rs", "ledger.rs", "switches.rs"].map(|name| fleet.join(name)).into();
    sources(&fleet.join("handover"), &mut files);
    for file in files {
        let code = code(&file);
        for stranger in OUTSIDE.iter().filter(|name| **name != "std::time").chain(&["tracing", "arc_swap"]) {
            assert_eq!(paths(&code, stranger).next(), None, "{}: {stranger}", file.display());
        }
        let of_time: Vec<_> = paths(&code, "std::time").filter(|name| *name != "Duration").collect();
        assert!(of_time.is_empty(), "{}: {of_time:?}", file.display());
    }
}

#[test]
fn only_telemetry_knows_prometheus_client() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&source, &mut files);
    let others: Vec<_> = files
        .iter()
        .filter(|f| !f.strip_prefix(&source).expect("below src").starts_with("telemetry"))
        .filter(|f| code(f).contains("prometheus_client"))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

/// Files that import from each other can be neither understood nor moved separately.
#[test]
fn no_files_of_a_room_import_from_each_other_in_a_circle() {
    let modules = Modules::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let rooms = modules.rooms();
    assert!(ROOMS.iter().all(|room| rooms.contains(room.name)), "{rooms:?}");
    let circles: Vec<_> = rooms.into_iter().flat_map(|room| modules.circles(room)).collect();
    assert!(circles.is_empty(), "{} circles:\n{}", circles.len(), circles.join("\n"));
}
