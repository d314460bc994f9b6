//! Counts the fields of an object that cannot be read, for example a number where a text belongs.
//!
//! Such a field is left out and costs the object only the series that need it. A text that is not Unicode is served with U+FFFD. Knows nothing of encodings.

use std::cell::{Cell, RefCell};

/// Maximum length of a noted name in bytes. Names of map entries come from the object.
const LONGEST_NAME: usize = 100;

/// The note for a text with bytes that are not Unicode, which are served as U+FFFD.
pub const NOT_UNICODE: &str = "a text that is not Unicode";

/// The unreadable fields of one object, or of several.
#[derive(Debug, Default)]
pub struct Unreadable {
    count: Cell<u64>,
    first: RefCell<String>,
}

impl Unreadable {
    /// Notes a field or an entry of a map by its name.
    pub fn note(&self, name: &str) {
        if self.count.replace(self.count.get() + 1) == 0 {
            name[..name.floor_char_boundary(LONGEST_NAME)].clone_into(&mut self.first.borrow_mut());
        }
    }

    /// Forgets the noted fields.
    pub fn reset(&self) {
        self.count.set(0);
        self.first.borrow_mut().clear();
    }

    /// Returns the number of noted fields.
    pub const fn count(&self) -> u64 {
        self.count.get()
    }

    /// Returns the name of the first noted field, shortened; empty if there is none.
    pub fn first(&self) -> String {
        self.first.borrow().clone()
    }
}
