//! Prints src/intake/protobuf/tables.rs: the fields of Kubernetes' protobuf messages that the decoder reads.
//!
//! `scripts/gen-fields` compiles and runs it as `tables MESSAGES FIELDS`: MESSAGES is messages.txt beside this file,
//! FIELDS is src/intake/protobuf/fields.txt. It uses only the standard library, so that it also works when tables.rs is
//! missing or broken.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::process::ExitCode;

/// The Rust decoder marks the repeated fields that it has seen in a u64.
const MOST_FIELDS: usize = 64;

/// A field of a message, as messages.txt describes it.
struct Field<'a> {
    number: u32,
    name: &'a str,
    shape: &'a str,
    kind: &'a str,
}

/// What messages.txt says.
#[derive(Default)]
struct Messages<'a> {
    /// The message of each `APIVERSION KIND`.
    kinds: HashMap<&'a str, &'a str>,
    /// The fields of each message, ascending by number.
    fields: HashMap<&'a str, Vec<Field<'a>>>,
}

impl<'a> Messages<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        let mut messages = Self::default();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#')) {
            let broken = || format!("messages, line {number}: cannot be read; run scripts/gen-fields --dump");
            let (head, rest) = line.split_once(':').ok_or_else(broken)?;
            if let Some(kind) = head.strip_prefix("kind ") {
                messages.kinds.insert(kind, rest.trim());
                continue;
            }
            let message = head.strip_prefix("message ").ok_or_else(broken)?;
            let fields = rest.split(';').map(str::trim).filter(|field| !field.is_empty()).map(|field| {
                let words: Vec<&str> = field.split(' ').collect();
                let [number, name, shape, kind] = words[..] else { return Err(broken()) };
                Ok(Field { number: number.parse().map_err(|_| broken())?, name, shape, kind })
            });
            messages.fields.insert(message, fields.collect::<Result<_, _>>()?);
        }
        Ok(messages)
    }

    fn of(&self, message: &str) -> Option<&[Field<'a>]> {
        self.fields.get(message).map(Vec::as_slice)
    }

    /// Whether JSON shows a field called `name` in `message` or in a message inlined into it.
    fn has(&self, message: &str, name: &str) -> bool {
        self.of(message).unwrap_or_default().iter().any(|field| match field.shape {
            "inline" => self.has(field.kind, name),
            _ => field.name == name,
        })
    }
}

/// The part of a message that the listed paths lead into.
#[derive(Clone)]
struct Node<'a> {
    message: &'a str,
    /// By number. A scalar has no node.
    fields: BTreeMap<u32, (&'a Field<'a>, Option<Node<'a>>)>,
    /// The names of the fields of which an element needs one to be read. If there are none, all elements are read.
    needs: Vec<&'a str>,
}

impl<'a> Node<'a> {
    fn new(message: &'a str) -> Self {
        Self { message, fields: BTreeMap::new(), needs: Vec::new() }
    }

    /// Adds the fields on a path; returns the message at its end, or `None` if it ends in a scalar.
    fn walk(&mut self, messages: &'a Messages<'a>, path: &str) -> Result<Option<&mut Self>, String> {
        let mut node = Some(self);
        for name in path.split('.') {
            let inside = node.ok_or_else(|| format!("{path} leads into a scalar"))?;
            node = inside.step(messages, name)?;
        }
        Ok(node)
    }

    /// Adds the field that JSON calls `name`; returns its message, or `None` if it is a scalar.
    fn step(&mut self, messages: &'a Messages<'a>, name: &str) -> Result<Option<&mut Self>, String> {
        let fields = messages.of(self.message).unwrap_or_default();
        if let Some(field) = fields.iter().find(|field| field.shape != "inline" && field.name == name) {
            return self.add(messages, field);
        }
        let inlined = fields.iter().find(|field| field.shape == "inline" && messages.has(field.kind, name));
        let field = inlined.ok_or_else(|| format!("{} has no field {name}", self.message))?;
        let message = self.message;
        match self.add(messages, field)? {
            Some(inner) if messages.of(inner.message).unwrap_or_default().iter().any(|field| field.name == name) => {
                inner.step(messages, name)
            }
            _ => Err(format!("{message}.{name} is inlined twice, which the decoder cannot read")),
        }
    }

