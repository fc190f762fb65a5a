//! Small file systems of our own. Only root can mount them.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A file system that is mounted below a passing directory.
pub(super) struct Disk {
    place: TempDir,
    options: Vec<String>,
}

impl Disk {
    /// An ext4 file system on a loop device.
    pub(super) fn ext4(size: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let image = place.path().join("image").display().to_string();
        run("truncate", &["-s", size, &image]);
        run("mkfs.ext4", &["-q", "-F", &image]);
        Self::mounted(place, vec!["-o".to_owned(), "loop".to_owned(), image])
    }

    /// A file system in memory.
    pub(super) fn tmpfs(size: &str) -> Self {
        let options = ["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"].map(str::to_owned);
        Self::mounted(tempfile::tempdir().unwrap(), options.to_vec())
    }

    fn mounted(place: TempDir, options: Vec<String>) -> Self {
        std::fs::create_dir(place.path().join("mount")).unwrap();
        let disk = Self { place, options };
        disk.mount();
        disk
    }

    /// Where it is mounted.
    pub(super) fn path(&self) -> PathBuf {
        self.place.path().join("mount")
    }

    pub(super) fn mount(&self) {
        let path = self.path().display().to_string();
        let options = self.options.iter().map(String::as_str);
        run("mount", &options.chain([path.as_str()]).collect::<Vec<_>>());
    }

    pub(super) fn unmount(&self) {
        run("umount", &[&self.path().display().to_string()]);
    }

    /// Mounts it again with other options, while files are open.
    pub(super) fn remount(&self, options: &str) {
        let path = self.path().display().to_string();
        run("mount", &["-o", &format!("remount,{options}"), &path]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Nobody hears of a failure here: lazily, because a failed test may still hold files.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// Runs a command of the system that must succeed.
pub(super) fn run(command: &str, arguments: &[&str]) {
    let ended = Command::new(command).args(arguments).output();
    let ended = ended.unwrap_or_else(|error| panic!("cannot run {command}: {error}"));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{command} {arguments:?}: {said} (only root can do this)");
}

/// Cuts the power of an ext4 file system: whatever is not on the disk by now never will be.
pub(super) fn cut_power(mount: &Path) {
    // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH; calling it needs unsafe code in Rust.
    let shutdown = "import fcntl, os, sys\n\
                    mount = os.open(sys.argv[1], os.O_RDONLY)\n\
                    fcntl.ioctl(mount, 0x8004587D, (2).to_bytes(4, sys.byteorder))";
    run("python3", &["-c", shutdown, &mount.display().to_string()]);
}
