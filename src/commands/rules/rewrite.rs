//! Decides where an expression needs `max without (...)`, and which parts must stay as they are. Pure: from an expression to insertions.
//!
//! A series of a fleet carries labels of the target that exposes it. When its object moves, it ends under one target and begins
//! under another. `max without (instance, pod) (...)` around a selector joins both: as many series as there are objects, with the
//! objects' own labels. The place of the wrapper depends on what surrounds the selector:
//!
//! - Functions of ranges see each series alone. The maximum of maxima is a maximum, so `max_over_time` is wrapped as a whole. A
//!   counter of two halves is not: there the joined series becomes a subquery.
//! - An aggregation that drops the labels, and does not mind a series twice, already does it: `max by (namespace) (...)`.
//! - Where the expression names a label of the target itself, or compares with series that keep theirs, no wrapper is right.

use std::collections::{BTreeMap, BTreeSet};

use crate::commands::docs::families;

use super::file::edit;
use super::promql::{Aggregation, Binary, Expression, Grouping, Kind, Matcher, ParseError, Selector, Side, parse};

/// How targets are labelled, and what a rewritten expression may use.
pub(super) struct Rewriter<'a> {
    /// The labels that differ between the replicas, in the order in which they are written.
    pub labels: &'a [String],
    /// Whether the objects' own labels win, as with `honor_labels`.
    pub honors_labels: bool,
    /// The step of subqueries; None selects the evaluation interval.
    pub resolution: Option<&'a str>,
}

/// What becomes of an expression.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rewritten {
    /// Texts to insert, and where. Several at one place follow each other.
    pub insertions: Vec<(usize, String)>,
    /// The parts that stay as they are although they would have to change, with the reason.
    pub left: Vec<String>,
    /// The labels of targets that the result no longer has.
    pub lost: BTreeSet<String>,
}

impl Rewritten {
    /// The text with the insertions.
    pub fn apply(&self, text: &str) -> String {
        edit(text, self.insertions.iter().map(|(at, insertion)| (*at..*at, insertion.clone())).collect())
    }
}

/// The labels of targets in a result: those of series of the exporter, and those that other series may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Flow {
    ours: BTreeSet<String>,
    others: BTreeSet<String>,
}

impl Flow {
    fn and(mut self, other: Self) -> Self {
        self.ours.extend(other.ours);
        self.others.extend(other.others);
        self
    }

    fn keep(mut self, keep: impl Fn(&String) -> bool) -> Self {
        self.ours.retain(&keep);
        self.others.retain(&keep);
        self
    }

    /// The labels that one side loses and the other keeps.
    fn conflict<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a String> {
        self.ours.intersection(&other.others).chain(other.ours.intersection(&self.others))
    }
}

/// What surrounds an expression.
#[derive(Clone, Default)]
struct Context {
    /// Labels that something around it drops, without minding a series twice.
    covered: BTreeSet<String>,
    /// Labels without which something around it changes its meaning, and the reason.
    needed: BTreeMap<String, String>,
}

impl Context {
    /// The same without coverage, for operators that mind a series twice.
    fn uncovered(&self) -> Self {
        Self { covered: BTreeSet::new(), needed: self.needed.clone() }
    }

    fn need(&mut self, labels: &[String], what: &str) {
        for label in labels {
            self.needed.insert(label.clone(), format!("{what} names `{label}`, a label of the target"));
        }
    }
}

