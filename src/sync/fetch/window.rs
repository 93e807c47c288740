//! Limits how many heights are on their way at a time: the thread that sends them out waits here for a free slot.
//!
//! Blocks that are read and blocks that are not have slots of their own, so that blocks that matter are read at the same time, however
//! far apart they are.

use crossbeam_channel::Receiver;

/// Blocks on their way that are read, at most; some 2 MB each.
pub const READ_AHEAD: usize = 48;
/// Heights on their way whose blocks are not read, at most; a filter is some 22 kB.
const UNREAD_AHEAD: usize = 1024;

/// What a height takes up on its way from the headers to the thread that applies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Its block is read.
    Read,
    /// Its block is not read.
    Unread,
}

/// The heights on their way, as counted by the thread that sends them out.
pub struct Window {
    freed: Receiver<Slot>,
    read: usize,
    unread: usize,
}

impl Window {
    /// An empty window. `freed` receives the slot of each height that was applied.
    pub fn new(freed: Receiver<Slot>) -> Self {
        Self { freed, read: 0, unread: 0 }
    }

    /// Waits for a free slot and takes it; `false` if no slot will be freed.
    pub fn enter(&mut self, slot: Slot) -> bool {
        while let Ok(freed) = self.freed.try_recv() {
            self.leave(freed);
        }
        loop {
            let (count, most) = self.count(slot);
            if *count < most {
                *count += 1;
                return true;
            }
            match self.freed.recv() {
                Ok(freed) => self.leave(freed),
                Err(_) => return false,
            }
        }
    }

    fn leave(&mut self, slot: Slot) {
        *self.count(slot).0 -= 1;
    }

    fn count(&mut self, slot: Slot) -> (&mut usize, usize) {
        match slot {
            Slot::Read => (&mut self.read, READ_AHEAD),
            Slot::Unread => (&mut self.unread, UNREAD_AHEAD),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossbeam_channel::unbounded;

    use super::*;

    #[test]
    fn each_kind_has_slots_of_its_own_and_the_next_waits_until_one_of_its_kind_is_free() {
        let (free, freed) = unbounded();
        let mut window = Window::new(freed);
        assert!((0..READ_AHEAD).all(|_| window.enter(Slot::Read)));
        assert!((0..UNREAD_AHEAD).all(|_| window.enter(Slot::Unread)), "blocks that are read don't take these");
        for slot in [Slot::Unread, Slot::Read] {
            free.send(Slot::Unread).unwrap();
            let freer = free.clone();
            let later = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                freer.send(slot).unwrap();
            });
            assert!(window.enter(slot));
            later.join().unwrap();
            assert!(window.read <= READ_AHEAD && window.unread <= UNREAD_AHEAD, "{} {}", window.read, window.unread);
        }
        free.send(Slot::Read).unwrap();
        drop(free);
        assert!(window.enter(Slot::Read) && !window.enter(Slot::Read), "no slot will be freed");
    }
}
