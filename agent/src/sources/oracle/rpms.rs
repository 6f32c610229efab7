//! Packages of our making, as rpmbuild makes them, and what installs them.
//!
//! Debian's rpm and dnf keep their database in the home of whoever asks; a home of the test's own
//! tells them to keep it where distributions do.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{asked, said};

/// Where the packages are built, and the home of those who install them.
pub(crate) struct Rpms {
    folder: TempDir,
}

/// Where distributions keep the database, below the root.
pub(crate) const DATABASE: &str = "/usr/lib/sysimage/rpm";

impl Rpms {
    /// Nothing where rpmbuild is not installed.
    pub(crate) fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let macros = format!("%_dbpath {DATABASE}\n");
        std::fs::write(folder.path().join(".rpmmacros"), macros).unwrap();
        asked(&["rpmbuild", "--version"])?;
        Some(Self { folder })
    }

    /// Folders of packages that dnf and zypper can install from.
    pub(crate) fn with_repositories(folders: &[(&str, &[&str])]) -> Option<Self> {
        let rpms = Self::new()?;
        asked(&["createrepo_c", "--version"])?;
        for (name, heads) in folders {
            rpms.build(name, heads);
            rpms.run(&["createrepo_c", "--quiet", &rpms.path(name).display().to_string()]);
        }
        Some(rpms)
    }

    /// A path in the folder of packages.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Builds a package for each head of a spec file into the folder `name`, and gives their paths
    /// as the heads are ordered.
    pub(crate) fn build(&self, name: &str, heads: &[&str]) -> Vec<String> {
        let specs = self.path("specs").join(name);
        std::fs::create_dir_all(&specs).unwrap();
        let mut paths = Vec::new();
        for (number, head) in (0..).zip(heads) {
            let path = specs.join(format!("{number}.spec"));
            // What a package runs comes behind what it is.
            let (head, runs) = head.split_at(head.find("%pre").unwrap_or(head.len()));
            let what = "Summary: judged\nLicense: none\n%description\njudged\n";
            std::fs::write(&path, format!("{head}{what}{runs}%files\n")).unwrap();
            paths.push(path.display().to_string());
        }
        let [top, out] = [self.path("top"), self.path(name)].map(|path| path.display().to_string());
        let defined = [
            format!("_topdir {top}"),
            format!("_rpmdir {out}"),
            "_build_name_fmt %{NAME}-%{VERSION}-%{RELEASE}.rpm".to_owned(),
            "_build_id_links none".to_owned(),
            "__os_install_post %{nil}".to_owned(),
        ];
        let defined: Vec<&str> =
            defined.iter().flat_map(|text| ["--define", text.as_str()]).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let said = self.run(&[&["rpmbuild", "-bb"], &defined[..], &paths].concat());
        let written = said.lines().filter_map(|line| line.strip_prefix("Wrote: "));
        let written: Vec<String> = written.map(str::to_owned).collect();
        assert_eq!(written.len(), heads.len(), "{said}");
        written
    }

    /// Runs a program in this home to its end.
    pub(crate) fn run(&self, words: &[&str]) -> String {
        let (said, succeeded) = self.said(words).unwrap();
        assert!(succeeded, "{words:?}: {said}");
        said
    }

    /// As [`Self::run`], of a program that may fail.
    pub(crate) fn said(&self, words: &[&str]) -> Option<(String, bool)> {
        let home = format!("HOME={}", self.folder.path().display());
        said(&[&["env", &home, "LC_ALL=C.UTF-8", "TZ=UTC"], words].concat())
    }

    /// Runs rpm on the tree below `root`.
    pub(crate) fn rpm(&self, root: &Path, words: &[&str]) -> String {
        let root = root.display().to_string();
        self.run(&[&["rpm", "--root", &root, "--dbpath", DATABASE], words].concat())
    }

    /// Each package of the tree below `root` as rpm itself lists it: `name.arch version`.
    pub(crate) fn listed(&self, root: &Path) -> Vec<String> {
        let format = "%{NAME}|%{ARCH}|%{EPOCH}|%{VERSION}|%{RELEASE}\\n";
        let said = self.rpm(root, &["-qa", "--qf", format]);
        let mut listed: Vec<String> = said.lines().map(package).collect();
        listed.sort();
        listed
    }
}

/// A line of the format above, with what rpm calls `(none)` left out.
fn package(line: &str) -> String {
    let fields: Vec<&str> = line.split('|').collect();
    let [name, arch, epoch, version, release] = fields.as_slice() else { panic!("{line}") };
    let with = |sign: &str, text: &str, behind: &str| match text {
        "(none)" => String::new(),
        text => format!("{sign}{text}{behind}"),
    };
    format!("{name}{} {}{version}-{release}", with(".", arch, ""), with("", epoch, ":"))
}