impl Rewriter<'_> {
    /// Rewrites an expression.
    pub fn rewrite(&self, text: &str) -> Result<Rewritten, ParseError> {
        let expression = parse(text)?;
        let mut rewritten = Rewritten::default();
        self.walk(&expression, &Context::default(), &mut rewritten);
        // Stable, so that at one place the outer wrapper, which is found later, comes in the right order.
        rewritten.insertions.sort_by_key(|(at, _)| *at);
        if rewritten.left.is_empty() {
            rewritten.lost = self.flow(&expression).ours;
        }
        Ok(rewritten)
    }

    /// The labels of targets that a selector loses; None if it is no matter of the exporter's objects.
    fn lost(&self, selector: &Selector) -> Option<Vec<String>> {
        let own = families::own_labels(selector.name.as_deref()?)?;
        let is_lost = |label: &&String| !(self.honors_labels && own.contains(&label.as_str()));
        Some(self.labels.iter().filter(is_lost).cloned().collect())
    }

    fn all(&self) -> BTreeSet<String> {
        self.labels.iter().cloned().collect()
    }

    /// The labels of targets in the result of an expression, as it was written.
    fn flow(&self, expression: &Expression) -> Flow {
        match &expression.kind {
            Kind::Number | Kind::Text(_) => Flow::default(),
            Kind::Selector(selector) => match self.lost(selector) {
                Some(lost) => Flow { ours: lost.into_iter().collect(), others: BTreeSet::new() },
                None => Flow { ours: BTreeSet::new(), others: self.all() },
            },
            Kind::Wrapped(of) | Kind::Subquery(of) => self.flow(of),
            Kind::Call { function, arguments } => match &**function {
                "absent" | "absent_over_time" | "scalar" | "vector" | "time" | "pi" => Flow::default(),
                _ => arguments.iter().map(|argument| self.flow(argument)).fold(Flow::default(), Flow::and),
            },
            Kind::Aggregation(aggregation) => self.flow(&aggregation.of).keep(|label| aggregation.keeps(label)),
            Kind::Binary(binary) => {
                let (left, right) = (self.flow(&binary.left), self.flow(&binary.right));
                match (&*binary.operator, &binary.matching.group) {
                    ("and" | "unless", _) | (_, Some((Side::Left, _))) => left,
                    ("or", _) => left.and(right),
                    (_, Some((Side::Right, _))) => right,
                    _ => left.and(right).keep(|label| binary.compares(label)),
                }
            }
        }
    }

    fn walk(&self, expression: &Expression, context: &Context, found: &mut Rewritten) {
        match &expression.kind {
            Kind::Number | Kind::Text(_) => {}
            Kind::Selector(selector) if selector.range.is_some() => {
                self.range(expression, selector, None, context, found)
            }
            Kind::Selector(selector) => {
                if let Some(missing) = self.missing(selector, context, found) {
                    wrap("max", &missing, expression, found);
                }
            }
            Kind::Wrapped(of) => self.walk(of, context, found),
            // It sees each series alone.
            Kind::Subquery(of) => self.walk(of, &context.uncovered(), found),
            Kind::Call { function, arguments } => self.call(expression, function, arguments, context, found),
            Kind::Aggregation(aggregation) => self.aggregation(aggregation, context, found),
            Kind::Binary(binary) => self.binary(binary, context, found),
        }
    }

    /// The labels without which a selector must be aggregated; None if it can stay as it is, or must.
    fn missing(&self, selector: &Selector, context: &Context, found: &mut Rewritten) -> Option<Vec<String>> {
        let Some(lost) = self.lost(selector) else {
            found.left.extend(self.doubt(selector));
            return None;
        };
        let missing: Vec<String> = lost.iter().filter(|label| !context.covered.contains(*label)).cloned().collect();
        // A selection of a replica is wrong even where the labels are dropped.
        let reason = selection(selector, &lost).or_else(|| {
            let needed = lost.iter().find_map(|label| context.needed.get(label).cloned());
            needed.filter(|_| !missing.is_empty())
        });
        if let Some(reason) = &reason {
            found.left.push(format!("`{}` is left as it is: {reason}", selector.name.as_deref().unwrap_or_default()));
        }
        (reason.is_none() && !missing.is_empty()).then_some(missing)
    }

    /// Why it is not clear whether a selector is a matter of the exporter's objects.
    fn doubt(&self, selector: &Selector) -> Option<String> {
        if let Some(name) = &selector.name {
            let is_own = ["kube_state_metrics_", "kube_state_fleet_"].iter().any(|prefix| name.starts_with(prefix));
            // Names with colons are those of recording rules.
            let is_unknown = name.starts_with("kube_") && !name.contains(':') && !is_own;
            return is_unknown.then(|| {
                format!("`{name}` is left as it is: it is no family of this program, so its own labels are unknown")
            });
        }
        let names: Vec<&Matcher> = selector.matchers.iter().filter(|matcher| matcher.label == "__name__").collect();
        let fits = |name: &str| names.iter().all(|matcher| holds(matcher, name));
        families::names().any(fits).then(|| {
            "a selector without a name is left as it is: it may select several families, and an aggregation would merge them"
                .to_owned()
        })
    }

    /// A selector of a range, as the argument of `call`, a function and its expression.
    fn range(
        &self,
        expression: &Expression,
        selector: &Selector,
        call: Option<(&str, &Expression)>,
        context: &Context,
        found: &mut Rewritten,
    ) {
        let outer = match call {
            Some(("max_over_time" | "present_over_time", whole)) => Some(("max", whole)),
            Some(("min_over_time", whole)) => Some(("min", whole)),
            _ => None,
        };
        if let Some((operator, whole)) = outer {
            if let Some(missing) = self.missing(selector, context, found) {
                wrap(operator, &missing, whole, found);
            }
            return;
        }
        // What surrounds the function sees its results, and not the halves of a series.
        let Some(missing) = self.missing(selector, &context.uncovered(), found) else { return };
        let (Some(range), Some((function, _))) = (&selector.range, call) else {
            found.left.push("a range outside a function is left as it is".to_owned());
            return;
        };
        if matches!(function, "count_over_time" | "sum_over_time") && self.resolution.is_none() {
            found.left.push(format!(
                "`{function}` is left as it is: its value depends on the scrape interval; pass it as --resolution"
            ));
            return;
        }
        let selected = Expression { place: expression.place.start..range.start, kind: Kind::Number };
        wrap("max", &missing, &selected, found);
        found.insertions.push((range.end - 1, format!(":{}", self.resolution.unwrap_or_default())));
    }

    fn call(
        &self,
        whole: &Expression,
        function: &str,
        arguments: &[Expression],
        context: &Context,
        found: &mut Rewritten,
    ) {
        let mut around = context.clone();
        if let ("label_replace" | "label_join", [_, _, _, sources @ ..]) = (function, arguments) {
            // The pattern of the one comes after its only source.
            let sources = if function == "label_replace" { &sources[..sources.len().min(1)] } else { sources };
            for source in sources {
                if let Kind::Text(label) = &source.kind {
                    around.need(std::slice::from_ref(label), &format!("`{function}`"));
                }
            }
        }
        let context = &around;
        for argument in arguments {
            let inner = innermost(argument);
            match (&inner.kind, function) {
                // Neither minds a series twice, and their labels come from the matchers.
                (Kind::Selector(selector), "absent" | "absent_over_time") => {
                    let nothing_missing = Context { covered: self.all(), ..Context::default() };
                    self.missing(selector, &nothing_missing, found);
                }
                (Kind::Selector(selector), "timestamp") if selector.range.is_none() => {
                    // An aggregation has the time of the evaluation.
                    if let Some(missing) = self.missing(selector, context, found) {
                        wrap("max", &missing, whole, found);
                    }
                }
                (Kind::Selector(selector), _) if selector.range.is_some() => {
                    self.range(inner, selector, Some((function, whole)), context, found);
                }
                _ if ELEMENTWISE.contains(&function) => self.walk(argument, context, found),
                _ => self.walk(argument, &context.uncovered(), found),
            }
        }
    }

    fn aggregation(&self, aggregation: &Aggregation, context: &Context, found: &mut Rewritten) {
        let Aggregation { operator, grouping, parameter, of } = aggregation;
        if let Some(parameter) = parameter {
            self.walk(parameter, &Context::default(), found);
        }
        let mut inner = Context { covered: BTreeSet::new(), needed: context.needed.clone() };
        inner.needed.retain(|label, _| aggregation.keeps(label));
        if let Grouping::By(labels) = grouping {
            inner.need(labels, &format!("`{operator} by`"));
        }
        // These do not mind a series twice.
        if matches!(&**operator, "max" | "min" | "group") {
            inner.covered = context.covered.clone();
            inner.covered.extend(self.labels.iter().filter(|label| !aggregation.keeps(label)).cloned());
        }
        self.walk(of, &inner, found);
    }

    fn binary(&self, binary: &Binary, context: &Context, found: &mut Rewritten) {
        let Binary { left, operator, matching, right } = binary;
        if is_scalar(left) || is_scalar(right) {
            self.walk(left, context, found);
            self.walk(right, context, found);
            return;
        }
        let (mut of_left, mut of_right) = (context.uncovered(), context.uncovered());
        if is_set_operator(operator) {
            // Sets do not mind a series twice. But where they compare the labels, both sides must drop them.
            let covered = || context.covered.iter().filter(|label| !binary.compares(label)).cloned().collect();
            of_left.covered = covered();
            of_right.covered = covered();
            if operator != "or" {
                // Only the existence of the right side matters.
                of_right.needed.clear();
                of_right.covered = self.labels.iter().filter(|label| !binary.compares(label)).cloned().collect();
            }
        }
        for side in [&mut of_left, &mut of_right] {
            side.need(matching.on.as_deref().unwrap_or_default(), "`on`");
            side.need(matching.group.as_ref().map_or(&[], |(_, labels)| labels), "`group_left` or `group_right`");
        }
        let (left_flow, right_flow) = (self.flow(left), self.flow(right));
        for label in left_flow.conflict(&right_flow).filter(|label| binary.compares(label)) {
            let reason =
                format!("`{operator}` compares it on all labels with series that may have `{label}`; write `on (...)`");
            for side in [&mut of_left, &mut of_right] {
                side.needed.entry(label.clone()).or_insert_with(|| reason.clone());
            }
        }
        let (insertions, known) = (found.insertions.len(), found.left.len());
        self.walk(left, &of_left, found);
        self.walk(right, &of_right, found);
        let shared: Vec<String> =
            left_flow.and(right_flow).ours.into_iter().filter(|label| binary.compares(label)).collect();
        if found.left.len() > known && found.insertions.len() > insertions && !shared.is_empty() {
            // Series that lack the labels would no longer match those that keep them.
            found.insertions.truncate(insertions);
            found.left.truncate(known);
            for side in [&mut of_left, &mut of_right] {
                for label in &shared {
                    let reason = format!("the other side of `{operator}` keeps `{label}`");
                    side.needed.entry(label.clone()).or_insert(reason);
                }
            }
            self.walk(left, &of_left, found);
            self.walk(right, &of_right, found);
        }
    }
}

