//! A small disk for one test, which can be filled up and freed.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A small file system in a mount namespace of its own, reached through the process that keeps it; it ends with that process.
pub struct SmallDisk {
    keeper: Child,
    /// The mount point, which only the keeper sees.
    _at: TempDir,
    root: PathBuf,
}

impl SmallDisk {
    /// `None` if the kernel doesn't let this user mount, not even in a user namespace.
    pub fn new(mebibytes: usize) -> Option<Self> {
        [&["--mount"][..], &["--user", "--map-root-user", "--mount"]]
            .iter()
            .find_map(|means| Self::by(means, mebibytes))
    }

    fn by(means: &[&str], mebibytes: usize) -> Option<Self> {
        let at = tempfile::tempdir().expect("a folder to mount on");
        let script = format!("mount -t tmpfs -o size={mebibytes}m none \"$0\" && echo ready && exec sleep 3600");
        let mut command = Command::new("unshare");
        command.args(means).args(["sh", "-c", &script]).arg(at.path());
        let mut keeper = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let mut said = String::new();
        BufReader::new(keeper.stdout.take()?).read_line(&mut said).ok()?;
        let inside = at.path().strip_prefix("/").expect("temporary folders have absolute paths");
        let root = Path::new("/proc").join(keeper.id().to_string()).join("root").join(inside);
        let disk = Self { keeper, _at: at, root };
        (said == "ready\n").then_some(disk)
    }

    /// Its root folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn ballast(&self) -> PathBuf {
        self.root.join("ballast")
    }

    /// Removes the file that fills it up.
    pub fn free(&self) {
        fs::remove_file(self.ballast()).expect("the disk was filled");
    }

    /// Fills it up, except for `bytes`.
    pub fn leave(&self, bytes: u64) {
        let size = fill(&self.ballast());
        let kept = size.saturating_sub(bytes);
        fs::File::options()
            .write(true)
            .open(self.ballast())
            .and_then(|file| file.set_len(kept))
            .expect("a file of the test");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The keeper may have ended by itself.
        self.keeper.kill().ok();
        self.keeper.wait().ok();
    }
}

/// The unit in which tmpfs allocates.
pub const PAGE: u64 = 4096;

/// Writes a file until the disk is full; returns its size.
fn fill(path: &Path) -> u64 {
    let (mut file, page) = (fs::File::create(path).expect("a file of the test"), [0x55; 4096]);
    while file.write_all(&page).is_ok() {}
    file.metadata().expect("a file of the test").len()
}
