//! Prints src/intake/protobuf/tables.rs, the fields of Kubernetes' protobuf messages that the decoder reads, or
//! src/collectors/objects/types.rs, the types that hold these fields.
//!
//! `scripts/gen-fields` compiles and runs it as `tables MESSAGES FIELDS tables|types`: MESSAGES is messages.txt beside this file,
//! FIELDS is src/intake/protobuf/fields.txt. It uses only the standard library, so that it also works when its output is
//! missing or broken.
//!
//! A message has one type for all lists that name it, with the fields of all of them. The messages that JSON writes into their parent
//! have no type: their fields are those of the parent. A slot is the number of a field in its type.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::process::ExitCode;

/// The Rust decoder marks the maps that it has seen in a u64.
const MOST_FIELDS: usize = 64;

/// A slot is a u8.
const MOST_SLOTS: usize = 256;

/// A field of a message, as messages.txt describes it.
struct Field<'a> {
    number: u32,
    name: &'a str,
    shape: &'a str,
    kind: &'a str,
    /// Whether JSON always has the field.
    required: bool,
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
                let (shape, required) = shape.strip_suffix('!').map_or((shape, false), |shape| (shape, true));
                Ok(Field { number: number.parse().map_err(|_| broken())?, name, shape, kind, required })
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
                Some(inner)
                    if field.shape == "inline" && inner.fields.values().any(|(field, _)| field.name == name) =>
                {
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
            let listed =
                listed.ok_or_else(|| failed("`*` copies what the list of all fields has at this path".into()))?;
            let node =
                if path.is_empty() { Some(&mut root.node) } else { root.node.walk(messages, path).map_err(failed)? };
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

/// The number of an inlined message in its parent, and of a field in it; `None` for a field of the parent itself.
type Place = (Option<u32>, u32);

/// The types of the messages.
#[derive(Default)]
struct Types<'a> {
    /// The listed fields of each message, those of inlined messages included.
    fields: BTreeMap<&'a str, BTreeMap<Place, &'a Field<'a>>>,
}