impl Aggregation {
    /// Whether the result has this label of its series.
    fn keeps(&self, label: &String) -> bool {
        match &self.grouping {
            Grouping::By(labels) => labels.contains(label),
            Grouping::Without(labels) => !labels.contains(label),
        }
    }
}

impl Binary {
    /// Whether the series of both sides must agree in this label.
    fn compares(&self, label: &String) -> bool {
        match (&self.matching.on, &self.matching.ignoring) {
            (Some(on), _) => on.contains(label),
            (_, Some(ignored)) => !ignored.contains(label),
            _ => true,
        }
    }
}

/// Functions of each series alone, and of one moment.
const ELEMENTWISE: [&str; 23] = [
    "abs",
    "ceil",
    "floor",
    "round",
    "sgn",
    "sqrt",
    "exp",
    "ln",
    "log2",
    "log10",
    "clamp",
    "clamp_max",
    "clamp_min",
    "label_replace",
    "label_join",
    "sort",
    "sort_desc",
    "timestamp",
    "minute",
    "hour",
    "day_of_month",
    "month",
    "year",
];

fn is_set_operator(operator: &str) -> bool {
    matches!(operator, "and" | "or" | "unless")
}

/// Whether the result is one number.
fn is_scalar(expression: &Expression) -> bool {
    match &expression.kind {
        Kind::Number => true,
        Kind::Wrapped(of) => is_scalar(of),
        Kind::Call { function, .. } => matches!(&**function, "time" | "scalar" | "pi"),
        Kind::Binary(binary) => is_scalar(&binary.left) && is_scalar(&binary.right),
        _ => false,
    }
}

