//! Label selectors: `team in (a,b),tier!=cache,!canary`.
//!
//! Source: `Parse` in <https://pkg.go.dev/k8s.io/apimachinery/pkg/labels>.

use std::collections::BTreeSet;
use std::fmt;

use super::{Problem, Selectable};
use crate::shown;

/// The longest selector, in bytes. It becomes part of a URL.
const LONGEST: usize = 4096;

/// A label selector. Its text is in a fixed order, so that equal selectors have the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Test {
    Exists,
    DoesNotExist,
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    GreaterThan(i64),
    LessThan(i64),
}

impl LabelSelector {
    /// Returns whether it selects all objects.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the API server would select `object`.
    pub fn selects(&self, object: &dyn Selectable) -> bool {
        self.0.iter().all(|Requirement { key, test }| {
            let value = object.label(key);
            let number = || value.and_then(|value| value.parse::<i64>().ok());
            match test {
                Test::Exists => value.is_some(),
                Test::DoesNotExist => value.is_none(),
                Test::In(values) => value.is_some_and(|value| values.contains(value)),
                Test::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
                Test::GreaterThan(limit) => number().is_some_and(|number| number > *limit),
                Test::LessThan(limit) => number().is_some_and(|number| number < *limit),
            }
        })
    }

    /// Returns the selector of the objects that both select.
    #[must_use]
    pub(super) fn and(&self, other: Self) -> Self {
        let all: BTreeSet<_> = self.0.iter().cloned().chain(other.0).collect();
        Self(all.into_iter().collect())
    }

    /// Parses a selector in the syntax of Kubernetes. The empty text selects everything.
    pub(in crate::settings) fn parse(text: &str) -> Result<Self, Problem> {
        if text.len() > LONGEST {
            return Err(Problem::new(LONGEST, format!("the selector is longer than {LONGEST} bytes")));
        }
        let mut parser = Parser { tokens: tokens(text)?, next: 0, end: text.len() };
        let mut requirements = Vec::new();
        if parser.peek() != &Token::End {
            loop {
                requirements.push(parser.requirement()?);
                match parser.take() {
                    (_, Token::End) => break,
                    (_, Token::Comma) => {}
                    (at, token) => return Err(expected(at, &token, "\",\" or the end")),
                }
            }
        }
        Ok(Self::default().and(Self(requirements)))
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, requirement) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, test } = self;
        let list = |values: &BTreeSet<String>| values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        match test {
            Test::Exists => write!(f, "{key}"),
            Test::DoesNotExist => write!(f, "!{key}"),
            Test::In(values) if values.len() == 1 => write!(f, "{key}={}", list(values)),
            Test::NotIn(values) if values.len() == 1 => write!(f, "{key}!={}", list(values)),
            Test::In(values) => write!(f, "{key} in ({})", list(values)),
            Test::NotIn(values) => write!(f, "{key} notin ({})", list(values)),
            Test::GreaterThan(limit) => write!(f, "{key}>{limit}"),
            Test::LessThan(limit) => write!(f, "{key}<{limit}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `=`, `==`, `!=`, `<` or `>`.
    Operator(&'static str),
    Not,
    Comma,
    Open,
    Close,
    End,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "{:?}", shown::value(word)),
            Self::Operator(operator) => write!(f, "{operator:?}"),
            Self::Not => f.write_str("\"!\""),
            Self::Comma => f.write_str("\",\""),
            Self::Open => f.write_str("\"(\""),
            Self::Close => f.write_str("\")\""),
            Self::End => f.write_str("the end"),
        }
    }
}

fn expected(at: usize, found: &Token, wanted: &str) -> Problem {
    Problem::new(at, format!("found {found}, expected {wanted}"))
}

