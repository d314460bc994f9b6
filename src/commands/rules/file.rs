//! Rules in a YAML text: where the text of each expression stands, and how to change it without touching anything else. Knows
//! nothing of PromQL, except that white space between its words has no meaning.

use std::collections::BTreeMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StructureStyle};

/// The maximum depth of values, which protects the stack.
const MAX_DEPTH: usize = 64;

/// A rule.
#[derive(Debug)]
pub(super) struct Rule {
    /// `alert` or `record`, and its name.
    pub name: String,
    /// The line of its expression, from 1.
    pub line: usize,
    pub expression: Source,
    /// The texts of its labels and annotations, by key.
    pub texts: BTreeMap<String, String>,
}

/// A text in a YAML file.
#[derive(Debug)]
pub(super) struct Source {
    /// The text.
    pub text: String,
    /// Its style and place; None for an alias, which has no text of its own.
    place: Option<Place>,
}

#[derive(Clone, Debug)]
struct Place {
    range: Range<usize>,
    style: ScalarStyle,
    /// Whether it stands in braces or brackets, where a comma ends a plain text.
    in_flow: bool,
}

/// Why rules cannot be found.
#[derive(Debug, thiserror::Error)]
pub(in crate::commands) enum FileError {
    /// The text is no YAML.
    #[error("line {}: {}", .0.marker().line(), .0.info())]
    Yaml(Box<ScanError>),
    /// It has too many levels.
    #[error("nested too deeply")]
    TooDeep,
}

/// A value.
enum Node {
    Scalar(Source, usize),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    fn text(&self) -> Option<&str> {
        if let Self::Scalar(source, _) = self { Some(&source.text) } else { None }
    }
}

/// Returns the rules of a file: those below each key `rules`, so that PrometheusRules, lists of them, and values of charts are read
/// as well as rule files.
pub(super) fn rules(text: &str) -> Result<Vec<Rule>, FileError> {
    let mut reader = Reader { text, events: Parser::new_from_str(text), depth: 0, flows: 0 };
    let mut rules = Vec::new();
    while let Some((event, span)) = reader.next()? {
        if let Some(node) = reader.node(event, span)? {
            collect(node, false, &mut rules);
        }
    }
    Ok(rules)
}

/// Adds the rules of a value.
fn collect(node: Node, is_rule: bool, rules: &mut Vec<Rule>) {
    match node {
        Node::Scalar(..) => {}
        Node::List(nodes) => nodes.into_iter().for_each(|node| collect(node, is_rule, rules)),
        Node::Map(entries) if is_rule && entries.iter().any(|(key, _)| key.text() == Some("expr")) => {
            rules.extend(rule(entries));
        }
        Node::Map(entries) => {
            for (key, value) in entries {
                collect(value, key.text() == Some("rules"), rules);
            }
        }
    }
}

fn rule(entries: Vec<(Node, Node)>) -> Option<Rule> {
    let (mut name, mut expression) = ("a rule without a name".to_owned(), None);
    let mut texts = BTreeMap::new();
    for (key, value) in entries {
        match (key.text(), value) {
            (Some("expr"), Node::Scalar(source, line)) => expression = Some((source, line)),
            (Some(kind @ ("alert" | "record")), Node::Scalar(source, _)) => name = format!("{kind} {}", source.text),
            (Some("labels" | "annotations"), Node::Map(entries)) => texts.extend(
                entries.iter().filter_map(|(key, value)| Some((key.text()?.to_owned(), value.text()?.to_owned()))),
            ),
            _ => {}
        }
    }
    let (expression, line) = expression?;
    Some(Rule { name, line, expression, texts })
}

struct Reader<'a> {
    text: &'a str,
    events: Parser<'a, granit_parser::StrInput<'a>>,
    depth: usize,
    /// Number of open braces and brackets.
    flows: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, FileError> {
        self.events.next().transpose().map_err(|error| FileError::Yaml(Box::new(error)))
    }

    /// The node that begins with this event; None if none does.
    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Option<Node>, FileError> {
        let is_flow = matches!(
            event,
            Event::MappingStart(StructureStyle::Flow, ..) | Event::SequenceStart(StructureStyle::Flow, ..)
        );
        self.depth += 1;
        self.flows += usize::from(is_flow);
        if self.depth > MAX_DEPTH {
            return Err(FileError::TooDeep);
        }
        let node = match event {
            Event::Scalar(text, style, ..) => {
                let range = span.byte_range().filter(|range| self.text.get(range.clone()).is_some());
                let place = range.map(|range| Place { range, style, in_flow: self.flows > 0 });
                Some(Node::Scalar(Source { text: text.into_owned(), place }, span.start.line()))
            }
            Event::Alias(_) => Some(Node::Scalar(Source { text: String::new(), place: None }, span.start.line())),
            Event::SequenceStart(..) => Some(Node::List(self.children()?)),
            Event::MappingStart(..) => {
                let mut entries = Vec::new();
                let mut children = self.children()?.into_iter();
                while let (Some(key), Some(value)) = (children.next(), children.next()) {
                    entries.push((key, value));
                }
                Some(Node::Map(entries))
            }
            _ => None,
        };
        self.depth -= 1;
        self.flows -= usize::from(is_flow);
        Ok(node)
    }

    /// The nodes up to the end of a list or map.
    fn children(&mut self) -> Result<Vec<Node>, FileError> {
        let mut nodes = Vec::new();
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::SequenceEnd | Event::MappingEnd) {
                break;
            }
            nodes.extend(self.node(event, span)?);
        }
        Ok(nodes)
    }
}

