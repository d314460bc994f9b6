//! ECMAScript patterns that match in bounded time.
//!
//! kube-state-metrics matches the names of families with ECMAScript patterns by backtracking, which can take years for a short
//! name: `(.*)*!`. Here `regress` only decides whether a pattern is valid. The pattern is then translated: one without
//! look-around and references matches in linear time (`regex`). Others match by backtracking with a limit of steps
//! (`fancy-regex`), which the settings check when they are loaded, since all names are known then.
//!
//! Whether a pattern matches anywhere depends neither on greediness nor on the order of alternatives, so the translation keeps
//! the answers. It writes every literal as a number and every class out, so no syntax of the other engines can slip in.

use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

/// The maximum length of a pattern in bytes: more than all families with their names written out.
const MAX_BYTES: usize = 64 << 10;
/// The maximum depth of groups, which protects the stack of the parsers.
const MAX_DEPTH: usize = 64;
/// The maximum number of steps back for one name. A pattern for a name of 60 letters needs less than a hundred.
const MAX_STEPS: usize = 20_000;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// Linear in the length of the name.
    Regular(regex::Regex),
    /// Limited to [`MAX_STEPS`].
    Backtracking(Box<fancy_regex::Regex>),
}

/// A name needs too many steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManySteps;

impl Pattern {
    /// Compiles an ECMAScript pattern.
    ///
    /// # Errors
    /// The pattern is not valid, or uses a construct that cannot be matched in bounded time. Returns the reason.
    pub fn new(pattern: &str) -> Result<Self, String> {
        if pattern.len() > MAX_BYTES {
            return Err(format!("longer than {MAX_BYTES} bytes"));
        }
        let groups = Groups::of(pattern)?;
        regress::Regex::new(pattern).map_err(|error| error.to_string())?;
        let mut translation = Translation::of(pattern);
        translation.run(&groups)?;
        let Translation { out, backtracks, refers, hides_groups, .. } = translation;
        if refers && hides_groups {
            return Err(
                "references beside look-behind, negative look-ahead or repeated groups are not supported".to_owned()
            );
        }
        if backtracks {
            let compiled = fancy_regex::RegexBuilder::new(&out).backtrack_limit(MAX_STEPS).build();
            compiled.map(|pattern| Self::Backtracking(Box::new(pattern))).map_err(|error| last_line(&error))
        } else {
            regex::Regex::new(&out).map(Self::Regular).map_err(|error| last_line(&error))
        }
    }

    /// Whether it matches anywhere in `name`.
    ///
    /// # Errors
    /// The name needs too many steps.
    pub fn matches(&self, name: &str) -> Result<bool, TooManySteps> {
        match self {
            Self::Regular(pattern) => Ok(pattern.is_match(name)),
            // NB: the only error at run time is the limit.
            Self::Backtracking(pattern) => pattern.is_match(name).map_err(|_| TooManySteps),
        }
    }
}