impl<'a> Types<'a> {
    fn of(roots: &[Root<'a>]) -> Result<Self, String> {
        let mut types = Self::default();
        roots.iter().for_each(|root| types.add(&root.node, root.node.message, None));
        match types.fields.iter().find(|(_, fields)| fields.len() > MOST_SLOTS) {
            Some((message, _)) => Err(format!("{message}: more than {MOST_SLOTS} fields")),
            None => Ok(types),
        }
    }

    /// Adds the fields of a node to a message, which is another one if `inlined` is the number of the node in it.
    fn add(&mut self, node: &Node<'a>, message: &'a str, inlined: Option<u32>) {
        self.fields.entry(message).or_default();
        for (field, inner) in node.fields.values() {
            match inner {
                Some(inner) if field.shape == "inline" => self.add(inner, message, Some(field.number)),
                _ => {
                    self.fields.entry(message).or_default().insert((inlined, field.number), field);
                    inner.iter().for_each(|inner| self.add(inner, inner.message, None));
                }
            }
        }
    }

    /// Returns the slot of a field of a message. Inlined messages themselves have none, and their slot is not read.
    fn slot(&self, message: &str, place: Place) -> usize {
        self.fields.get(message).and_then(|fields| fields.keys().position(|known| *known == place)).unwrap_or(0)
    }

    /// Returns the name of the type of a message: its own, after that of its group if a core type has the same name.
    fn name(&self, message: &str) -> String {
        let (group, name) = message
            .split_once("/v")
            .and_then(|(group, rest)| Some((group, rest.split_once('.')?.1)))
            .unwrap_or(("", message));
        let taken = group != "core" && self.fields.contains_key(&*format!("core/v1.{name}"));
        let (first, rest) = group.split_at(usize::from(taken));
        let prefix = if taken { first.to_ascii_uppercase() + rest } else { String::new() };
        prefix + name
    }

    /// Whether a value of this kind borrows from the encoded object.
    fn borrows(&self, kind: &str) -> bool {
        match self.fields.get(kind) {
            Some(fields) => fields.values().any(|field| field.shape == "map" || self.borrows(field.kind)),
            None => matches!(kind, "String" | "Bytes" | "Quantity" | "IntOrString"),
        }
    }

    /// Returns the type of a message, with its lifetime.
    fn message(&self, message: &str) -> String {
        self.name(message) + if self.borrows(message) { "<'a>" } else { "" }
    }

    fn field(&self, field: &Field<'_>) -> String {
        let kind = match field.kind {
            "Bool" => "bool".to_owned(),
            "Int" => "i64".to_owned(),
            "Int32" => "i32".to_owned(),
            "String" => "Cow<'a, str>".to_owned(),
            "Bytes" => "ByteString<'a>".to_owned(),
            kind @ ("Time" | "MicroTime") => kind.to_owned(),
            kind @ ("Quantity" | "IntOrString") => format!("{kind}<'a>"),
            message => self.message(message),
        };
        let whole = match field.shape {
            "list" => format!("Vec<{kind}>"),
            "map" => format!("Map<'a, {kind}>"),
            _ => kind,
        };
        // The metadata of an object is no pointer and not required, but all objects have some.
        if field.required || field.kind == "meta/v1.ObjectMeta" { whole } else { format!("Option<{whole}>") }
    }

    /// Returns the source of types.rs. The macros are in mod.rs beside it.
    fn source(&self, roots: &[Root<'a>]) -> String {
        let mut text = "//! The fields of Kubernetes' messages that the collectors read, as types. Generated from src/intake/protobuf/fields.txt by
//! `scripts/gen-fields`. A line is a field, its type, its slot in the tables of the decoder, and its name in JSON.

use std::borrow::Cow;

use super::macros::{objects, views};
use super::scalars::{ByteString, IntOrString, Map, MicroTime, Quantity, Time};

views! {
"
        .to_owned();
        for (message, fields) in &self.fields {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} = {message:?} {{", self.message(message));
            for (slot, field) in fields.values().enumerate() {
                let Field { name, .. } = field;
                let _ = writeln!(text, "    {}: {} = {slot} {name:?},", rust_name(name), self.field(field));
            }
            text.push_str("}\n");
        }
        text.push_str("}\n\nobjects! {\n");
        let objects: BTreeSet<_> = roots.iter().map(|root| self.name(root.node.message)).collect();
        for object in objects {
            let _ = writeln!(text, "{object},");
        }
        text + "}\n"
    }
}

/// Returns the name of a field in Rust, as in k8s-openapi.
fn rust_name(name: &str) -> String {
    let name = screaming(name).to_ascii_lowercase();
    if matches!(&*name, "type" | "ref" | "continue" | "match") { name + "_" } else { name }
}

/// The text of the tables. Equal tables are written once.
struct Writer<'a> {
    types: &'a Types<'a>,
    text: String,
    /// Names by what the tables hold.
    names: HashMap<String, String>,
}

impl Writer<'_> {
    /// Writes a table after those that it refers to, and returns its name. `inlined`: the message that has the fields, and the
    /// number of the node in it.
    fn table(&mut self, node: &Node<'_>, path: &str, inlined: Option<(&str, u32)>) -> Result<String, String> {
        let (mut body, mut needs) = (String::new(), 0_u64);
        let (message, outer) = inlined.map_or((node.message, None), |(message, number)| (message, Some(number)));
        for (index, (field, inner)) in node.fields.values().enumerate() {
            needs |= u64::from(node.needs.contains(&field.name)) << index;
            let kind = match inner {
                Some(inner) => {
                    let inlined = (field.shape == "inline").then_some((node.message, field.number));
                    let table = self.table(inner, &format!("{path}_{}", screaming(field.name)), inlined)?;
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
            let slot = self.types.slot(message, (outer, *number));
            // Writing to a String cannot fail.
            let _ = writeln!(
                body,
                "    Field {{ number: {number}, name: {name:?}, kind: Kind::{kind}, shape: Shape::{shape}, slot: {slot} }},"
            );
        }
        let content = format!("{message} {}\n{needs}\n{body}", node.message);
        if let Some(name) = self.names.get(&content) {
            return Ok(name.clone());
        }
        if self.names.values().any(|taken| taken == path) {
            return Err(format!("two tables are called {path}"));
        }
        self.names.insert(content, path.to_owned());
        let newline = if body.is_empty() { "" } else { "\n" };
        let _ =
            writeln!(self.text, "static {path}: Table = Table {{ needs: {needs:#b}, fields: &[{newline}{body}] }};\n");
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
fn source(types: &Types<'_>, roots: &[Root<'_>]) -> Result<String, String> {
    let mut writer = Writer { types, text: String::new(), names: HashMap::new() };
    let (mut arms, mut views) = (String::new(), String::new());
    for Root { api_version, kind, view, node } in roots {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let _ = if view.is_empty() {
            let table = writer.table(node, &screaming(kind), None)?;
            writeln!(arms, "        ({group:?}, {version:?}, {kind:?}) => &{table},")
        } else {
            let (name, more) = view.strip_prefix('+').map_or((*view, ""), |name| (name, "__MORE"));
            let of = if name.is_empty() { String::new() } else { format!("__{}", screaming(name)) };
            let table = writer.table(node, &format!("{}{of}{more}", screaming(kind)), None)?;
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
    let [messages, fields, what] = &arguments[..] else {
        return Err("usage: tables MESSAGES FIELDS tables|types".into());
    };
    let read = |path: &String| std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"));
    let (messages, list) = (read(messages)?, read(fields)?);
    let messages = Messages::parse(&messages)?;
    let roots = roots(&messages, &list)?;
    let types = Types::of(&roots)?;
    print!("{}", if what == "types" { types.source(&roots) } else { source(&types, &roots)? });
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
