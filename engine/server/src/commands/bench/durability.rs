//! The disk below a measurement: its file system, the cost of a sync on it, and the bytes of files.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

/// The number of syncs whose median is taken.
const SYNCS: usize = 64;

/// The bytes that each sync follows: a page of the log.
const SYNC_BYTES: usize = 4_096;

/// File systems without a disk.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// The way in which the measured server keeps records.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Durability {
    /// The durability with which every figure is measured.
    pub(super) commit: &'static str,
    /// The file system of the temporary database; none if the system does not report it.
    pub(super) file_system: Option<String>,
    /// The median time to write a page and sync it there, in milliseconds.
    pub(super) sync_ms: f64,
}

impl Durability {
    /// Measures the disk of a folder.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let absolute = folder.canonicalize()?;
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Ok(Self {
            commit: "each commit is synced to the disk before its answers",
            file_system: file_system(&absolute, &mounts),
            sync_ms: sync_time(folder)?.as_secs_f64() * 1e3,
        })
    }

    /// Returns the warning if records do not reach a disk.
    pub(super) fn warning(&self) -> Option<String> {
        let name = self.file_system.as_deref()?;
        IN_MEMORY.contains(&name).then(|| {
            format!(
                "{name} keeps files in memory, so a sync costs nothing and no record would survive a power cut; name a \
                 folder on a disk with --folder"
            )
        })
    }
}

/// Finds the file system of a folder: the mount with the longest path above it, and the last one if several have that
/// path.
fn file_system(folder: &Path, mounts: &str) -> Option<String> {
    let mut found: Option<(usize, String)> = None;
    for line in mounts.lines() {
        let Some((before, after)) = line.split_once(" - ") else {
            continue;
        };
        let Some(path) = before.split(' ').nth(4) else {
            continue;
        };
        // Spaces and similar characters are written as octal numbers in the list (proc_pid_mountinfo(5)).
        let path = path.replace("\\040", " ");
        let name = after.split(' ').next().unwrap_or_default();
        let is_longer = found
            .as_ref()
            .is_none_or(|(length, _)| path.len() >= *length);
        if folder.starts_with(&path) && is_longer {
            found = Some((path.len(), name.to_owned()));
        }
    }
    found.map(|(_, name)| name)
}

fn sync_time(folder: &Path) -> io::Result<Duration> {
    let path = folder.join("sync-cost");
    let mut file = File::create(&path)?;
    let page = [7; SYNC_BYTES];
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    std::fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times.get(SYNCS / 2).copied().unwrap_or_default())
}

/// Returns the total size of all files below a folder, in bytes.
pub(super) fn bytes_below(folder: &Path) -> io::Result<u64> {
    let mut bytes: u64 = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // Files of the index are created and removed while they are listed.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let size = if metadata.is_dir() {
            bytes_below(&entry.path()).unwrap_or(0)
        } else if metadata.is_file() {
            metadata.len()
        } else {
            0
        };
        bytes = bytes.saturating_add(size);
    }
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:26 / /tmp rw,nosuid - tmpfs tmpfs rw
31 30 254:1 / /tmp/my\\040disk rw shared:1 - xfs /dev/vdb rw
";

    #[test]
    fn a_folder_has_the_file_system_of_the_nearest_mount() {
        for (folder, name) in [
            ("/srv", "ext4"),
            ("/tmp", "tmpfs"),
            ("/tmp/a", "tmpfs"),
            ("/tmp/my disk/a", "xfs"),
            ("/tmpfile", "ext4"),
        ] {
            assert_eq!(
                file_system(Path::new(folder), MOUNTS).as_deref(),
                Some(name),
                "{folder}"
            );
        }
        assert_eq!(file_system(Path::new("/srv"), ""), None);
    }

    #[test]
    fn a_file_system_in_memory_is_warned_about() {
        let durability = |name: &str| Durability {
            commit: "",
            file_system: Some(name.into()),
            sync_ms: 0.0,
        };
        let warning = durability("tmpfs").warning().unwrap();
        assert!(warning.contains("--folder"), "{warning}");
        assert_eq!(durability("ext4").warning(), None);
    }

    #[test]
    fn a_disk_is_measured_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        std::fs::write(folder.path().join("inner/file"), [0; 100]).unwrap();
        assert!(Durability::of(folder.path()).unwrap().sync_ms > 0.0);
        assert_eq!(bytes_below(folder.path()).unwrap(), 100);
    }
}
