use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::watchlist::ListOptions;

const TERMS: Terms = Terms { chain: Chain::Main, from: 0, accept_quarantined: false, accept_shrink: false };
const SECOND: Duration = Duration::from_secs(1);

/// A folder of lists, and a clock that tests set forward.
struct WatchedLists {
    dir: TempDir,
    now: Instant,
    watch: ListWatch,
}

/// A list of `count` scripts, numbered from `first`.
fn lines(first: u16, count: u16) -> String {
    (first..first + count).map(|number| format!("script:6a02{number:04x} n{number}\n")).collect()
}

impl WatchedLists {
    fn new(files: &[(&str, &str)]) -> Self {
        Self::with(TERMS, files)
    }

    fn with(terms: Terms, files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let file =
            |(name, _): &(&str, &str)| WatchFile { path: dir.path().join(name), options: ListOptions::default() };
        let now = Instant::now();
        let (watch, _) = ListWatch::new(&files.iter().map(file).collect::<Vec<_>>(), terms, now).unwrap();
        Self { dir, now, watch }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Lets time pass, then looks once.
    fn after(&mut self, time: Duration) -> Option<usize> {
        self.now += time;
        self.watch.poll(self.now).unwrap().map(|lists| lists.entries.len())
    }

    /// Looks once a second, `count` times; returns the last new number of entries.
    fn seconds(&mut self, count: u32) -> Option<usize> {
        (0..count).filter_map(|_| self.after(SECOND)).last()
    }

    /// The reasons why lists aren't up to date.
    fn stale(&self) -> Vec<String> {
        self.watch.files.iter().filter_map(|file| file.stale.clone()).collect()
    }

    fn assert_stale(&self, why: &str) {
        let stale = self.stale();
        assert!(stale.len() == 1 && stale[0].contains(why), "{why}: {stale:?}");
    }
}

#[test]
fn a_file_written_anew_with_the_same_content_is_no_change() {
    let text = lines(0, 3);
    let mut scene = WatchedLists::new(&[("a", &text)]);
    assert_eq!(scene.watch.lists().unwrap().entries.len(), 3);
    assert_eq!(scene.seconds(10), None);
    scene.write("a", &text);
    assert_eq!(scene.seconds(10), None);
    fs::rename(scene.path("a"), scene.path("b")).unwrap();
    scene.write("a", &text);
    assert_eq!(scene.seconds(10), None);
    assert!(scene.stale().is_empty());
}

#[test]
fn a_change_is_taken_in_once_the_file_is_left_alone() {
    let mut scene = WatchedLists::new(&[("a", &lines(0, 3))]);
    assert_eq!(scene.seconds(10), None);
    scene.write("a", &lines(0, 4));
    assert_eq!(scene.after(SECOND), None, "it was just seen for the first time");
    assert_eq!(scene.after(SECOND / 2), None);
    assert_eq!(scene.after(SECOND), Some(4));
    assert_eq!(scene.seconds(10), None);
    let taken = scene.watch.lists().unwrap().taken;
    assert_eq!((taken.files.len(), taken.files[0].accepted), (1, 4));
    assert_eq!(taken.files[0].sha256, sha256::Hash::hash(lines(0, 4).as_bytes()).to_string());
    assert_eq!(taken.files[0].path, scene.path("a").canonicalize().unwrap().display().to_string());
}

#[test]
fn a_second_change_of_the_same_length_right_after_the_first_is_seen() {
    let mut scene = WatchedLists::new(&[("a", &lines(10, 3))]);
    // Within one tick of the file system's clock there may be no trace of it but the content.
    scene.write("a", &lines(20, 3));
    assert_eq!(scene.seconds(3), Some(3));
    let has = |scene: &WatchedLists, number: u16| {
        scene
            .watch
            .lists()
            .unwrap()
            .entries
            .values()
            .any(|entry| entry.script.as_bytes().ends_with(&number.to_be_bytes()))
    };
    assert!(has(&scene, 22) && !has(&scene, 12));
    scene.write("a", &lines(30, 3));
    scene.write("a", &lines(40, 3));
    assert_eq!(scene.seconds(3), Some(3));
    assert!(has(&scene, 42) && !has(&scene, 32));
}

#[test]
fn editors_that_replace_a_file_and_links_that_move_to_another_are_followed() {
    let mut scene = WatchedLists::new(&[("a", &lines(0, 3))]);
    scene.write("a.new", &lines(0, 5));
    fs::rename(scene.path("a.new"), scene.path("a")).unwrap();
    assert_eq!(scene.seconds(3), Some(5));

    // As a mounted configuration changes: the link is replaced, no file is.
    scene.write("v1", &lines(0, 6));
    scene.write("v2", &lines(0, 7));
    let link_to = |scene: &WatchedLists, version: &str| {
        std::os::unix::fs::symlink(scene.path(version), scene.path("link")).unwrap();
        fs::rename(scene.path("link"), scene.path("a")).unwrap();
    };
    link_to(&scene, "v1");
    assert_eq!(scene.seconds(3), Some(6));
    link_to(&scene, "v2");
    assert_eq!(scene.seconds(3), Some(7));
    assert!(scene.watch.lists().unwrap().taken.files[0].path.ends_with("/v2"));
}

#[test]
fn a_file_that_cannot_be_used_keeps_its_last_usable_content_until_it_can() {
    type FileFault = fn(&Path);
    let spoils: [(FileFault, &str); 5] = [
        (|path| fs::remove_file(path).unwrap(), "No such file"),
        (|path| fs::write(path, "").unwrap(), "no row at all"),
        (|path| fs::write(path, b"\0\0\0\0\0\0\0\n").unwrap(), "not text"),
        (|path| fs::write(path, "nonsense here\n").unwrap(), "no valid row"),
        (
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            "irectory",
        ),
    ];
    for (spoil, why) in spoils {
        let mut scene = WatchedLists::new(&[("a", &lines(0, 3)), ("b", &lines(100, 2))]);
        let before = scene.watch.lists().unwrap();
        spoil(&scene.path("a"));
        assert_eq!(scene.after(SECOND / 10), None);
        assert!(scene.stale().is_empty(), "a fault of a moment is not reported");
        assert_eq!(scene.seconds(60), None);
        scene.assert_stale(why);
        let now = scene.watch.lists().unwrap();
        assert_eq!((&now.entries, &now.taken), (&before.entries, &before.taken));

        // Changes of the other list are taken in meanwhile, beside the last usable content of this one.
        scene.write("b", &lines(100, 4));
        assert_eq!(scene.seconds(3), Some(7), "{why}");
        scene.assert_stale(why);
        if scene.path("a").is_dir() {
            fs::remove_dir(scene.path("a")).unwrap();
        }
        scene.write("a", &lines(0, 3));
        assert_eq!(scene.seconds(3), None, "the content is the old one");
        assert!(scene.stale().is_empty(), "{why}: {:?}", scene.stale());
        spoil(&scene.path("a"));
        scene.seconds(8);
        scene.assert_stale(why);
        if scene.path("a").is_dir() {
            fs::remove_dir(scene.path("a")).unwrap();
        }
        scene.write("a", &lines(0, 5));
        assert_eq!(scene.seconds(3), Some(9));
        assert!(scene.stale().is_empty());
    }
}

#[test]
fn a_file_that_keeps_growing_is_taken_in_once_it_stops() {
    let mut scene = WatchedLists::new(&[("a", &lines(0, 3))]);
    scene.write("a", "");
    for number in 0..100 {
        fs::OpenOptions::new()
            .append(true)
            .open(scene.path("a"))
            .unwrap()
            .write_all(lines(number, 1).as_bytes())
            .unwrap();
        assert_eq!(scene.after(SECOND * 3 / 4), None);
    }
    scene.assert_stale("keeps changing");
    assert_eq!(scene.seconds(3), Some(100));
    assert!(scene.stale().is_empty());
}

#[test]
fn a_file_that_ends_within_a_line_is_given_longer() {
    let (whole, cut) = (lines(0, 6), lines(0, 6).trim_end().to_owned());
    let mut scene = WatchedLists::new(&[("a", &lines(0, 3))]);
    scene.write("a", &cut[..cut.len() - 6]);
    assert_eq!(scene.seconds(10), None);
    scene.assert_stale("ends within a line");
    scene.write("a", &whole);
    assert_eq!(scene.seconds(3), Some(6));
    assert!(scene.stale().is_empty());

    // Its writer may simply not end the last line.
    scene.write("a", &cut);
    assert_eq!(scene.seconds(20), None);
    assert_eq!(scene.seconds(15), Some(6));
    assert!(scene.stale().is_empty());
    let more = lines(0, 8);
    scene.write("a", more.trim_end());
    assert_eq!(scene.seconds(3), Some(8), "the last usable content ended so too");
}

#[test]
fn a_list_that_loses_more_than_a_tenth_of_its_rows_is_refused_unless_that_is_accepted() {
    for (left, refused) in [(19, false), (18, false), (17, true), (1, true)] {
        for accept_shrink in [false, true] {
            let mut scene = WatchedLists::with(Terms { accept_shrink, ..TERMS }, &[("a", &lines(0, 20))]);
            scene.write("a", &lines(0, left));
            let expected = (!refused || accept_shrink).then_some(usize::from(left));
            assert_eq!(scene.seconds(40), expected, "{left} left");
            assert_eq!(scene.stale().len(), usize::from(expected.is_none()));
            scene.write("a", &lines(0, 25));
            assert_eq!(scene.seconds(3), Some(25));
            assert!(scene.stale().is_empty());
        }
    }
}

#[test]
fn quarantined_rows_are_accepted_in_the_lists_of_the_start_only() {
    let mut scene = WatchedLists::with(
        Terms { accept_quarantined: true, ..TERMS },
        &[("a", &format!("{}nonsense\n", lines(0, 3)))],
    );
    let taken = scene.watch.lists().unwrap().taken;
    assert!(taken.quarantine_accepted && taken.quarantined() == 1);
    scene.write("a", &format!("{}nonsense\nmore of it\n", lines(0, 3)));
    assert_eq!(scene.seconds(3), Some(3));
    let taken = scene.watch.lists().unwrap().taken;
    assert!(!taken.quarantine_accepted && taken.quarantined() == 2);
}

#[test]
fn a_pipe_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let to = path.clone();
    let writer = std::thread::spawn(move || fs::write(to, lines(0, 3)).unwrap());
    let now = Instant::now();
    let file = WatchFile { path, options: ListOptions::default() };
    let (mut watch, lists) = ListWatch::new(&[file], TERMS, now).unwrap();
    writer.join().unwrap();
    assert_eq!(lists.entries.len(), 3);
    assert_eq!(watch.lists().unwrap().entries, lists.entries);
    assert!(watch.poll(now + SECOND).unwrap().is_none() && watch.files[0].stale.is_none());
}

#[test]
fn at_the_start_a_list_that_cannot_be_used_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let files = [WatchFile { path: path.clone(), options: ListOptions::default() }];
    assert!(matches!(ListWatch::new(&files, TERMS, Instant::now()), Err(Error::ListFile { .. })));
    fs::write(&path, "").unwrap();
    assert!(matches!(ListWatch::new(&files, TERMS, Instant::now()), Err(Error::List(_))));
}
