//! All objects of a resource, in pages, in the order of the hashes of their UIDs.
//!
//! So a change of ranges keeps, adds or removes whole pages, except for the few at the ends of ranges, and the kept pages keep
//! their compressed columns.

use super::block::Block;
use super::memo::{Memo, Memos};
use super::namespaces::{Namespaces, Number};
use super::page::{Key, Page, Slot};
use super::records::PAGE;
use super::uid::Uid;

/// The position of an object. Valid until the next change.
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
    /// The objects by namespace, if scrapes need it.
    namespaces: Option<Box<Namespaces>>,
    /// Of objects that are in the pages.
    memos: Memos,
}

impl Pages {
    /// Creates empty pages for this number of families.
    pub fn new(families: usize) -> Self {
        Self { pages: Vec::new(), families, namespaces: None, memos: Memos::default() }
    }

    /// Indexes the objects that are inserted from now on by namespace.
    pub fn index_namespaces(&mut self) {
        self.namespaces.get_or_insert_default();
    }

    /// Returns the index of the objects by namespace.
    pub fn namespaces(&self) -> Option<&Namespaces> {
        self.namespaces.as_deref()
    }

    /// Returns the number of objects.
    pub fn len(&self) -> usize {
        self.pages.iter().map(|page| page.slots().len()).sum()
    }

    /// Returns all pages.
    pub fn iter(&self) -> impl Iterator<Item = &Page> {
        self.pages.iter()
    }

