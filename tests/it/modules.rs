//! The modules of the crate and their imports of each other, read from the source text. Code under `#[cfg(test)]` is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module as the names below the crate: `["fleet", "record"]`, and none for the crate itself.
pub type Name = Vec<String>;

/// The modules of the crate.
#[derive(Default)]
pub struct Modules {
    files: BTreeMap<Name, File>,
}

/// What one file says. Its inline modules count as the file.
#[derive(Default)]
struct File {
    path: PathBuf,
    /// What each imported name stands for.
    bindings: BTreeMap<String, Name>,
    /// Modules of which everything is imported.
    globs: Vec<Name>,
    /// The names that the file defines.
    definitions: BTreeSet<String>,
    /// Every path in the file but those of re-exports.
    used: Vec<Name>,
}

impl Modules {
    /// Reads the crate whose root file is `lib.rs` of `source`.
    pub fn read(source: &Path) -> Self {
        let mut modules = Self::default();
        modules.load(source, &source.join("lib.rs"), Name::new());
        modules
    }

    fn load(&mut self, source: &Path, path: &Path, name: Name) {
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (mut file, children) = Parser::new(&text).parse();
        file.path = path.strip_prefix(source).expect("below the source").to_owned();
        self.files.insert(name.clone(), file);
        for child in children {
            let child = extend(&name, [child]);
            let folder = source.join(child.join("/"));
            let flat = folder.with_extension("rs");
            let path = if flat.exists() { flat } else { folder.join("mod.rs") };
            self.load(source, &path, child);
        }
    }

    /// The folders of the source, each of which is a room.
    pub fn rooms(&self) -> BTreeSet<&str> {
        let folders = self.files.values().filter(|file| file.path.components().count() > 1);
        folders.filter_map(|file| file.path.iter().next()?.to_str()).collect()
    }

    /// The groups of files of `room` in which each file needs all others: `a.rs` imports from `b.rs`, and `b.rs`, maybe by
    /// way of further files, from `a.rs`. A line for each group, with its imports.
    pub fn circles(&self, room: &str) -> Vec<String> {
        let members: BTreeSet<_> = self.files.keys().filter(|name| name.first().is_some_and(|n| n == room)).collect();
        let mut edges: BTreeMap<&Name, BTreeMap<&Name, BTreeSet<String>>> = BTreeMap::new();
        for &from in &members {
            let uses = self.files[from].used.iter().filter_map(|path| self.resolve(from, path, 0));
            for (to, item) in uses.filter(|(to, _)| *to != from && members.contains(to)) {
                edges.entry(from).or_default().entry(to).or_default().insert(item);
            }
        }
        let mut reachable: BTreeMap<&Name, BTreeSet<&Name>> = BTreeMap::new();
        for &from in &members {
            let (mut found, mut open) = (BTreeSet::new(), vec![from]);
            while let Some(at) = open.pop() {
                open.extend(edges.get(at).into_iter().flat_map(|to| to.keys().copied()).filter(|to| found.insert(*to)));
            }
            reachable.insert(from, found);
        }
        let mut groups: BTreeSet<BTreeSet<&Name>> = BTreeSet::new();
        for &from in &members {
            let group = reachable[from].iter().copied().filter(|to| reachable[to].contains(from)).collect();
            groups.insert(group);
        }
        groups.retain(|group| !group.is_empty());
        let describe = |group: BTreeSet<&Name>| {
            let file = |name: &Name| self.files[name].path.display().to_string();
            let mut text = group.iter().map(|name| file(name)).collect::<Vec<_>>().join(" ");
            for (&from, to) in edges.iter().filter(|(from, _)| group.contains(*from)) {
                for (&to, items) in to.iter().filter(|(to, _)| group.contains(*to)) {
                    let items = items.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                    text += &format!("\n    {} imports {items} from {}", file(from), file(to));
                }
            }
            text
        };
        groups.into_iter().map(describe).collect()
    }

