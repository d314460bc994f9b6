//! Reads PromQL into a tree that knows where each part stands in the text, so that a change of one part leaves all others as they
//! are, with their comments. Knows nothing of metrics, and does not check types: Prometheus does.
//!
//! The grammar is that of Prometheus 3 (`promql/parser/generated_parser.y`), with its experimental parts as far as they change the
//! shape of an expression. It is a superset: it accepts, for example, numbers and durations wherever it accepts one of both.

use std::ops::Range;

/// The maximum depth of an expression, which protects the stack.
const MAX_DEPTH: usize = 100;
/// The maximum length of an expression, in bytes.
const MAX_LENGTH: usize = 64 << 10;

/// Operators that aggregate over series.
const AGGREGATIONS: [&str; 14] = [
    "sum",
    "avg",
    "count",
    "min",
    "max",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "count_values",
    "quantile",
    "limitk",
    "limit_ratio",
];

/// An expression and its place in the text, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expression {
    pub place: Range<usize>,
    pub kind: Kind,
}

/// The kinds of expressions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number or a duration.
    Number,
    /// The value of a string.
    Text(String),
    Selector(Selector),
    /// In parentheses, or with a sign.
    Wrapped(Box<Expression>),
    Binary(Box<Binary>),
    Aggregation(Aggregation),
    Call {
        /// The name of the function.
        function: String,
        arguments: Vec<Expression>,
    },
    /// `expression[range:step]`.
    Subquery(Box<Expression>),
}

/// `name{matchers}[range] offset 5m @ end()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selector {
    /// The name before the braces, or as the first string in them.
    pub name: Option<String>,
    pub matchers: Vec<Matcher>,
    /// The place of the range with its brackets.
    pub range: Option<Range<usize>>,
}

/// A condition of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Matcher {
    pub label: String,
    /// `=`, `!=`, `=~` or `!~`.
    pub operator: &'static str,
    pub value: String,
}

/// An operator between two expressions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binary {
    pub left: Expression,
    /// In lower case.
    pub operator: String,
    pub matching: Matching,
    pub right: Expression,
}

/// How the series of both sides find each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Matching {
    /// The labels of `on`.
    pub on: Option<Vec<String>>,
    /// The labels of `ignoring`.
    pub ignoring: Option<Vec<String>>,
    /// The side with many series for one, and the labels that it receives.
    pub group: Option<(Side, Vec<String>)>,
}

/// A side of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// An aggregation over series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Aggregation {
    /// In lower case.
    pub operator: String,
    pub grouping: Grouping,
    /// The parameter of `topk` and the like.
    pub parameter: Option<Box<Expression>>,
    pub of: Box<Expression>,
}

/// The labels that an aggregation keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

/// Why a text is no PromQL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ParseError {
    /// The text ends in the middle of an expression.
    #[error("the expression ends where {0} is expected")]
    End(&'static str),
    /// Something else is expected.
    #[error("`{found}` where {expected} is expected")]
    Unexpected {
        /// The token.
        found: String,
        /// The expected token.
        expected: &'static str,
    },
    /// A string has no end.
    #[error("a string without an end")]
    OpenString,
    /// It exceeds a limit.
    #[error("the expression is too long or too deep")]
    TooLarge,
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Expression, ParseError> {
    if text.len() > MAX_LENGTH {
        return Err(ParseError::TooLarge);
    }
    let mut parser = Parser { text, tokens: tokens(text)?, next: 0, depth: 0 };
    let expression = parser.expression(0)?;
    match parser.peek() {
        None => Ok(expression),
        Some(_) => Err(parser.unexpected("the end or an operator")),
    }
}

/// The tokens of a text as text, without white space and comments.
pub(super) fn words(text: &str) -> Result<Vec<&str>, ParseError> {
    Ok(tokens(text)?.into_iter().map(|token| &text[token.place]).collect())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// A name or a keyword.
    Name,
    Number,
    String,
    /// A sign of one or two characters.
    Sign,
}

#[derive(Clone, Debug)]
struct Token {
    class: Class,
    place: Range<usize>,
}

fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut brackets) = (0, 0_u32);
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        let following = |wanted: &dyn Fn(u8) -> bool| {
            start + 1 + bytes[start + 1..].iter().take_while(|&&byte| wanted(byte)).count()
        };
        let class = match byte {
            _ if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'#' => {
                at = following(&|byte| byte != b'\n');
                continue;
            }
            b'"' | b'\'' | b'`' => {
                at = end_of_string(bytes, start).ok_or(ParseError::OpenString)?;
                Class::String
            }
            // In brackets, a colon separates range and step.
            _ if is_name_start(byte) || (byte == b':' && brackets == 0) => {
                at = following(&|byte| is_name_start(byte) || byte.is_ascii_digit() || (byte == b':' && brackets == 0));
                Class::Name
            }
            _ if byte.is_ascii_digit() || (byte == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)) => {
                at = end_of_number(bytes, start);
                Class::Number
            }
            _ => {
                let two = matches!(bytes.get(start..start + 2), Some(b"==" | b"!=" | b">=" | b"<=" | b"=~" | b"!~"));
                // Characters of other scripts are whole.
                at += if two { 2 } else { text[start..].chars().next().map_or(1, char::len_utf8) };
                match byte {
                    b'[' => brackets += 1,
                    b']' => brackets = brackets.saturating_sub(1),
                    _ => {}
                }
                Class::Sign
            }
        };
        tokens.push(Token { class, place: start..at });
    }
    Ok(tokens)
}

fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = bytes[start];
    let mut at = start + 1;
    loop {
        match *bytes.get(at)? {
            byte if byte == quote => return Some(at + 1),
            b'\\' if quote != b'`' => at += 2,
            _ => at += 1,
        }
    }
}

/// Also the end of a duration such as `1h30m`.
fn end_of_number(bytes: &[u8], start: usize) -> usize {
    let is_hexadecimal = bytes[start..].starts_with(b"0x") || bytes[start..].starts_with(b"0X");
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        let is_sign_of_exponent =
            matches!(byte, b'+' | b'-') && !is_hexadecimal && matches!(bytes[at - 1], b'e' | b'E') && at > start;
        if !(byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_' || is_sign_of_exponent) {
            break;
        }
        at += 1;
    }
    at
}

/// The value of a string. Escapes that are rare in label values stay as they are.
fn unquote(quoted: &str) -> String {
    let inner = &quoted[1..quoted.len() - 1];
    if quoted.starts_with('`') {
        return inner.to_owned();
    }
    let mut value = String::new();
    let mut rest = inner.chars();
    while let Some(character) = rest.next() {
        match (character, (character == '\\').then(|| rest.next()).flatten()) {
            ('\\', Some('n')) => value.push('\n'),
            ('\\', Some('t')) => value.push('\t'),
            ('\\', Some(escaped @ ('\\' | '"' | '\''))) => value.push(escaped),
            ('\\', Some(other)) => value.extend(['\\', other]),
            _ => value.push(character),
        }
    }
    value
}

