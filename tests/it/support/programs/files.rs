//! Files and folders as tests handle them.

use std::fs;
use std::path::Path;

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("the paths of tests are plain text")
}

/// Copies the content of a folder into another, which is made if needed; files of the same names are overwritten.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder of the test");
    for entry in fs::read_dir(from).expect("a folder to copy") {
        let path = entry.expect("the folder reads").path();
        let target = to.join(path.file_name().expect("a file has a name"));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).expect("the file is readable and there is space");
        }
    }
}