    /// Returns all objects.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.pages.iter().flat_map(Page::slots)
    }

    /// Returns all objects, to change fields other than keys and series.
    pub fn slots_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.pages.iter_mut().flat_map(Page::slots_mut)
    }

    /// Returns the page that contains `key` or would contain it.
    fn number_of(&self, key: &Key) -> usize {
        self.pages.partition_point(|page| page.starts_by(key)).saturating_sub(1)
    }

    /// Returns the position of the object with this key.
    pub fn find(&self, key: &Key) -> Option<At> {
        let page = self.number_of(key);
        let slot = self.pages.get(page)?.find(key).ok()?;
        Some(At { page, slot })
    }

    /// Returns the object at a position.
    pub fn slot(&self, at: At) -> &Slot {
        &self.pages[at.page].slots()[at.slot]
    }

    /// Returns the object at a position, to change fields other than its key and series.
    pub fn slot_mut(&mut self, at: At) -> &mut Slot {
        self.pages[at.page].slot_mut(at.slot)
    }

    /// Replaces the series of the object at a position: all, or those of the families for which `shown` returns true.
    pub fn update(&mut self, at: At, block: Block, shown: Option<&dyn Fn(usize) -> bool>) {
        self.pages[at.page].update(at.slot, block, shown);
    }

    /// Returns the labels that the series of the object at a position share.
    pub fn labels(&self, at: At) -> &[u8] {
        self.pages[at.page].labels(at.slot)
    }

    /// Returns the series of the object at a position in a family. Uses `room` to assemble those that are stored as edits.
    pub fn section<'a>(&'a self, at: At, family: u16, room: &'a mut Vec<u8>) -> &'a [u8] {
        self.pages[at.page].section(at.slot, family, room)
    }

    /// Returns whether the object at a position has a series that `block` lacks.
    pub fn has_series_beside(&self, at: At, block: &Block) -> bool {
        self.pages[at.page].has_series_beside(at.slot, block)
    }

    /// Inserts an object of `namespace` whose key is not present.
    pub fn insert(&mut self, mut slot: Slot, namespace: &str) {
        if let Some(namespaces) = &mut self.namespaces {
            slot.namespace = namespaces.add(namespace, slot.key.point);
        }
        if self.pages.is_empty() {
            self.pages.push(Page::new(self.families));
        }
        let number = if self.pages[0].slots().is_empty() { 0 } else { self.number_of(&slot.key) };
        let page = &mut self.pages[number];
        if let Err(at) = page.find(&slot.key) {
            page.insert(at, slot);
        }
        if page.slots().len() > PAGE {
            let upper = page.split();
            self.pages.insert(number + 1, upper);
        }
    }

    /// Returns what is remembered of an object.
    pub fn memo(&self, uid: &Uid) -> Memo {
        self.memos.get(uid)
    }

    /// Sets what is remembered of an object that is present.
    pub fn remember(&mut self, uid: &Uid, memo: Memo) {
        self.memos.set(uid, memo);
    }

    /// Returns the memory of what is remembered, in bytes.
    pub fn memos_size(&self) -> usize {
        self.memos.size()
    }

    /// Removes the object at a position.
    pub fn remove(&mut self, at: At) {
        let slot = &self.pages[at.page].slots()[at.slot];
        self.memos.remove(&slot.key.uid);
        if let Some(namespaces) = &mut self.namespaces {
            namespaces.remove(slot.namespace, slot.key.point);
        }
        self.pages[at.page].remove(at.slot);
        let (before, here) = (at.page.checked_sub(1), at.page);
        if self.pages[here].slots().is_empty() {
            self.pages.remove(here);
        } else if self.pages[here].slots().len() < PAGE / 4 {
            // If both neighbors are too full, the page stays small.
            if !self.join(here) {
                before.map(|before| self.join(before));
            }
        }
    }

    /// Removes an object, if it is present.
    pub fn end(&mut self, key: &Key) {
        if let Some(at) = self.find(key) {
            self.remove(at);
        }
    }

    /// Keeps the objects for which `keep` returns true.
    pub fn retain(&mut self, mut keep: impl FnMut(&Slot) -> bool) {
        let Self { pages, namespaces, memos, .. } = self;
        let mut keep = |slot: &Slot| {
            let stays = keep(slot);
            if !stays {
                memos.remove(&slot.key.uid);
                if let Some(namespaces) = namespaces {
                    namespaces.remove(slot.namespace, slot.key.point);
                }
            }
            stays
        };
        for page in pages {
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

    /// Joins two small neighboring pages. Returns whether they fit.
    fn join(&mut self, lower: usize) -> bool {
        let size = |at: usize| self.pages.get(at).map_or(PAGE, |page| page.slots().len());
        if size(lower) + size(lower + 1) > PAGE / 2 {
            return false;
        }
        let upper = self.pages.remove(lower + 1);
        self.pages[lower].append(upper);
        true
    }

    /// Returns the first page with an object after `key`, settled, and the number of its objects up to `key`.
    pub fn page_after(&mut self, key: Option<&Key>) -> Option<(&Page, usize)> {
        let number = self.number_after(key);
        self.settled(number, key)
    }

    /// Returns the first page with an object of one of these namespaces after `key`, settled, the number of its objects up to `key`,
    /// and one bit per object of these namespaces.
    pub fn page_of(&mut self, namespaces: &[Number], key: Option<&Key>) -> Option<(&Page, usize, u128)> {
        let from = match key {
            None => 0,
            // Of objects with equal hashes, some may be in the next page.
            Some(key) => match self.slots_after(Some(key))?.first()?.key.point == key.point {
                true => key.point,
                false => key.point.checked_add(1)?,
            },
        };
        let index = self.namespaces()?;
        let point = namespaces.iter().filter_map(|number| index.points(*number, from..).next()).min()?;
        let first = self.pages.partition_point(|page| page.slots().last().is_some_and(|slot| slot.key.point < point));
        let number = first.max(self.number_after(key));
        let (_, past) = self.settled(number, key)?;
        let page = self.pages.get(number)?;
        let index = self.namespaces()?;
        let slots = page.slots();
        let span = slots.first()?.key.point..=slots.last()?.key.point;
        let mut mask = 0_u128;
        for number in namespaces {
            for point in index.points(*number, span.clone()) {
                let first = slots.partition_point(|slot| slot.key.point < point);
                let alike = slots.iter().enumerate().skip(first).take_while(|(_, slot)| slot.key.point == point);
                mask = alike.filter(|(_, slot)| slot.namespace == *number).fold(mask, |mask, (at, _)| mask | 1 << at);
            }
        }
        Some((page, past, mask))
    }

    /// Relabels the objects of these namespaces in the first page behind `after` that has any ([`Page::relabel`]), and moves `after` to
    /// the end of it. Returns false if there is none.
    pub fn relabel_next<'a>(
        &mut self,
        namespaces: &[Number],
        after: &mut Option<Key>,
        suffix: impl Fn(&Slot) -> Option<&'a [u8]>,
    ) -> bool {
        let Some((page, _, mask)) = self.page_of(namespaces, after.as_ref()) else { return false };
        *after = page.slots().last().map(|slot| slot.key.clone());
        let number = after.as_ref().map_or(0, |key| self.number_of(key));
        if let Some(page) = self.pages.get_mut(number) {
            page.relabel(mask, suffix);
        }
        true
    }

    fn settled(&mut self, number: usize, key: Option<&Key>) -> Option<(&Page, usize)> {
        let page = self.pages.get_mut(number)?;
        page.settle();
        let past = key.map_or(0, |key| page.slots().partition_point(|slot| slot.key <= *key));
        Some((page, past))
    }

    /// Returns the objects of the first page with an object after `key`, without those up to `key`.
    pub fn slots_after(&self, key: Option<&Key>) -> Option<&[Slot]> {
        let slots = self.pages.get(self.number_after(key))?.slots();
        let past = key.map_or(0, |key| slots.partition_point(|slot| slot.key <= *key));
        slots.get(past..)
    }

    /// Returns the number of the first page with an object after `key`.
    fn number_after(&self, key: Option<&Key>) -> usize {
        key.map_or(0, |key| self.pages.partition_point(|p| p.slots().last().is_some_and(|s| s.key <= *key)))
    }
}
