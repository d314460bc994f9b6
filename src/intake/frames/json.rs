//! Lists, Tables and watches in JSON: the text around the objects.

use std::borrow::Cow;

use super::carry::Carry;
use super::part::{FrameError, ListPart, MAX_FRAME};
use crate::intake::json::{self, Members, Scan};

/// The position in a list.
#[derive(Clone, Copy, Debug, Default)]
enum At {
    /// Before the opening brace.
    #[default]
    Start,
    /// Before a key, or the closing brace.
    Key,
    /// In a key.
    InKey(Scan),
    /// After a key.
    Colon,
    /// Before a value.
    Value,
    /// In a value.
    InValue(Scan),
    /// In `items` or `rows`, before an element or the closing bracket.
    Element,
    /// In an element.
    InElement(Scan),
    /// After the closing brace.
    End,
}

/// The members of a list that are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Member {
    Kind,
    Metadata,
    Columns,
    Items,
    #[default]
    Other,
}

/// An object whose `items` or `rows` are passed on one by one.
#[derive(Debug, Default)]
pub struct List {
    at: At,
    member: Member,
    /// `items` or `rows` began.
    has_items: bool,
    carry: Carry,
}

impl List {
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self.at, At::End)
    }

    /// Whether `items` or `rows` occurred. API servers always send them.
    pub(super) const fn has_items(&self) -> bool {
        self.has_items
    }

    pub(super) fn feed<E: From<FrameError>>(
        &mut self,
        mut chunk: &[u8],
        mut on: impl FnMut(ListPart<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            self.carry.tidy();
            match self.at {
                At::InKey(scan) | At::InValue(scan) | At::InElement(scan) => {
                    if !self.on_value(scan, &mut chunk, &mut on)? {
                        return Ok(());
                    }
                }
                _ => {
                    chunk = json::trim(chunk);
                    let Some(&byte) = chunk.first() else { return Ok(()) };
                    let (at, used) = self.on_mark(byte)?;
                    self.at = at;
                    if used {
                        chunk.split_off_first();
                    }
                }
            }
        }
    }

    /// Returns the position after the mark `byte`, and whether the mark is consumed.
    fn on_mark(&self, byte: u8) -> Result<(At, bool), FrameError> {
        Ok(match (self.at, byte) {
            (At::Start, b'{') => (At::Key, true),
            (At::Key, b',') => (At::Key, true),
            (At::Key, b'"') => (At::InKey(Scan::default()), false),
            (At::Key, b'}') => (At::End, true),
            (At::Colon, b':') => (At::Value, true),
            (At::Value, b'[') if self.member == Member::Items => (At::Element, true),
            // Go writes null for an empty list.
            (At::Value, byte) if self.member == Member::Items && byte != b'n' => return Err(FrameError::Items),
            (At::Value, _) => (At::InValue(Scan::default()), false),
            (At::Element, b',') => (At::Element, true),
            (At::Element, b']') => (At::Key, true),
            (At::Element, _) => (At::InElement(Scan::default()), false),
            _ => return Err(FrameError::Json),
        })
    }

    /// Continues in a key, value or element. Returns whether it ended in this chunk.
    fn on_value<E: From<FrameError>>(
        &mut self,
        mut scan: Scan,
        chunk: &mut &[u8],
        on: &mut impl FnMut(ListPart<'_>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let end = scan.advance(chunk);
        let size = self.carry.len() + end.unwrap_or(chunk.len());
        if size > MAX_FRAME {
            return Err(FrameError::TooLarge(size as u64).into());
        }
        let Some(end) = end else {
            self.carry.keep(chunk, size);
            *chunk = &[];
            self.at = match self.at {
                At::InKey(_) => At::InKey(scan),
                At::InValue(_) => At::InValue(scan),
                _ => At::InElement(scan),
            };
            return Ok(false);
        };
        let head = chunk.split_off(..end).unwrap_or_default();
        let value = if self.carry.len() == 0 {
            head
        } else {
            self.carry.keep(head, size);
            self.carry.hand_out()
        };
        match self.at {
            At::InKey(_) => {
                self.member = match &*json::string(value).map_err(|_| FrameError::Json)? {
                    "kind" => Member::Kind,
                    "metadata" => Member::Metadata,
                    "columnDefinitions" => Member::Columns,
                    "items" | "rows" => {
                        self.has_items = true;
                        Member::Items
                    }
                    _ => Member::Other,
                };
                self.at = At::Colon;
            }
            At::InElement(_) => {
                self.at = At::Element;
                on(ListPart::Item(value))?;
            }
            _ => {
                self.at = At::Key;
                match self.member {
                    Member::Kind => on(ListPart::Kind(&json::string(value).map_err(|_| FrameError::Json)?))?,
                    Member::Metadata => metadata(value, on)?,
                    Member::Columns => on(ListPart::Columns(value))?,
                    Member::Items | Member::Other => {}
                }
            }
        }
        Ok(true)
    }
}

fn metadata<E: From<FrameError>>(value: &[u8], on: &mut impl FnMut(ListPart<'_>) -> Result<(), E>) -> Result<(), E> {
    let read = || -> Result<_, json::Malformed> {
        let (mut version, mut next) = (Cow::Borrowed(""), Cow::Borrowed(""));
        let mut members = Members::of(value)?;
        while let Some(key) = members.next_key()? {
            match &*key {
                "resourceVersion" => version = members.text()?,
                "continue" => next = members.text()?,
                _ => {}
            }
        }
        Ok((version, next))
    };
    let (version, next) = read().map_err(|_| FrameError::Json)?;
    on(ListPart::Metadata { version: &version, next: &next })
}

/// One frame per line; empty lines are skipped.
#[derive(Debug, Default)]
pub struct Lines {
    carry: Carry,
}

impl Lines {
    pub(super) fn feed<E: From<FrameError>>(
        &mut self,
        mut chunk: &[u8],
        mut on: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            self.carry.tidy();
            let end = memchr::memchr(b'\n', chunk);
            let size = self.carry.len() + end.unwrap_or(chunk.len());
            if size > MAX_FRAME {
                return Err(FrameError::TooLarge(size as u64).into());
            }
            let Some(end) = end else {
                self.carry.keep(chunk, size);
                return Ok(());
            };
            let (head, tail) = chunk.split_at_checked(end).unwrap_or_default();
            chunk = tail.get(1..).unwrap_or_default();
            let line = if self.carry.len() == 0 {
                head
            } else {
                self.carry.keep(head, size);
                self.carry.hand_out()
            };
            if !line.trim_ascii().is_empty() {
                on(line)?;
            }
        }
    }
}
