//! How many heights are under way at a time: the one who sends them out waits here until there is room for one more.
//!
//! Blocks that are read are counted apart from those that aren't: so the blocks that matter, however far from each other, are read
//! at the same time.

use crossbeam_channel::Receiver;

use super::interest::WINDOW;

/// Heights under way whose blocks aren't read: some 22 kB each, where filters rule them out.
const AHEAD: usize = 1024;

/// How a height goes from the headers to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Its block is read on the way.
    Read,
    /// It isn't.
    Unread,
}

/// How many heights are under way, as the one who sends them out counts them.
pub struct Room {
    /// Of those that came to their end.
    left: Receiver<Way>,
    read: usize,
    unread: usize,
}

impl Room {
    /// Empty; `left` tells of each height that came to its end, how it went.
    pub fn new(left: Receiver<Way>) -> Self {
        Self { left, read: 0, unread: 0 }
    }

    /// Waits until there is room for one more; `false` where none leaves any more.
    pub fn enter(&mut self, way: Way) -> bool {
        while let Ok(left) = self.left.try_recv() {
            self.leave(left);
        }
        loop {
            let (count, most) = self.count(way);
            if *count < most {
                *count += 1;
                return true;
            }
            match self.left.recv() {
                Ok(left) => self.leave(left),
                Err(_) => return false,
            }
        }
    }

    fn leave(&mut self, way: Way) {
        *self.count(way).0 -= 1;
    }

    fn count(&mut self, way: Way) -> (&mut usize, usize) {
        match way {
            Way::Read => (&mut self.read, WINDOW),
            Way::Unread => (&mut self.unread, AHEAD),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossbeam_channel::unbounded;

    use super::*;

    #[test]
    fn each_kind_has_room_of_its_own_and_the_next_waits_until_one_of_its_kind_has_left() {
        let (leave, left) = unbounded();
        let mut room = Room::new(left);
        assert!((0..WINDOW).all(|_| room.enter(Way::Read)));
        assert!((0..AHEAD).all(|_| room.enter(Way::Unread)), "there is room beside blocks");
        for way in [Way::Unread, Way::Read] {
            leave.send(Way::Unread).unwrap();
            let leaver = leave.clone();
            let later = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                leaver.send(way).unwrap();
            });
            assert!(room.enter(way));
            later.join().unwrap();
            assert!(room.read <= WINDOW && room.unread <= AHEAD, "{} {}", room.read, room.unread);
        }
        leave.send(Way::Read).unwrap();
        drop(leave);
        assert!(room.enter(Way::Read) && !room.enter(Way::Read), "nobody leaves any more");
    }
}
