//! Which place is due first: for every second on which any is, a ring of the places that are.
//!
//! Schedules crowd on full minutes and hours. A million of them are due on some thousand different
//! seconds, so that the map fits a processor's caches, and a place costs eight bytes, not a key.

use std::collections::BTreeMap;

/// Places by the second at which they are due; of one second in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    /// The first place of every second.
    first: BTreeMap<i64, u32>,
    /// The neighbours of each place in the ring of its second.
    links: Vec<Link>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    before: u32,
    after: u32,
}

impl Queue {
    /// The first second, and the first place there.
    pub(super) fn first(&self) -> Option<(i64, u32)> {
        let (at, place) = self.first.first_key_value()?;
        Some((*at, *place))
    }

    /// Adds a place, which must not be there, behind all others of that second.
    pub(super) fn push(&mut self, at: i64, place: u32) {
        if self.links.len() <= place as usize {
            self.links.resize(place as usize + 1, Link::default());
        }
        let first = *self.first.entry(at).or_insert(place);
        let last = if first == place {
            place
        } else {
            self.links[first as usize].before
        };
        self.links[place as usize] = Link {
            before: last,
            after: first,
        };
        self.links[last as usize].after = place;
        self.links[first as usize].before = place;
    }

    /// Takes out a place that is there at that second.
    pub(super) fn remove(&mut self, at: i64, place: u32) {
        let Link { before, after } = self.links[place as usize];
        if after == place {
            self.first.remove(&at);
            return;
        }
        self.links[before as usize].after = after;
        self.links[after as usize].before = before;
        if let Some(first) = self.first.get_mut(&at)
            && *first == place
        {
            *first = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything in the queue, taken out from the front.
    fn drain(mut queue: Queue) -> Vec<(i64, u32)> {
        std::iter::from_fn(|| {
            let (at, place) = queue.first()?;
            queue.remove(at, place);
            Some((at, place))
        })
        .collect()
    }

    proptest! {
        /// Beside the plainest queue there is: a list that is searched.
        #[test]
        fn is_in_order_whatever_comes_and_goes(
            moves in prop::collection::vec((0_u32..12, prop::option::of(0_i64..4)), 0..200),
        ) {
            let (mut queue, mut plain) = (Queue::default(), Vec::<(i64, u32)>::new());
            for (place, to) in moves {
                if let Some(index) = plain.iter().position(|(_, other)| *other == place) {
                    let (at, _) = plain.remove(index);
                    queue.remove(at, place);
                }
                if let Some(at) = to {
                    plain.push((at, place));
                    queue.push(at, place);
                }
                prop_assert_eq!(queue.first(), plain.iter().copied().min_by_key(|(at, _)| *at));
            }
            plain.sort_by_key(|(at, _)| *at);
            prop_assert_eq!(drain(queue), plain);
        }
    }
}