    /// Reads an element only if it has the listed field that JSON calls `name`, or another one that is needed.
    fn need(&mut self, name: &'a str) {
        for (field, inner) in self.fields.values_mut() {
            match inner {
                Some(inner) if field.shape == "inline" && inner.fields.values().any(|(field, _)| field.name == name) => {
                    self.needs.push(field.name);
                    inner.need(name);
                }
                _ if field.name == name => self.needs.push(name),
                _ => {}
            }
        }
    }

    /// Returns the listed message at the end of a path.
    fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |node, name| {
            node.fields.values().find(|(field, _)| field.name == name).and_then(|(_, inner)| inner.as_ref())
        })
    }

    fn add(&mut self, messages: &'a Messages<'a>, field: &'a Field<'a>) -> Result<Option<&mut Self>, String> {
        if field.kind.starts_with('?') {
            return Err(format!("{}.{} is a {}, which the decoder cannot read", self.message, field.name, field.kind));
        }
        let inner = || messages.of(field.kind).is_some().then(|| Node::new(field.kind));
        self.fields.entry(field.number).or_insert_with(|| (field, inner()));
        if self.fields.len() > MOST_FIELDS {
            return Err(format!("{}: more than {MOST_FIELDS} fields", self.message));
        }
        Ok(self.fields.get_mut(&field.number).and_then(|(_, node)| node.as_mut()))
    }
}

/// A heading of the list and the fields below it.
struct Root<'a> {
    api_version: &'a str,
    kind: &'a str,
    /// Empty for the list of all fields. `+` is the list with the fields of opt-in families, and `+VIEW` a view of it.
    view: &'a str,
    node: Node<'a>,
}

/// Reads the list of fields.
fn roots<'a>(messages: &'a Messages<'a>, list: &'a str) -> Result<Vec<Root<'a>>, String> {
    let mut roots: Vec<Root<'a>> = Vec::new();
    for (number, line) in (1..).zip(list.lines()) {
        let line = line.split('#').next().unwrap_or_default();
        let failed = |reason: String| format!("fields.txt, line {number}: {reason}");
        if line.trim().is_empty() {
            continue;
        }
        if !line.starts_with(' ') {
            let heading = line.trim();
            let words: Vec<&str> = heading.split(' ').collect();
            let (api_version, kind, view) = match words[..] {
                [api_version, kind] => (api_version, kind, ""),
                [api_version, kind, view] => (api_version, kind, view),
                _ => return Err(failed("a heading is an apiVersion, a kind and perhaps a view or a +".into())),
            };
            let name = format!("{api_version} {kind}");
            let message = messages.kinds.get(&*name).ok_or_else(|| failed(format!("unknown kind {name}")))?;
            if roots.iter().any(|root| (root.api_version, root.kind, root.view) == (api_version, kind, view)) {
                return Err(failed(format!("{heading} is listed twice")));
            }
            roots.push(Root { api_version, kind, view, node: Node::new(message) });
            continue;
        }
        let (prefix, names) = line.split_once(':').unwrap_or(("", line));
        let (root, before) = roots.split_last_mut().ok_or_else(|| failed("a path without a heading".into()))?;
        if names.trim() == "*" {
            // A view of the list with a + takes over its fields, and that list those of the list without.
            let of = if root.view.len() > 1 && root.view.starts_with('+') { "+" } else { "" };
            let all = before.iter().find(|it| (it.api_version, it.kind, it.view) == (root.api_version, root.kind, of));
            let path = prefix.trim();
            let listed = all.and_then(|all| if path.is_empty() { Some(&all.node) } else { all.node.at(path) });
            let listed = listed.ok_or_else(|| failed("`*` copies what the list of all fields has at this path".into()))?;
            let node = if path.is_empty() { Some(&mut root.node) } else { root.node.walk(messages, path).map_err(failed)? };
            if let Some(node) = node {
                *node = listed.clone();
            }
            continue;
        }
        let (prefix, is_need) = match prefix.trim().strip_suffix(" only with") {
            Some(prefix) => (prefix, true),
            None => (prefix.trim(), false),
        };
        for name in names.split_whitespace() {
            let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
            root.node.walk(messages, &path).map_err(failed)?;
            if is_need && let Some(node) = root.node.walk(messages, prefix).map_err(failed)? {
                node.need(name);
            }
        }
    }
    Ok(roots)
}

