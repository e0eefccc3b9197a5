//! Files as a tar stream: what an engine takes as a build context, and to put files into a container.

use std::io;
use std::path::Path;

/// Most bytes of a folder that is sent to an engine; more is a mistake in the path, not an image.
const MOST_CONTEXT_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// A folder with everything below it. Symbolic links stay links.
pub(crate) fn folder(path: &Path) -> io::Result<Vec<u8>> {
    let size = size_of(path)?;
    if size > MOST_CONTEXT_BYTES {
        return Err(io::Error::other(format!(
            "the folder holds {size} bytes, more than the {MOST_CONTEXT_BYTES} that are sent to an engine"
        )));
    }
    let mut builder = tar::Builder::new(Vec::new());
    builder.follow_symlinks(false);
    builder.append_dir_all(".", path)?;
    builder.into_inner()
}

/// Files by absolute path, readable by all.
pub(crate) fn files<'a>(files: impl IntoIterator<Item = (&'a Path, &'a [u8])>) -> io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::Regular);
        let relative = path.strip_prefix("/").unwrap_or(path);
        builder.append_data(&mut header, relative, content)?;
    }
    builder.into_inner()
}

/// An archive with nothing in it.
pub(crate) fn empty() -> io::Result<Vec<u8>> {
    tar::Builder::new(Vec::new()).into_inner()
}

fn size_of(path: &Path) -> io::Result<u64> {
    let mut total = 0;
    let mut waiting = vec![path.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            } else {
                total += entry.metadata()?.len();
            }
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_keep_their_place_and_content() {
        let archive = files([(Path::new("/etc/dfaas/key.pem"), b"key".as_slice())]).unwrap();
        let mut archive = tar::Archive::new(archive.as_slice());
        let mut entries = archive.entries().unwrap();
        let mut entry = entries.next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap(), Path::new("etc/dfaas/key.pem"));
        let mut content = String::new();
        io::Read::read_to_string(&mut entry, &mut content).unwrap();
        assert_eq!(content, "key");
        assert!(entries.next().is_none());
    }

    #[test]
    fn a_folder_is_sent_with_what_is_below_it() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("etc")).unwrap();
        std::fs::write(directory.path().join("etc/name"), "n1").unwrap();
        std::os::unix::fs::symlink("/nowhere", directory.path().join("link")).unwrap();
        let archive = folder(directory.path()).unwrap();
        let mut paths: Vec<_> = tar::Archive::new(archive.as_slice())
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        paths.sort();
        assert!(paths.iter().any(|path| path.ends_with("etc/name")), "{paths:?}");
        assert!(paths.iter().any(|path| path.ends_with("link")), "{paths:?}");
        assert!(folder(Path::new("/nonexistent")).is_err());
    }
}
