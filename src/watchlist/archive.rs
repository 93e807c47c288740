//! Lists packed as they are downloaded: unpacks gzip and zip on the way, with a bound on what comes out.

use std::cell::Cell;
use std::io::{self, Cursor, Read};

use flate2::read::MultiGzDecoder;
use zip::ZipArchive;
use zip::result::ZipError;

use super::fault::whole_fault;

/// The largest zip archive, which is held in memory: its table stands at its end.
const ARCHIVE: u64 = 256 << 20;
/// The largest file of remarks beside OFAC's sdn.csv, which is held in memory.
const COMMENTS: u64 = 64 << 20;

/// How far a file may expand.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes in all.
    pub bytes: u64,
    /// Bytes that no ratio is asked of.
    pub free: u64,
    /// How many times its packed size it may have beyond these. Lists have at most some 20, deflate up to 1,032.
    pub ratio: u64,
}

/// The limits of lists.
pub const LIMITS: Limits = Limits { bytes: 8 << 30, free: 64 << 20, ratio: 200 };

/// What a file that begins with these bytes is packed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zip,
}

/// Hands the content of a file, which begins with `head`, to `read`: unpacked if it is packed, else as it is. Reads the file to its end.
///
/// # Errors
/// Those of the input and of `read`; a fault for an archive that can't be read, or that expands beyond the limits.
pub fn unpack<T, E: From<io::Error>>(
    head: &[u8],
    input: &mut dyn Read,
    limits: Limits,
    read: &mut dyn FnMut(&mut dyn Read) -> Result<T, E>,
) -> Result<T, E> {
    let mut whole = Cursor::new(head).chain(input);
    let packing = match head {
        [0x1f, 0x8b, ..] => Some(Packing::Gzip),
        // An archive without files begins with its end.
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Packing::Zip),
        _ => None,
    };
    let result = match packing {
        None => read(&mut whole),
        Some(Packing::Gzip) => {
            let packed = Cell::new(0);
            let content = MultiGzDecoder::new(Counted { input: &mut whole, count: &packed });
            read(&mut Expanding { content, packed: &packed, expanded: 0, limits })
        }
        Some(Packing::Zip) => unpack_zip(&mut whole, limits, read),
    }?;
    // The digest is of all bytes, also of those that a format leaves unread.
    io::copy(&mut whole, &mut io::sink())?;
    Ok(result)
}

fn unpack_zip<T, E: From<io::Error>>(
    input: &mut dyn Read,
    limits: Limits,
    read: &mut dyn FnMut(&mut dyn Read) -> Result<T, E>,
) -> Result<T, E> {
    let mut bytes = Vec::new();
    input.take(ARCHIVE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > ARCHIVE {
        return Err(whole_fault(format!("the zip archive is larger than {ARCHIVE} bytes; unpack it")).into());
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    let Members { list, comments } = members(&mut archive)?;
    let mut further = Vec::new();
    if let Some(place) = comments {
        let file = archive.by_index(place).map_err(broken)?;
        let packed = Cell::new(file.compressed_size());
        let content = Expanding { content: file, packed: &packed, expanded: 0, limits };
        content.take(COMMENTS + 1).read_to_end(&mut further)?;
        if further.len() as u64 > COMMENTS {
            return Err(whole_fault(format!("the file of comments is larger than {COMMENTS} bytes")).into());
        }
    }
    let file = archive.by_index(list).map_err(broken)?;
    let packed = Cell::new(file.compressed_size());
    let mut content = Expanding { content: file, packed: &packed, expanded: 0, limits };
    let result = read(&mut (&mut content).chain(Cursor::new(&further)))?;
    // The checksum is checked at the end.
    io::copy(&mut content, &mut io::sink())?;
    Ok(result)
}

/// The files of an archive that make the list.
struct Members {
    list: usize,
    comments: Option<usize>,
}

/// The only file of an archive; of OFAC's archive of many files sdn.csv and the comments that go with it.
fn members(archive: &mut ZipArchive<Cursor<Vec<u8>>>) -> io::Result<Members> {
    let mut files = Vec::new();
    for place in 0..archive.len() {
        let file = archive.by_index_raw(place).map_err(broken)?;
        let name = file.name().map_err(broken)?.to_ascii_lowercase();
        let base = name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        if !file.is_dir() && !name.starts_with("__macosx/") && base != ".ds_store" {
            files.push((place, base));
        }
    }
    let place_of = |wanted: &str| files.iter().find(|(_, base)| base == wanted).map(|(place, _)| *place);
    match (&files[..], place_of("sdn.csv")) {
        ([(place, _)], _) => Ok(Members { list: *place, comments: None }),
        (_, Some(list)) => Ok(Members { list, comments: place_of("sdn_comments.csv") }),
        _ => {
            let what = format!("the zip archive holds {} files; unpack it, and name the list itself", files.len());
            Err(whole_fault(what))
        }
    }
}

fn broken(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(error) => error,
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) | ZipError::InvalidPassword => {
            whole_fault("the zip archive is encrypted, or packed otherwise than by deflate; unpack it")
        }
        _ => whole_fault("the zip archive is damaged; download it again"),
    }
}

/// Counts what is read of a packed input.
struct Counted<'c, R> {
    input: R,
    count: &'c Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(into)?;
        self.count.set(self.count.get() + length as u64);
        Ok(length)
    }
}

/// What comes out of a packed input, up to the limits.
struct Expanding<'c, R> {
    content: R,
    packed: &'c Cell<u64>,
    expanded: u64,
    limits: Limits,
}

impl<R: Read> Read for Expanding<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.content.read(into)?;
        self.expanded += length as u64;
        let Limits { bytes, free, ratio } = self.limits;
        if self.expanded > bytes {
            return Err(whole_fault(format!(
                "it expands to more than {bytes} bytes, the limit of packed lists; unpack it"
            )));
        }
        if self.expanded > free && self.expanded / ratio > self.packed.get() {
            let what = format!("it expands to more than {ratio} times its size, the limit of packed lists; unpack it");
            return Err(whole_fault(what));
        }
        Ok(length)
    }
}