/// The precedence of a binary operator, from the weakest.
fn precedence(operator: &str) -> Option<u8> {
    Some(match operator {
        "or" => 1,
        "and" | "unless" => 2,
        "==" | "!=" | "<" | "<=" | ">" | ">=" => 3,
        "+" | "-" => 4,
        "*" | "/" | "%" | "atan2" => 5,
        "^" => 6,
        _ => return None,
    })
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<&'a str> {
        self.tokens.get(self.next + ahead).map(|token| &self.text[token.place.clone()])
    }

    fn class(&self) -> Option<Class> {
        self.tokens.get(self.next).map(|token| token.class)
    }

    /// Whether the next token is this sign or keyword.
    fn is_at(&self, word: &str) -> bool {
        self.class() != Some(Class::String) && self.peek().is_some_and(|next| next.eq_ignore_ascii_case(word))
    }

    /// Skips this sign or keyword, if it is next.
    fn skip(&mut self, word: &str) -> bool {
        let found = self.is_at(word);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, word: &'static str) -> Result<(), ParseError> {
        if self.skip(word) { Ok(()) } else { Err(self.unexpected(word)) }
    }

    fn unexpected(&self, expected: &'static str) -> ParseError {
        match self.peek() {
            Some(found) => ParseError::Unexpected { found: found.to_owned(), expected },
            None => ParseError::End(expected),
        }
    }

    /// The beginning of the next token.
    fn begin(&self) -> usize {
        self.tokens.get(self.next).map_or(self.text.len(), |token| token.place.start)
    }

    /// The end of the last token.
    fn end(&self) -> usize {
        self.next.checked_sub(1).map_or(0, |last| self.tokens[last].place.end)
    }

    /// An expression whose operators bind at least this strongly.
    fn expression(&mut self, least: u8) -> Result<Expression, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ParseError::TooLarge);
        }
        let start = self.begin();
        let (mut left, mut links) = (self.operand()?, 0);
        while let Some(operator) = self.operator()
            && let Some(strength) = precedence(&operator).filter(|&strength| strength >= least)
        {
            self.next += 1;
            let matching = self.matching()?;
            // Only the power binds to the right.
            let right = self.expression(if operator == "^" { strength } else { strength + 1 })?;
            let binary = Binary { left, operator, matching, right };
            left = Expression { place: start..self.end(), kind: Kind::Binary(Box::new(binary)) };
            // A chain is as deep as it is long.
            links += 1;
            if links > MAX_DEPTH {
                return Err(ParseError::TooLarge);
            }
        }
        self.depth -= 1;
        Ok(left)
    }

    fn operator(&self) -> Option<String> {
        if self.class() == Some(Class::String) { None } else { self.peek().map(str::to_lowercase) }
    }

    fn matching(&mut self) -> Result<Matching, ParseError> {
        let mut matching = Matching::default();
        self.skip("bool");
        if self.skip("on") {
            matching.on = Some(self.labels()?);
        } else if self.skip("ignoring") {
            matching.ignoring = Some(self.labels()?);
        }
        for (word, side) in [("group_left", Side::Left), ("group_right", Side::Right)] {
            if self.skip(word) {
                // As in Prometheus, a parenthesis is always that of the labels.
                let labels = if self.is_at("(") { self.labels()? } else { Vec::new() };
                matching.group = Some((side, labels));
            }
        }
        for word in ["fill", "fill_left", "fill_right"] {
            if self.is_at(word) && self.peek_at(1) == Some("(") {
                self.next += 2;
                self.operand()?;
                self.expect(")")?;
            }
        }
        Ok(matching)
    }

    /// Names in parentheses.
    fn labels(&mut self) -> Result<Vec<String>, ParseError> {
        const NAME: &str = "the name of a label";
        self.expect("(")?;
        let mut labels = Vec::new();
        while !self.skip(")") {
            labels.push(match (self.class(), self.peek()) {
                (Some(Class::Name), Some(name)) => name.to_owned(),
                (Some(Class::String), Some(name)) => unquote(name),
                _ => return Err(self.unexpected(NAME)),
            });
            self.next += 1;
            if !self.skip(",") && !self.is_at(")") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
        Ok(labels)
    }

    /// An operand with the ranges, offsets and times after it.
    fn operand(&mut self) -> Result<Expression, ParseError> {
        let start = self.begin();
        if self.skip("-") || self.skip("+") {
            // A sign binds like a product: the power is stronger.
            let of = self.expression(6)?;
            return Ok(Expression { place: start..self.end(), kind: Kind::Wrapped(Box::new(of)) });
        }
        let mut expression = self.primary()?;
        loop {
            if self.is_at("[") {
                let range = self.brackets()?;
                match &mut expression.kind {
                    Kind::Selector(selector) if !range.1 && selector.range.is_none() => selector.range = Some(range.0),
                    _ if !range.1 => {
                        return Err(ParseError::Unexpected { found: "[".to_owned(), expected: "a subquery" });
                    }
                    _ => {
                        let place = start..self.end();
                        expression = Expression { place, kind: Kind::Subquery(Box::new(expression)) };
                        continue;
                    }
                }
            } else if self.skip("offset") {
                self.moment()?;
            } else if self.skip("@") {
                if matches!(self.peek(), Some("start" | "end")) {
                    self.next += 1;
                    self.expect("(")?;
                    self.expect(")")?;
                } else {
                    self.moment()?;
                }
            } else if !(matches!(expression.kind, Kind::Selector(_))
                && (self.skip("anchored") || self.skip("smoothed")))
            {
                return Ok(expression);
            }
            expression.place = start..self.end();
        }
    }

    /// A number or a duration, with a sign or as a calculation in parentheses.
    fn moment(&mut self) -> Result<(), ParseError> {
        while self.skip("-") || self.skip("+") {}
        if self.is_at("(") {
            return self.primary().map(drop);
        }
        if self.class() != Some(Class::Number) {
            return Err(self.unexpected("a duration or a time"));
        }
        self.next += 1;
        Ok(())
    }

    /// Skips a range. Returns its place, and whether it has a step.
    fn brackets(&mut self) -> Result<(Range<usize>, bool), ParseError> {
        let start = self.begin();
        let mut has_step = false;
        while !self.is_at("]") {
            has_step |= self.is_at(":");
            if self.peek().is_none() {
                return Err(self.unexpected("`]`"));
            }
            self.next += 1;
        }
        self.next += 1;
        Ok((start..self.end(), has_step))
    }

    fn primary(&mut self) -> Result<Expression, ParseError> {
        const OPERAND: &str = "an expression";
        let start = self.begin();
        let kind = match (self.class(), self.peek()) {
            (Some(Class::Number), _) => {
                self.next += 1;
                Kind::Number
            }
            (Some(Class::String), Some(text)) => {
                self.next += 1;
                Kind::Text(unquote(text))
            }
            (_, Some("(")) => {
                self.next += 1;
                let of = self.expression(0)?;
                self.expect(")")?;
                Kind::Wrapped(Box::new(of))
            }
            (_, Some("{")) => Kind::Selector(self.selector(None)?),
            (Some(Class::Name), Some(name)) => {
                let lower = name.to_lowercase();
                let after = self.peek_at(1).map(str::to_lowercase);
                let after = after.as_deref();
                if AGGREGATIONS.contains(&&*lower) && matches!(after, Some("(" | "by" | "without")) {
                    self.next += 1;
                    Kind::Aggregation(self.aggregation(lower)?)
                } else if after == Some("(") {
                    self.next += 2;
                    Kind::Call { function: name.to_owned(), arguments: self.arguments()? }
                } else if matches!(&*lower, "inf" | "nan") && after != Some("{") {
                    self.next += 1;
                    Kind::Number
                } else if precedence(&lower).is_some() {
                    return Err(self.unexpected(OPERAND));
                } else {
                    self.next += 1;
                    Kind::Selector(self.selector(Some(name.to_owned()))?)
                }
            }
            _ => return Err(self.unexpected(OPERAND)),
        };
        Ok(Expression { place: start..self.end(), kind })
    }

    /// The expressions up to the closing parenthesis.
    fn arguments(&mut self) -> Result<Vec<Expression>, ParseError> {
        let mut arguments = Vec::new();
        while !self.skip(")") {
            arguments.push(self.expression(0)?);
            if !self.skip(",") && !self.is_at(")") {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
        Ok(arguments)
    }

    fn aggregation(&mut self, operator: String) -> Result<Aggregation, ParseError> {
        let mut grouping = self.grouping()?;
        self.expect("(")?;
        let mut arguments = self.arguments()?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let of = arguments.pop().ok_or(ParseError::End("an expression"))?;
        let parameter = arguments.pop().map(Box::new);
        let grouping = grouping.unwrap_or_else(|| Grouping::By(Vec::new()));
        Ok(Aggregation { operator, grouping, parameter, of: Box::new(of) })
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        Ok(if self.skip("by") {
            Some(Grouping::By(self.labels()?))
        } else if self.skip("without") {
            Some(Grouping::Without(self.labels()?))
        } else {
            None
        })
    }

    /// The matchers after a name, or without one.
    fn selector(&mut self, name: Option<String>) -> Result<Selector, ParseError> {
        let mut selector = Selector { name, ..Selector::default() };
        if !self.skip("{") {
            return Ok(selector);
        }
        while !self.skip("}") {
            let label = match (self.class(), self.peek()) {
                (Some(Class::Name), Some(name)) => name.to_owned(),
                (Some(Class::String), Some(name)) => unquote(name),
                _ => return Err(self.unexpected("a label")),
            };
            let is_string = self.class() == Some(Class::String);
            self.next += 1;
            let operator = ["=", "!=", "=~", "!~"].into_iter().find(|operator| self.is_at(operator));
            match operator {
                Some(operator) => {
                    self.next += 1;
                    let value = match (self.class(), self.peek()) {
                        (Some(Class::String), Some(value)) => unquote(value),
                        _ => return Err(self.unexpected("a string")),
                    };
                    self.next += 1;
                    if label == "__name__" && operator == "=" && selector.name.is_none() {
                        selector.name = Some(value);
                    } else {
                        selector.matchers.push(Matcher { label, operator, value });
                    }
                }
                // A name in quotes.
                None if is_string && selector.name.is_none() => selector.name = Some(label),
                None => return Err(self.unexpected("`=`, `!=`, `=~` or `!~`")),
            }
            if !self.skip(",") && !self.is_at("}") {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
        Ok(selector)
    }
}