    /// The module that defines the item to which `path` leads in module `from`, and the item. Re-exports are followed. None
    /// for other crates, modules and names that the file defines itself.
    fn resolve(&self, from: &Name, path: &[String], depth: u32) -> Option<(&Name, String)> {
        let mut rest = path;
        let mut at = from.clone();
        match path.first()?.as_str() {
            "crate" => {
                at.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            _ => {}
        }
        while let [first, tail @ ..] = rest
            && first == "super"
        {
            at.pop();
            rest = tail;
        }
        let is_relative = rest.len() == path.len();
        while let [first, tail @ ..] = rest {
            let child = extend(&at, [first.clone()]);
            if self.files.contains_key(&child) {
                (at, rest) = (child, tail);
                continue;
            }
            let file = &self.files[&at];
            // A circle of bindings is none that compiles, but names of other crates may look like one.
            if depth < 16 && !file.definitions.contains(first) {
                if let Some(bound) = file.bindings.get(first).filter(|bound| bound.as_slice() != path) {
                    return self.resolve(&at, &extend(bound, tail.iter().cloned()), depth + 1);
                }
                let by_glob = |glob: &Name| self.resolve(&at, &extend(glob, rest.iter().cloned()), depth + 1);
                if let Some(found) = file.globs.iter().filter_map(by_glob).find(|(to, item)| self.defines(to, item)) {
                    return Some(found);
                }
            }
            if is_relative && at == *from {
                return None;
            }
            let (name, _) = self.files.get_key_value(&at)?;
            return Some((name, first.clone()));
        }
        None
    }

    fn defines(&self, module: &Name, item: &str) -> bool {
        self.files[module].definitions.contains(item)
    }
}

fn extend(name: &Name, more: impl IntoIterator<Item = String>) -> Name {
    name.iter().cloned().chain(more).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    /// `::`
    Sep,
    Other(char),
}

/// The tokens of `text` without comments, literals and lifetimes.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        } else if rest.starts_with("/*") {
            rest = rest.split_once("*/").map_or("", |(_, rest)| rest);
        } else if let Some(string) = raw_string(rest) {
            rest = string;
        } else if word > 0 {
            tokens.push(Token::Word(&rest[..word]));
            rest = &rest[word..];
        } else if c == '"' {
            rest = after_quote(&rest[1..], '"');
        } else if c == '\'' {
            // A lifetime is a word without a quote behind it.
            let behind = &rest[1..];
            let name = behind.find(|c| !is_word(c)).unwrap_or(behind.len());
            let is_lifetime = name > 0 && !behind[name..].starts_with('\'');
            rest = if is_lifetime { &behind[name..] } else { after_quote(behind, '\'') };
        } else if let Some(behind) = rest.strip_prefix("::") {
            tokens.push(Token::Sep);
            rest = behind;
        } else {
            if !c.is_whitespace() {
                tokens.push(Token::Other(c));
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    tokens
}

/// What follows the raw string with which `text` begins.
fn raw_string(text: &str) -> Option<&str> {
    let behind = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let quote = behind.find(|c| c != '#')?;
    let body = behind[quote..].strip_prefix('"')?;
    body.split_once(&format!("\"{}", &behind[..quote])).map(|(_, rest)| rest)
}

fn after_quote(text: &str, quote: char) -> &str {
    let mut escaped = false;
    let end = text.char_indices().find(|(_, c)| {
        let ends = *c == quote && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or("", |(at, _)| &text[at + 1..])
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    file: File,
    children: Vec<String>,
    /// How deep in braces the inline modules around begin.
    inline: Vec<usize>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self { tokens: tokens(text), at: 0, file: File::default(), children: Vec::new(), inline: Vec::new(), depth: 0 }
    }

    fn peek(&self, ahead: usize) -> Option<Token<'a>> {
        self.tokens.get(self.at + ahead).copied()
    }

    fn starts_with(&self, tokens: &[Token<'_>]) -> bool {
        self.tokens[self.at..].starts_with(tokens)
    }

    fn parse(mut self) -> (File, Vec<String>) {
        use Token::{Other, Sep, Word};
        let test = [Other('#'), Other('['), Word("cfg"), Other('('), Word("test"), Other(')'), Other(']')];
        let mut is_public = false;
        while let Some(token) = self.peek(0) {
            if self.starts_with(&test) {
                self.at += test.len();
                self.skip_item();
                continue;
            }
            match (token, self.peek(1), self.peek(2)) {
                (Word("mod"), Some(Word(name)), Some(Other(';'))) => {
                    self.children.push(name.to_owned());
                    self.at += 3;
                }
                (Word("mod"), Some(Word(_)), Some(Other('{'))) => {
                    self.inline.push(self.depth);
                    self.depth += 1;
                    self.at += 3;
                }
                (Word("use"), ..) => {
                    self.at += 1;
                    self.use_tree(Name::new(), is_public);
                }
                // A visibility imports nothing.
                (Word("pub"), Some(Other('(')), _) => {
                    while self.peek(0).is_some_and(|token| token != Other(')')) {
                        self.at += 1;
                    }
                    self.at += 1;
                    is_public = true;
                    continue;
                }
                (Word("pub"), ..) => {
                    self.at += 1;
                    is_public = true;
                    continue;
                }
                (
                    Word("struct" | "enum" | "union" | "fn" | "trait" | "type" | "const" | "static"),
                    Some(Word(_)),
                    _,
                ) => {
                    self.at += 1;
                    while matches!(self.peek(0), Some(Word("fn" | "mut" | "unsafe" | "extern"))) {
                        self.at += 1;
                    }
                    if let Some(Word(name)) = self.peek(0) {
                        self.file.definitions.insert(name.to_owned());
                        self.at += 1;
                    }
                }
                (Word(_), Some(Sep), _) => {
                    let path = self.path();
                    let path = self.outer(path);
                    self.file.used.push(path);
                }
                // The rest of a path whose beginning is a type.
                (Sep, Some(Word(_)), _) => self.at += 2,
                (Other('{'), ..) => {
                    self.depth += 1;
                    self.at += 1;
                }
                (Other('}'), ..) => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.inline.last() == Some(&self.depth) {
                        self.inline.pop();
                    }
                    self.at += 1;
                }
                _ => self.at += 1,
            }
            is_public = false;
        }
        (self.file, self.children)
    }

    fn path(&mut self) -> Name {
        let mut path = Name::new();
        while let Some(Token::Word(word)) = self.peek(0) {
            path.push(word.to_owned());
            self.at += 1;
            match (self.peek(0), self.peek(1)) {
                (Some(Token::Sep), Some(Token::Word(_))) => self.at += 1,
                _ => break,
            }
        }
        path
    }

    /// `path` of an inline module as a path of the file.
    fn outer(&self, mut path: Name) -> Name {
        let supers = path.iter().take_while(|segment| *segment == "super").count();
        let inner = supers.min(self.inline.len());
        path.drain(..inner);
        if inner > 0 && supers == inner {
            path.insert(0, "self".to_owned());
        }
        path
    }

    /// Reads one `use` after the word itself, or one branch of its braces.
    fn use_tree(&mut self, prefix: Name, is_public: bool) {
        use Token::{Other, Sep, Word};
        if self.peek(0) == Some(Sep) {
            self.at += 1;
        }
        let mut path = prefix;
        path.extend(self.path());
        if self.peek(0) == Some(Sep) {
            self.at += 1;
        }
        match self.peek(0) {
            Some(Other('{')) => {
                self.at += 1;
                while self.peek(0).is_some_and(|token| token != Other('}')) {
                    self.use_tree(path.clone(), is_public);
                    if self.peek(0) == Some(Other(',')) {
                        self.at += 1;
                    }
                }
                self.at += 1;
            }
            Some(Other('*')) => {
                self.at += 1;
                let path = self.outer(path);
                self.file.globs.push(path);
            }
            next => {
                if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                    path.pop();
                }
                let path = self.outer(path);
                let mut name = path.last().cloned().unwrap_or_default();
                if next == Some(Word("as"))
                    && let Some(Word(other)) = self.peek(1)
                {
                    name = other.to_owned();
                    self.at += 2;
                }
                if !is_public {
                    self.file.used.push(path.clone());
                }
                self.file.bindings.insert(name, path);
            }
        }
    }

    /// Skips the item behind an attribute.
    fn skip_item(&mut self) {
        let mut depth = 0_u32;
        while let Some(token) = self.peek(0) {
            self.at += 1;
            match token {
                Token::Other('{' | '(' | '[') => depth += 1,
                Token::Other(c @ ('}' | ')' | ']')) => {
                    depth -= 1;
                    if depth == 0 && c == '}' {
                        return;
                    }
                }
                Token::Other(';') if depth == 0 => return,
                _ => {}
            }
        }
    }
}

