//! Passwords and cookies: the type that hides them, and the files that they are read from.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::node::error::NodeError;

/// Larger than any password or cookie file; bytes.
const CAP: u64 = 4096;

/// A text that neither `Debug` nor `Display` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, to be sent to the node.
    pub(in crate::node) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Reads the first line of a password file, without its line end.
///
/// # Errors
/// [`NodeError::Settings`] if the file can't be read, is not UTF-8, is larger than 4 KiB or has an empty first line.
pub(super) fn read_password(path: &Path) -> Result<Secret, NodeError> {
    let text = match read_small(path) {
        Ok(Some(text)) => text,
        Ok(None) => {
            return Err(unusable(
                "password",
                path,
                "is larger than 4 KiB or not text: put the password alone on its first line",
            ));
        }
        Err(error) => {
            return Err(unusable(
                "password",
                path,
                &format!("cannot be read ({error}): check its path and permissions"),
            ));
        }
    };
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(unusable("password", path, "has an empty first line: put the password there"));
    }
    warn_if_others_can_read(path);
    Ok(Secret::new(line))
}

/// Reads the node's cookie file, `USER:PASSWORD`; `None` if there is none, as before the node is up.
///
/// # Errors
/// [`NodeError::Settings`] if the file exists but can't be read, with the way out.
pub(in crate::node) fn read_cookie(path: &Path) -> Result<Option<Secret>, NodeError> {
    let why = match read_small(path) {
        // bitcoind writes the cookie to a temporary file and renames it, so it replaces an empty one.
        Ok(Some(text)) if text.trim().is_empty() => return Ok(None),
        Ok(Some(text)) if text.contains(':') => {
            return Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n']))));
        }
        Ok(_) => "is not a cookie of Bitcoin Core (USER:PASSWORD): check --rpc-cookie-file".to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            "cannot be read by this user: run as the node's user, or join its group and set rpccookieperms=group in \
             bitcoin.conf, or give --rpc-user with --rpc-password-file"
                .to_owned()
        }
        Err(error) => format!("cannot be read ({error}): check --rpc-cookie-file"),
    };
    Err(unusable("cookie", path, &why))
}

fn unusable(kind: &str, path: &Path, why: &str) -> NodeError {
    NodeError::Settings(format!("the {kind} file {} {why}", path.display()))
}

/// The text of a small file; `None` if it is too large or not UTF-8.
fn read_small(path: &Path) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(CAP + 1).read_to_end(&mut bytes)?;
    let small = u64::try_from(bytes.len()).is_ok_and(|len| len <= CAP);
    Ok(String::from_utf8(bytes).ok().filter(|_| small))
}

#[cfg(unix)]
fn warn_if_others_can_read(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o044 != 0) {
        tracing::warn!("the password file {} can be read by other users: run chmod 600 on it", path.display());
    }
}

#[cfg(not(unix))]
fn warn_if_others_can_read(_: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_in_neither_debug_nor_display() {
        let secret = Secret::new("canary");
        let nested = Some(("user", secret.clone()));
        for text in [format!("{secret}"), format!("{secret:?}"), format!("{nested:#?}")] {
            assert!(!text.contains("canary"), "{text}");
        }
        assert_eq!(secret.expose(), "canary");
    }

    #[test]
    fn a_password_is_the_first_line_without_its_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        for (content, password) in
            [("pass", "pass"), ("pass\n", "pass"), ("pass\r\n", "pass"), (" p a ss \nrest\n", " p a ss ")]
        {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read_password(&path).unwrap().expose(), password, "{content:?}");
        }
    }

    #[test]
    fn a_password_file_that_cannot_be_used_is_named_and_its_content_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let big = "canary".repeat(1000);
        for content in ["".as_bytes(), b"\ncanary\n", big.as_bytes(), b"canary\xff"] {
            std::fs::write(&path, content).unwrap();
            let error = read_password(&path).unwrap_err();
            assert!(error.is_usage());
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
        assert!(read_password(&dir.path().join("none")).unwrap_err().is_usage());
    }

    #[test]
    fn a_missing_or_empty_cookie_is_not_an_error_but_another_text_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".cookie");
        assert_eq!(read_cookie(&path).unwrap(), None);
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(read_cookie(&path).unwrap(), None);
        std::fs::write(&path, "__cookie__:abc").unwrap();
        assert_eq!(read_cookie(&path).unwrap(), Some(Secret::new("__cookie__:abc")));
        std::fs::write(&path, "something").unwrap();
        assert!(read_cookie(&path).unwrap_err().is_usage());
    }
}