/// Returns the reason of an error. The engines draw the pattern over several lines; the last line is the reason.
pub(super) fn last_line(error: &impl ToString) -> String {
    error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// The capturing groups of a pattern: the name of each, if it has one.
struct Groups(Vec<Option<String>>);

impl Groups {
    /// Finds the groups without parsing the rest, and checks their depth.
    fn of(pattern: &str) -> Result<Self, String> {
        let mut groups = Vec::new();
        let (mut depth, mut in_class) = (0_usize, false);
        let mut rest = pattern.chars();
        while let Some(c) = rest.next() {
            match c {
                '\\' => drop(rest.next()),
                '[' => in_class = true,
                ']' => in_class = false,
                '(' if !in_class => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(format!("groups are nested deeper than {MAX_DEPTH} levels"));
                    }
                    match rest.as_str().strip_prefix('?') {
                        None => groups.push(None),
                        Some(kind) => {
                            let name = kind.strip_prefix('<').filter(|name| !name.starts_with(['=', '!']));
                            let name = name.and_then(|name| name.split_once('>'));
                            groups.extend(name.map(|(name, _)| Some(name.to_owned())));
                        }
                    }
                }
                ')' if !in_class => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        Ok(Self(groups))
    }

    fn number(&self, name: &str) -> Option<usize> {
        Some(self.0.iter().position(|group| group.as_deref() == Some(name))? + 1)
    }

    fn has_names(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }
}

/// An atom of a class or of the pattern.
enum Atom {
    Literal(u32),
    /// The inside of a class, for example `0-9`.
    Set(&'static str),
    /// The inside of a negated class.
    NotSet(&'static str),
}

const DIGITS: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
const SPACE: &str = r"\x{9}-\x{d}\x{20}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}";
const LINE_ENDS: &str = r"\x{a}\x{d}\x{2028}\x{2029}";

/// Translates a valid ECMAScript pattern (<https://tc39.es/ecma262/#sec-patterns>, with Annex B.1.2, without flags).
struct Translation<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    backtracks: bool,
    /// Whether it has a reference to a group.
    refers: bool,
    /// Whether it has a construct after which the engines remember different texts of groups: ECMAScript reads a look-behind
    /// from its end, and forgets the groups inside a repetition with each turn and inside a negative look-ahead.
    hides_groups: bool,
}

impl<'a> Translation<'a> {
    fn of(pattern: &'a str) -> Self {
        let rest = pattern.chars().peekable();
        Self { rest, out: String::new(), backtracks: false, refers: false, hides_groups: false }
    }

    fn run(&mut self, groups: &Groups) -> Result<(), String> {
        while let Some(c) = self.rest.next() {
            match c {
                ')' => {
                    self.hides_groups |= self.rest.peek().is_some_and(|next| matches!(next, '*' | '+' | '?' | '{'));
                    self.out.push(c);
                }
                '|' | '*' | '+' | '?' => self.out.push(c),
                '^' => self.out.push_str(r"(?:\A)"),
                '$' => self.out.push_str(r"(?:\z)"),
                '.' => self.set(LINE_ENDS, true),
                '(' => self.group()?,
                '[' => self.class()?,
                '{' => match self.counts() {
                    Some(counts) => self.out.push_str(&counts),
                    None => self.literal('{'.into()),
                },
                '\\' => self.escape(groups)?,
                literal => self.literal(literal.into()),
            }
        }
        Ok(())
    }

    /// Writes a character. NB: as a number, which no engine takes for syntax.
    fn literal(&mut self, code: u32) {
        match char::from_u32(code) {
            Some(c) if c.is_ascii_alphanumeric() || c == '_' => self.out.push(c),
            // Writing to a string cannot fail. A lone surrogate is in no name.
            Some(c) => drop(write!(self.out, "\\x{{{:x}}}", u32::from(c))),
            None => self.set(r"\x{0}-\x{10ffff}", true),
        }
    }

    fn set(&mut self, inside: &str, negated: bool) {
        let not = if negated { "^" } else { "" };
        // As above.
        let _ = write!(self.out, "[{not}{inside}]");
    }

    fn atom(&mut self, atom: &Atom) {
        match atom {
            Atom::Literal(code) => self.literal(*code),
            Atom::Set(inside) => self.set(inside, false),
            Atom::NotSet(inside) => self.set(inside, true),
        }
    }

    fn group(&mut self) -> Result<(), String> {
        if self.rest.next_if_eq(&'?').is_none() {
            self.out.push('(');
            return Ok(());
        }
        match self.rest.next() {
            Some(':') => self.out.push_str("(?:"),
            Some(kind @ ('=' | '!')) => {
                self.backtracks = true;
                self.hides_groups |= kind == '!';
                self.out.extend(['(', '?', kind]);
            }
            Some('<') => match self.rest.next_if(|c| matches!(c, '=' | '!')) {
                Some(kind) => {
                    self.backtracks = true;
                    self.hides_groups = true;
                    self.out.extend(['(', '?', '<', kind]);
                }
                None => {
                    // A reference by name becomes one by number.
                    self.rest.by_ref().find(|c| *c == '>');
                    self.out.push('(');
                }
            },
            _ => return Err("modifiers of a group, as in (?i:...), are not supported".to_owned()),
        }
        Ok(())
    }

    /// Reads the rest of `{n}`, `{n,}` or `{n,m}`. Anything else after the brace leaves it a literal.
    fn counts(&mut self) -> Option<String> {
        let mut ahead = self.rest.clone();
        let mut counts = String::from("{");
        let (mut digits, mut commas) = (0, 0);
        loop {
            let c = ahead.next()?;
            counts.push(c);
            match c {
                '0'..='9' => digits += 1,
                ',' if digits > 0 && commas == 0 => commas += 1,
                '}' if digits > 0 => break,
                _ => return None,
            }
        }
        self.rest = ahead;
        Some(counts)
    }

    fn class(&mut self) -> Result<(), String> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut atoms = Vec::new();
        loop {
            match self.rest.next() {
                None => return Err("a class without its closing bracket".to_owned()),
                Some(']') => break,
                Some('\\') => atoms.push((self.class_escape()?, false)),
                Some('-') => atoms.push((Atom::Literal('-'.into()), true)),
                Some(c) => atoms.push((Atom::Literal(c.into()), false)),
            }
        }
        if atoms.is_empty() {
            // `[]` matches nothing, and `[^]` everything.
            self.set(r"\x{0}-\x{10ffff}", !negated);
            return Ok(());
        }
        self.out.push_str(if negated { "[^" } else { "[" });
        let mut atoms = atoms.as_slice();
        while let Some(((first, _), rest)) = atoms.split_first() {
            match (first, rest) {
                (Atom::Literal(from), [(_, true), (Atom::Literal(to), _), rest @ ..]) => {
                    self.literal(*from);
                    self.out.push('-');
                    self.literal(*to);
                    atoms = rest;
                }
                _ => {
                    self.atom(first);
                    atoms = rest;
                }
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn class_escape(&mut self) -> Result<Atom, String> {
        if self.rest.next_if_eq(&'b').is_some() {
            return Ok(Atom::Literal(8));
        }
        self.character_escape()
    }

    fn escape(&mut self, groups: &Groups) -> Result<(), String> {
        if let Some(c) = self.rest.next_if(|c| matches!(c, 'b' | 'B')) {
            // NB: in a group, since an assertion may be repeated.
            self.out.push_str(if c == 'b' { r"(?:\b)" } else { r"(?:\B)" });
            return Ok(());
        }
        let group = match self.rest.peek() {
            Some('1'..='9') => {
                let mut digits = String::new();
                while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
                digits.parse().ok().filter(|number| *number <= groups.0.len())
            }
            Some('k') if groups.has_names() => {
                let name: String = self.rest.by_ref().skip(2).take_while(|c| *c != '>').collect();
                groups.number(&name)
            }
            _ => {
                let atom = self.character_escape()?;
                self.atom(&atom);
                return Ok(());
            }
        };
        let group = group.ok_or("octal escapes and references to missing groups are not supported")?;
        self.backtracks = true;
        self.refers = true;
        // A reference to a group that did not take part matches the empty text.
        // Writing to a string cannot fail.
        let _ = write!(self.out, "(?:(?({group})\\{group}|))");
        Ok(())
    }

    /// Reads an escape that stands for a character or a set.
    fn character_escape(&mut self) -> Result<Atom, String> {
        let c = self.rest.next().ok_or("a backslash at the end")?;
        Ok(match c {
            'd' => Atom::Set(DIGITS),
            'D' => Atom::NotSet(DIGITS),
            'w' => Atom::Set(WORD),
            'W' => Atom::NotSet(WORD),
            's' => Atom::Set(SPACE),
            'S' => Atom::NotSet(SPACE),
            't' => Atom::Literal(9),
            'n' => Atom::Literal(10),
            'v' => Atom::Literal(11),
            'f' => Atom::Literal(12),
            'r' => Atom::Literal(13),
            '0' if !self.rest.peek().is_some_and(char::is_ascii_digit) => Atom::Literal(0),
            '0'..='9' => return Err("octal escapes are not supported".to_owned()),
            'c' => return Err("control escapes are not supported".to_owned()),
            'x' => self.hexadecimal(2).map_or(Atom::Literal('x'.into()), Atom::Literal),
            'u' => self.hexadecimal(4).map_or(Atom::Literal('u'.into()), Atom::Literal),
            other => Atom::Literal(other.into()),
        })
    }

    fn hexadecimal(&mut self, digits: usize) -> Option<u32> {
        let mut ahead = self.rest.clone();
        let code = (0..digits).try_fold(0, |code, _| Some(code * 16 + ahead.next()?.to_digit(16)?))?;
        self.rest = ahead;
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a failed test may panic")]

    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        let compiled = Pattern::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        compiled.matches(name).unwrap_or_else(|TooManySteps| panic!("{pattern} on {name}"))
    }

    /// Short, so that backtracking without a limit ends.
    fn pattern() -> impl Strategy<Value = String> {
        let class = prop_oneof![
            "\\[\\^?[ab_0-]{0,3}\\]",
            "\\[[ab]-[bc][\\\\]?[dwsDWS-]\\]",
            Just("[[a&&b]".to_owned()),
            Just("[a\\-b]".to_owned()),
            Just("[\\d-x]".to_owned()),
        ];
        let atom = prop_oneof![
            8 => "[ab_0:{}!,-]",
            2 => prop::sample::select(vec![".", "\\d", "\\w", "\\W", "\\b", "\\B", "^", "$", "\\.", "\\-", "\\A", "\\z", "\\x61", "\\u0062", "\\Q"]).prop_map(str::to_owned),
            2 => class,
        ];
        atom.prop_recursive(3, 8, 3, |inner| {
            let many = prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat());
            let open = prop::sample::select(vec!["(", "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?<n>"]);
            let times = prop::sample::select(vec!["*", "+", "?", "*?", "{1,2}", "{2}", "{0,}", ""]);
            prop_oneof![
                3 => (open, many.clone(), times).prop_map(|(open, inside, times)| format!("{open}{inside}){times}")),
                2 => (many.clone(), many.clone()).prop_map(|(one, other)| format!("{one}|{other}")),
                1 => many.prop_map(|inside| format!("({inside})\\1")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn a_pattern_matches_as_in_ecmascript(pattern in pattern(), names in prop::collection::vec("[ab_0:c{!&A]{0,6}", 1..6)) {
            let (Ok(expected), Ok(compiled)) = (regress::Regex::new(&pattern), Pattern::new(&pattern)) else {
                return Ok(());
            };
            for name in names {
                // The limit may strike first, which the settings report.
                if let Ok(matches) = compiled.matches(&name) {
                    prop_assert_eq!(matches, expected.find(&name).is_some(), "{} on {:?}", pattern, name);
                }
            }
        }
    }

    #[test]
    fn ecmascript_keeps_its_meaning() {
        for (pattern, name, expected) in [
            ("^kube_pod_.*", "kube_pod_info", true),
            ("kube_(?!pod_).*_info", "kube_node_info", true),
            ("kube_(?!pod_).*_info", "kube_pod_info", false),
            ("(?<=pod_)info$", "kube_pod_info", true),
            ("(?<=pod.*)info$", "kube_pod_x_info", true),
            ("^(.)(.)\\2\\1$", "abba", true),
            ("^(?<x>.)\\k<x>$", "ab", false),
            ("^(?:(a)|b)\\1c$", "bc", true),
            ("\\Ainfo\\z", "info", false),
            ("\\Ainfo\\z", "Ainfoz", true),
            ("[a&&b]", "&", true),
            ("a{,2}", "a{,2}", true),
            ("[^]", "x", true),
            ("[]", "x", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn references_that_the_engines_would_read_differently_are_refused() {
        for pattern in ["(?<=(.)\\1)", "(?:(a)|(b)\\1){2}", "(?!(a)b)\\1", "((a)|b)*\\2"] {
            let error = Pattern::new(pattern).expect_err(pattern);
            assert!(error.starts_with("references beside"), "{pattern}: {error}");
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let name = "kube_pod_status_initialized_time_kube_pod_status_initialized_time";
        for pattern in ["(.*)*!", "(a*)*!", "(.*)*(.*)*(.*)*!", "^(([a-z_])+.)+[A-Z]([a-z])+$", "(.+)+$!"] {
            assert!(!matches(pattern, name), "{pattern}");
        }
        for pattern in ["(?=(.*)*!)a", "(.*)(.*)(.*)(.*)(.*)\\1!"] {
            let compiled = Pattern::new(pattern).expect("it is valid");
            // Either engine may find the answer early.
            assert_ne!(compiled.matches(name), Ok(true), "{pattern}");
        }
        let deep = |open: &str| format!("{}a{}", open.repeat(10_000), ")".repeat(10_000));
        for pattern in
            [deep("("), deep("(?:"), deep("(?="), "a".repeat(MAX_BYTES + 1), "((a{1000}){1000}){1000}".to_owned()]
        {
            assert!(Pattern::new(&pattern).is_err(), "{:.40}", pattern);
        }
    }
}