/// A text as it stands in the file, in which words of PromQL can be found and texts be inserted.
pub(super) struct Written {
    /// The text, without quotes and escapes. White space may differ from that of the value.
    pub text: String,
    /// For each byte of `text`, and its end, the place in the file.
    places: Vec<usize>,
    /// A plain text that has to be quoted if a comma is inserted: its place in the file.
    quoted: Option<Range<usize>>,
}

impl Source {
    /// The text as it stands in the file; None for one that cannot be changed there.
    pub fn written(&self, file: &str) -> Option<Written> {
        let place = self.place.as_ref()?;
        let raw = file.get(place.range.clone())?;
        let start = place.range.start;
        let (text, places) = match place.style {
            ScalarStyle::Plain => verbatim(raw, start),
            ScalarStyle::SingleQuoted => single_quoted(raw.strip_prefix('\'')?.strip_suffix('\'')?, start + 1),
            ScalarStyle::DoubleQuoted => double_quoted(raw.strip_prefix('"')?.strip_suffix('"')?, start + 1)?,
            ScalarStyle::Literal | ScalarStyle::Folded => {
                // The line of the sign is no content, if it is there.
                let header = match raw.starts_with(['|', '>']) {
                    true => raw.find('\n')? + 1,
                    false => 0,
                };
                verbatim(raw.get(header..)?, start + header)
            }
        };
        let quoted = (place.style == ScalarStyle::Plain && place.in_flow).then(|| place.range.clone());
        Some(Written { text, places, quoted })
    }
}

impl Written {
    /// The changes of the file that insert these texts: ranges and their new texts.
    pub fn edits(&self, insertions: &[(usize, String)]) -> Vec<(Range<usize>, String)> {
        let mut edits: Vec<_> =
            insertions.iter().map(|(at, insertion)| (self.places[*at]..self.places[*at], insertion.clone())).collect();
        if let Some(Range { start, end }) = self.quoted.clone().filter(|_| !edits.is_empty()) {
            // A plain text in braces contains no quotes that would have to be doubled, except single ones inside.
            let quotes =
                self.text.match_indices('\'').map(|(at, _)| (self.places[at]..self.places[at], "'".to_owned()));
            edits.extend(quotes);
            edits.sort_by_key(|(range, _)| range.start);
            edits.insert(0, (start..start, "'".to_owned()));
            edits.push((end..end, "'".to_owned()));
        }
        edits
    }
}

fn verbatim(raw: &str, start: usize) -> (String, Vec<usize>) {
    (raw.to_owned(), (start..=start + raw.len()).collect())
}

fn single_quoted(raw: &str, start: usize) -> (String, Vec<usize>) {
    let (mut text, mut places) = (String::new(), Vec::new());
    let mut characters = raw.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == '\'' {
            // The second of two quotes.
            characters.next();
        }
        text.push(character);
        places.extend((0..character.len_utf8()).map(|byte| start + at + byte));
    }
    places.push(start + raw.len());
    (text, places)
}

/// None for escapes that PromQL has no use for.
fn double_quoted(raw: &str, start: usize) -> Option<(String, Vec<usize>)> {
    let (mut text, mut places) = (String::new(), Vec::new());
    let mut characters = raw.char_indices();
    while let Some((at, character)) = characters.next() {
        let value = if character == '\\' {
            match characters.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                // The end of the line is left out.
                '\n' => continue,
                escaped @ ('"' | '\\' | '/' | ' ') => escaped,
                'u' => {
                    let digits: String = characters.by_ref().take(4).map(|(_, digit)| digit).collect();
                    char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
                }
                _ => return None,
            }
        } else {
            character
        };
        text.push(value);
        places.extend(std::iter::repeat_n(start + at, value.len_utf8()));
    }
    places.push(start + raw.len());
    Some((text, places))
}

/// Applies changes of a text. They must not overlap.
pub(super) fn edit(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut result = String::with_capacity(text.len() + edits.len() * 32);
    let mut end = 0;
    for (range, new) in edits {
        result.push_str(&text[end..range.start]);
        result.push_str(&new);
        end = range.end;
    }
    result.push_str(&text[end..]);
    result
}