/// The text of the tables. Equal tables are written once.
#[derive(Default)]
struct Writer {
    text: String,
    /// Names by what the tables hold.
    names: HashMap<String, String>,
}

impl Writer {
    /// Writes a table after those that it refers to, and returns its name.
    fn table(&mut self, node: &Node<'_>, path: &str) -> Result<String, String> {
        let (mut body, mut needs) = (String::new(), 0_u64);
        for (index, (field, inner)) in node.fields.values().enumerate() {
            needs |= u64::from(node.needs.contains(&field.name)) << index;
            let kind = match inner {
                Some(inner) => {
                    let table = self.table(inner, &format!("{path}_{}", screaming(field.name)))?;
                    format!("Message(&{table})")
                }
                None => field.kind.to_owned(),
            };
            let shape = match field.shape {
                "one" => "One",
                "omitempty" => "UnlessEmpty",
                "list" => "Repeated",
                "map" => "Map",
                "inline" => "Inline",
                other => return Err(format!("unknown shape {other}")),
            };
            let Field { number, name, .. } = field;
            // Writing to a String cannot fail.
            let _ = writeln!(
                body,
                "    Field {{ number: {number}, name: {name:?}, kind: Kind::{kind}, shape: Shape::{shape} }},"
            );
        }
        let content = format!("{}\n{needs}\n{body}", node.message);
        if let Some(name) = self.names.get(&content) {
            return Ok(name.clone());
        }
        if self.names.values().any(|taken| taken == path) {
            return Err(format!("two tables are called {path}"));
        }
        self.names.insert(content, path.to_owned());
        let newline = if body.is_empty() { "" } else { "\n" };
        let _ = writeln!(self.text, "static {path}: Table = Table {{ needs: {needs:#b}, fields: &[{newline}{body}] }};\n");
        Ok(path.to_owned())
    }
}

/// `camelCase` as `CAMEL_CASE`.
fn screaming(name: &str) -> String {
    let mut text = String::new();
    let mut before = None;
    for c in name.chars() {
        if c.is_ascii_uppercase() && before.is_some_and(|c: char| !c.is_ascii_uppercase()) {
            text.push('_');
        }
        text.push(c.to_ascii_uppercase());
        before = Some(c);
    }
    text
}

/// The source of tables.rs, before rustfmt.
fn source(messages: &str, list: &str) -> Result<String, String> {
    let messages = Messages::parse(messages)?;
    let mut writer = Writer::default();
    let (mut arms, mut views) = (String::new(), String::new());
    for Root { api_version, kind, view, node } in roots(&messages, list)? {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let _ = if view.is_empty() {
            let table = writer.table(&node, &screaming(kind))?;
            writeln!(arms, "        ({group:?}, {version:?}, {kind:?}) => &{table},")
        } else {
            let (name, more) = view.strip_prefix('+').map_or((view, ""), |name| (name, "__MORE"));
            let of = if name.is_empty() { String::new() } else { format!("__{}", screaming(name)) };
            let table = writer.table(&node, &format!("{}{of}{more}", screaming(kind)))?;
            writeln!(views, "        ({group:?}, {version:?}, {kind:?}, {view:?}) => &{table},")
        };
    }
    let tables = writer.text;
    Ok(format!(
        "//! The fields of Kubernetes' messages that the collectors read. Generated from fields.txt by `scripts/gen-fields`.

use super::table::{{Field, Kind, Shape, Table}};

{tables}/// The table of a kind's message.
pub(super) fn root(group: &str, version: &str, kind: &str) -> Option<&'static Table> {{
    Some(match (group, version, kind) {{
{arms}        _ => return None,
    }})
}}

/// The table of a kind's message with the fields of a view alone.
pub(super) fn view(group: &str, version: &str, kind: &str, view: &str) -> Option<&'static Table> {{
    Some(match (group, version, kind, view) {{
{views}        _ => return None,
    }})
}}
"
    ))
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [messages, fields] = &arguments[..] else { return Err("usage: tables MESSAGES FIELDS".into()) };
    let read = |path: &String| std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"));
    print!("{}", source(&read(messages)?, &read(fields)?)?);
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gen-fields: {error}");
            ExitCode::FAILURE
        }
    }
}
