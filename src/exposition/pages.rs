//! All objects of a resource, in pages, in the order of the hashes of their UIDs.
//!
//! So objects of a page share their fate when ranges change hands: all but the few pages at the ends of ranges are kept,
//! gained or lost as a whole, and what was deflated of them stays.

use super::Block;
use super::page::{Key, PAGE, Page, Slot};

/// Where an object is, until the next change.
#[derive(Clone, Copy, Debug)]
pub struct At {
    page: usize,
    slot: usize,
}

/// Objects by key. No page is empty.
#[derive(Debug)]
pub struct Pages {
    pages: Vec<Page>,
    families: usize,
}

impl Pages {
    /// No objects, of so many families.
    pub const fn new(families: usize) -> Self {
        Self { pages: Vec::new(), families }
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.pages.iter().map(|page| page.slots().len()).sum()
    }

    /// All pages.
    pub fn iter(&self) -> impl Iterator<Item = &Page> {
        self.pages.iter()
    }

    /// All objects.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.pages.iter().flat_map(Page::slots)
    }

    /// All objects, for what is no matter of series. Keys stay.
    pub fn slots_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.pages.iter_mut().flat_map(Page::slots_mut)
    }

    /// The page in which `key` is, or would be.
    fn page_of(&self, key: &Key) -> usize {
        self.pages.partition_point(|page| page.slots()[0].key <= *key).saturating_sub(1)
    }

    /// Where the object with this key is.
    pub fn find(&self, key: &Key) -> Option<At> {
        let page = self.page_of(key);
        let slot = self.pages.get(page)?.find(key).ok()?;
        Some(At { page, slot })
    }

    /// An object that was found.
    pub fn slot(&self, at: At) -> &Slot {
        &self.pages[at.page].slots()[at.slot]
    }

    /// An object that was found, for what is no matter of series. Its key stays.
    pub fn slot_mut(&mut self, at: At) -> &mut Slot {
        self.pages[at.page].slot_mut(at.slot)
    }

    /// Replaces the series of an object that was found.
    pub fn update(&mut self, at: At, block: Block) {
        self.pages[at.page].update(at.slot, block);
    }

    /// Adds an object that was not found.
    pub fn insert(&mut self, slot: Slot) {
        if self.pages.is_empty() {
            self.pages.push(Page::new(self.families));
        }
        let number = if self.pages[0].slots().is_empty() { 0 } else { self.page_of(&slot.key) };
        let page = &mut self.pages[number];
        if let Err(at) = page.find(&slot.key) {
            page.insert(at, slot);
        }
        if page.slots().len() > PAGE {
            let upper = page.split();
            self.pages.insert(number + 1, upper);
        }
    }

    /// Removes an object that was found.
    pub fn remove(&mut self, at: At) {
        self.pages[at.page].remove(at.slot);
        let (before, here) = (at.page.checked_sub(1), at.page);
        if self.pages[here].slots().is_empty() {
            self.pages.remove(here);
        } else if self.pages[here].slots().len() < PAGE / 4 {
            // One of them may have no room; then the page stays small.
            if !self.join(here) {
                before.map(|before| self.join(before));
            }
        }
    }

    /// Keeps the objects that `keep` wants.
    pub fn retain(&mut self, mut keep: impl FnMut(&Slot) -> bool) {
        for page in &mut self.pages {
            page.retain(&mut keep);
        }
        self.pages.retain(|page| !page.slots().is_empty());
        let mut here = 0;
        while here + 1 < self.pages.len() {
            if self.pages[here].slots().len() >= PAGE / 4 || !self.join(here) {
                here += 1;
            }
        }
    }

    /// Makes one page of two small neighbours.
    fn join(&mut self, lower: usize) -> bool {
        let size = |at: usize| self.pages.get(at).map_or(PAGE, |page| page.slots().len());
        if size(lower) + size(lower + 1) > PAGE / 2 {
            return false;
        }
        let upper = self.pages.remove(lower + 1);
        self.pages[lower].append(upper);
        true
    }

    /// The first page that has an object behind `key`, settled; and how many of its objects are not.
    pub fn page_after(&mut self, key: Option<&Key>) -> Option<(&Page, usize)> {
        let number =
            key.map_or(0, |key| self.pages.partition_point(|p| p.slots().last().is_some_and(|s| s.key <= *key)));
        let page = self.pages.get_mut(number)?;
        page.settle();
        let past = key.map_or(0, |key| page.slots().partition_point(|slot| slot.key <= *key));
        Some((page, past))
    }
}