/// The expression in all parentheses.
fn innermost(expression: &Expression) -> &Expression {
    match &expression.kind {
        Kind::Wrapped(of) => innermost(of),
        _ => expression,
    }
}

fn wrap(operator: &str, labels: &[String], expression: &Expression, found: &mut Rewritten) {
    found.insertions.push((expression.place.start, format!("{operator} without ({}) (", labels.join(", "))));
    found.insertions.push((expression.place.end, ")".to_owned()));
}

/// Why a selector that selects by one of these labels of the target cannot hold.
fn selection(selector: &Selector, lost: &[String]) -> Option<String> {
    let selects = |matcher: &&Matcher| lost.contains(&matcher.label) && !always_holds(matcher);
    let matcher = selector.matchers.iter().find(selects)?;
    Some(format!("it selects by `{}`, a label of the target", matcher.label))
}

/// Whether a matcher of a label of the target selects all targets.
fn always_holds(matcher: &Matcher) -> bool {
    matches!((matcher.operator, &*matcher.value), ("=~", ".*" | ".+") | ("!=", ""))
}

/// Whether a name satisfies a matcher of `__name__`. A pattern that cannot be read fits all names.
fn holds(matcher: &Matcher, name: &str) -> bool {
    let fits = || regex::Regex::new(&format!("^(?s:{})$", matcher.value)).is_ok_and(|pattern| pattern.is_match(name));
    match matcher.operator {
        "=" => matcher.value == name,
        "!=" => matcher.value != name,
        "=~" => fits(),
        _ => !fits(),
    }
}