/// The circles of the room `r` of a crate with these files.
fn circles(files: &[(&str, &str)]) -> Vec<String> {
    let source = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = source.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below the source")).expect("a folder");
        std::fs::write(path, text).expect("written");
    }
    Modules::read(source.path()).circles("r")
}

#[test]
fn a_circle_is_found_through_re_exports_and_paths() {
    let found = circles(&[
        ("lib.rs", "mod r;"),
        ("r/mod.rs", "pub mod a; mod b; mod c;\npub use b::{B, other as OTHER};"),
        ("r/a.rs", "use super::B;\n#[cfg(test)]\nmod tests { use super::super::c::C; }"),
        (
            "r/b.rs",
            "mod inner { use super::super::c; fn f() -> c::C<'static> { 'b'; r#\"super::a::A\"# } }\npub struct B;",
        ),
        ("r/c.rs", "// crate::r::b::B\npub struct C(crate::r::a::A);"),
    ]);
    let wanted = "r/a.rs r/b.rs r/c.rs\n    r/a.rs imports B from r/b.rs\n    r/b.rs imports C from r/c.rs\n    \
                  r/c.rs imports A from r/a.rs";
    assert_eq!(found, [wanted]);
}

#[test]
fn a_parent_that_only_re_exports_is_in_no_circle() {
    let parent = |text: &'static str| {
        circles(&[("lib.rs", "mod r;"), ("r/mod.rs", text), ("r/a.rs", "use super::Parent;\npub(super) struct A;")])
    };
    assert_eq!(parent("mod a;\npub use a::A;\npub struct Parent;"), [""; 0]);
    assert_eq!(parent("mod a;\nuse a::A;\npub struct Parent(A);").len(), 1);
}
