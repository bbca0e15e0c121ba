// SPDX-License-Identifier: GPL-2.0

//! The names of cgroups, which the driver knows by the inode numbers of their folders.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{DirEntryExt, MetadataExt},
    path::{Path, PathBuf},
};

/// Where cgroup 2 is mounted: alone, or beside the older one.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// The paths of all cgroups, from the root of cgroup 2 on, by the inode numbers of their folders.
#[derive(Default)]
pub struct Cgroups(BTreeMap<u64, String>);

impl Cgroups {
    /// Reads them. There are none where cgroup 2 is not mounted.
    pub fn read() -> Self {
        let mut mounts = MOUNTS.iter().map(Path::new);
        let root = mounts.find(|path| path.join("cgroup.controllers").exists());
        root.map_or_else(Self::default, Self::of)
    }

    /// Reads those below a folder. What goes meanwhile is left out.
    fn of(root: &Path) -> Self {
        let mut names = BTreeMap::new();
        if let Ok(metadata) = fs::metadata(root) {
            names.insert(metadata.ino(), "/".to_owned());
        }
        let mut folders = vec![PathBuf::from(root)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let path = entry.path();
                    let name = path.strip_prefix(root).unwrap_or(&path);
                    names.insert(entry.ino(), format!("/{}", name.display()));
                    folders.push(path);
                }
            }
        }
        Self(names)
    }

    /// The name of one: its path if it is known, or else its number.
    pub fn name(&self, inode: Option<u64>) -> String {
        match inode {
            None => "-".to_owned(),
            Some(inode) => {
                let name = self.0.get(&inode).cloned();
                name.unwrap_or_else(|| format!("#{inode}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_found_by_their_numbers() {
        let root = std::env::temp_dir().join(format!("pddgpuctl-cgroups-{}", std::process::id()));
        let inner = root.join("system.slice/a.service");
        fs::create_dir_all(&inner).unwrap();
        let cgroups = Cgroups::of(&root);
        let number = fs::metadata(&inner).unwrap().ino();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(cgroups.name(Some(number)), "/system.slice/a.service");
        assert_eq!(cgroups.name(Some(1 << 62)), format!("#{}", 1u64 << 62));
        assert_eq!(cgroups.name(None), "-");
    }
}