/// Splits the text into tokens with their positions.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Problem> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let (length, token) = match c {
            ' ' | '\t' | '\r' | '\n' => {
                at += 1;
                continue;
            }
            ',' => (1, Token::Comma),
            '(' => (1, Token::Open),
            ')' => (1, Token::Close),
            '<' => (1, Token::Operator("<")),
            '>' => (1, Token::Operator(">")),
            '!' if rest.starts_with("!=") => (2, Token::Operator("!=")),
            '!' => (1, Token::Not),
            '=' if rest.starts_with("==") => (2, Token::Operator("==")),
            '=' => (1, Token::Operator("=")),
            _ => {
                let is_end = |c: char| " \t\r\n,()<>!=".contains(c);
                let word = &rest[..rest.find(is_end).unwrap_or(rest.len())];
                if let Some((offset, c)) = word.char_indices().find(|(_, c)| !c.is_ascii_graphic()) {
                    return Err(Problem::new(at + offset, format!("{c:?} is not allowed in a selector")));
                }
                (word.len(), Token::Word(word.to_owned()))
            }
        };
        tokens.push((at, token));
        at += length;
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    /// The length of the text.
    end: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    fn take(&mut self) -> (usize, Token) {
        let token = self.tokens.get(self.next).cloned().unwrap_or((self.end, Token::End));
        self.next += 1;
        token
    }

    fn requirement(&mut self) -> Result<Requirement, Problem> {
        let negated = *self.peek() == Token::Not;
        if negated {
            self.take();
        }
        let key = match self.take() {
            (at, Token::Word(key)) => {
                check_key(&key).map_err(|reason| Problem::new(at, reason))?;
                key
            }
            (at, token) => return Err(expected(at, &token, if negated { "a label" } else { "a label or \"!\"" })),
        };
        if negated || matches!(self.peek(), Token::End | Token::Comma) {
            let test = if negated { Test::DoesNotExist } else { Test::Exists };
            return Ok(Requirement { key, test });
        }
        let test = match self.take() {
            (_, Token::Operator("=" | "==")) => Test::In([self.value()?.1].into()),
            (_, Token::Operator("!=")) => Test::NotIn([self.value()?.1].into()),
            (_, Token::Operator(">")) => Test::GreaterThan(self.number()?),
            (_, Token::Operator("<")) => Test::LessThan(self.number()?),
            (_, Token::Word(word)) if word == "in" => Test::In(self.values()?),
            (_, Token::Word(word)) if word == "notin" => Test::NotIn(self.values()?),
            (at, token) => return Err(expected(at, &token, "=, ==, !=, in, notin, < or >")),
        };
        Ok(Requirement { key, test })
    }

    /// The value of an operator, which may be empty.
    fn value(&mut self) -> Result<(usize, String), Problem> {
        match self.peek() {
            Token::End | Token::Comma => {
                let at = self.tokens.get(self.next).map_or(self.end, |(at, _)| *at);
                Ok((at, String::new()))
            }
            _ => match self.take() {
                (at, Token::Word(value)) => {
                    check_value(&value).map_err(|reason| Problem::new(at, reason))?;
                    Ok((at, value))
                }
                (at, token) => Err(expected(at, &token, "a value")),
            },
        }
    }

    fn number(&mut self) -> Result<i64, Problem> {
        let (at, value) = self.value()?;
        value.parse().map_err(|_| Problem::new(at, format!("{value:?} is not a whole number, which < and > need")))
    }

    /// The values of a set: at least one, perhaps an empty one.
    fn values(&mut self) -> Result<BTreeSet<String>, Problem> {
        match self.take() {
            (_, Token::Open) => {}
            (at, token) => return Err(expected(at, &token, "\"(\"")),
        }
        let mut values = BTreeSet::new();
        loop {
            let value = match self.peek() {
                Token::Comma | Token::Close => String::new(),
                _ => self.value()?.1,
            };
            values.insert(value);
            match self.take() {
                (_, Token::Close) => return Ok(values),
                (_, Token::Comma) => {}
                (at, token) => return Err(expected(at, &token, "\",\" or \")\"")),
            }
        }
    }
}

/// Checks a label's key: an optional prefix that is a DNS subdomain, and a name.
fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if prefix.is_some_and(|prefix| super::super::names::object(prefix).is_err()) {
        return Err(format!("{:?} is not a label: its prefix is not a DNS name", shown::value(key)));
    }
    match is_name(name) {
        true => Ok(()),
        false => Err(format!(
            "{:?} is not a label: 1 to 63 letters, digits, \"-\", \"_\" and \".\", with a letter or digit at both ends",
            shown::value(key)
        )),
    }
}

/// Checks the value of a label, which is not empty.
fn check_value(value: &str) -> Result<(), String> {
    match is_name(value) {
        true => Ok(()),
        false => Err(format!(
            "{:?} is not the value of a label: up to 63 letters, digits, \"-\", \"_\" and \".\", with a letter or digit at both ends",
            shown::value(value)
        )),
    }
}

fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    bytes.len() <= 63 && bytes.iter().copied().all(inner) && ends(bytes.first()) && ends(bytes.last())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    struct Labels(BTreeMap<String, String>);

    impl Selectable for Labels {
        fn label(&self, key: &str) -> Option<&str> {
            self.0.get(key).map(String::as_str)
        }

        fn field(&self, _: &str) -> String {
            String::new()
        }
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    fn parsed(text: &str) -> LabelSelector {
        LabelSelector::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem:?}"))
    }

    /// Source: `TestSelectorMatches` in selector_test.go of apimachinery.
    #[test]
    fn labels_match_as_in_kubernetes() {
        for (text, object, selects) in [
            ("", &[("x", "y")][..], true),
            ("x=y", &[("x", "y")], true),
            ("x=y,z=w", &[("x", "y"), ("z", "w")], true),
            ("x!=y,z!=w", &[("x", "z"), ("z", "a")], true),
            ("notin=in", &[("notin", "in")], true),
            ("x", &[("x", "z")], true),
            ("!x", &[("y", "z")], true),
            ("x>1", &[("x", "2")], true),
            ("x<1", &[("x", "0")], true),
            ("x=z", &[], false),
            ("x=y", &[("x", "z")], false),
            ("x=y,z=w", &[("x", "w"), ("z", "w")], false),
            ("x!=y,z!=w", &[("x", "z"), ("z", "w")], false),
            ("x", &[("y", "z")], false),
            ("!x", &[("x", "z")], false),
            ("x>1", &[("x", "0")], false),
            ("x<1", &[("x", "2")], false),
            ("x>1", &[("x", "many")], false),
            ("foo=bar,foobar=bar,baz=qux", &[("foo", "bar"), ("baz", "blah")], false),
            ("x in (foo,,baz),y,z notin ()", &[("x", ""), ("y", "1")], true),
            ("x in (foo,,baz),y,z notin ()", &[("x", ""), ("y", "1"), ("z", "")], false),
            ("x in ()", &[("x", "")], true),
            ("in in (in,notin)", &[("in", "notin")], true),
            ("x=", &[("x", "")], true),
            ("a.b/c-d_e.f==V", &[("a.b/c-d_e.f", "V")], true),
        ] {
            assert_eq!(parsed(text).selects(&labels(object)), selects, "{text} of {object:?}");
        }
    }

    #[test]
    fn the_text_is_in_a_fixed_order_and_means_the_same() {
        for (text, canonical) in [
            ("z in (b,a,b) , !a,b", "!a,b,z in (a,b)"),
            ("x==1,x==1", "x=1"),
            ("x in (1)", "x=1"),
            ("x notin (1)", "x!=1"),
            ("x > 1 , x<3", "x>1,x<3"),
            ("x in (,a)", "x in (,a)"),
            ("  ", ""),
        ] {
            assert_eq!(parsed(text).to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_position() {
        for (text, at, reason) in [
            ("app in a", 7, "found \"a\", expected \"(\""),
            ("app in (a", 9, "found the end, expected \",\" or \")\""),
            ("app=a b", 6, "found \"b\", expected \",\" or the end"),
            ("app=a,", 6, "found the end, expected a label or \"!\""),
            ("!", 1, "found the end, expected a label"),
            ("!app=a", 4, "found \"=\", expected \",\" or the end"),
            ("app=(a)", 4, "found \"(\", expected a value"),
            ("app~a", 0, "\"app~a\" is not a label"),
            ("a/b/c", 0, "\"a/b/c\" is not a label"),
            ("/b", 0, "\"/b\" is not a label: its prefix"),
            ("app=-a", 4, "\"-a\" is not the value of a label"),
            ("x>y", 2, "\"y\" is not a whole number"),
            ("app=é", 4, "'é' is not allowed"),
            ("x between y", 2, "found \"between\", expected =, ==, !=, in, notin, < or >"),
        ] {
            let problem = LabelSelector::parse(text).expect_err(text);
            assert_eq!(problem.at, at, "{text}: {problem:?}");
            assert!(problem.reason.starts_with(reason), "{text}: {problem:?}");
        }
        assert!(LabelSelector::parse(&"a,".repeat(LONGEST)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics_and_positions_are_within_it(text in "[a-c=!<>(), inot\u{e9}/._-]{0,24}") {
            match LabelSelector::parse(&text) {
                Ok(selector) => prop_assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector)),
                Err(problem) => prop_assert!(problem.at <= text.len() && text.is_char_boundary(problem.at)),
            }
        }
    }
}
