//! What the first bytes of a file look like, where they aren't text.

/// What the bytes look like, if that is not text in UTF-8 or something close to it.
pub fn not_text(head: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 8] = [
        (b"\xff\xfe", "UTF-16"),
        (b"\xfe\xff", "UTF-16"),
        (b"\0\0\xfe\xff", "UTF-32"),
        (b"PK\x03\x04", "a ZIP archive or spreadsheet"),
        (b"\x1f\x8b", "compressed by gzip"),
        (b"\x28\xb5\x2f\xfd", "compressed by zstd"),
        (b"%PDF", "a PDF"),
        (b"\xd0\xcf\x11\xe0", "an old spreadsheet"),
    ];
    let magic = MAGIC.iter().find(|(start, _)| head.starts_with(start)).map(|(_, what)| *what);
    // Text in UTF-16 without a mark has a zero in about every other byte.
    let zeros = head.iter().filter(|byte| **byte == 0).count();
    magic.or_else(|| (zeros > 3 && zeros * 5 > head.len()).then_some("binary, or UTF-16 without a mark"))
}
