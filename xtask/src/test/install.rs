//! Names what the tests need and this machine lacks, and installs it where that is allowed.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::suites::{Suite, Tool};
use crate::console::say;
use crate::failure::Failure;
use crate::target;

/// Asked by Debian packages before they start a service.
const POLICY: &str = "/usr/sbin/policy-rc.d";
/// The answer "not now".
const DENY_ALL: &str = "#!/bin/sh\nexit 101\n";

/// Installs the missing tools of the suites with apt when root. What stays missing makes tests skip, not this fail.
pub(super) fn provide(suites: &[&Suite], install: bool) {
    let mut missing: Vec<&Tool> = Vec::new();
    for tool in suites.iter().flat_map(|suite| suite.tools) {
        if target::find_program(tool.program).is_none() && !missing.contains(&tool) {
            missing.push(tool);
        }
    }
    if missing.is_empty() {
        return;
    }
    let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    let by_hand = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !install || !is_root() || target::find_program("apt-get").is_none() {
        say(&format!(
            "missing: {}; tests that need it are skipped; `{by_hand}` provides it",
            packages.join(", ")
        ));
        return;
    }
    say(&format!("== installing {} (--no-install turns this off)", packages.join(", ")));
    match install_quietly(&packages) {
        Ok(true) => {}
        Ok(false) => {
            say(&format!("could not install {}; tests that need it are skipped", packages.join(", ")))
        }
        Err(failure) => say(&format!("could not install {}: {}", packages.join(", "), failure.message)),
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// Installs without starting any service that a package brings.
fn install_quietly(packages: &[&str]) -> Result<bool, Failure> {
    let _no_services = Policy::deny_all()?;
    // A fresh machine has no package lists, and an old one has lists of what is no longer there.
    let words = [&["install", "-y", "--no-install-recommends"], packages].concat();
    Ok(apt_get(&words)? || (apt_get(&["update"])? && apt_get(&words)?))
}

fn apt_get(words: &[&str]) -> Result<bool, Failure> {
    let status = Command::new("apt-get")
        .args(["-q", "-o", "DPkg::Lock::Timeout=120"])
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .map_err(|e| Failure::io("start apt-get", &e))?;
    Ok(status.success())
}

/// Forbids packages to start services until it is dropped; then the machine's own policy, if any, is back.
struct Policy {
    path: PathBuf,
    before: Option<(Vec<u8>, Permissions)>,
}

impl Policy {
    fn deny_all() -> Result<Self, Failure> {
        Self::put(Path::new(POLICY))
    }

    fn put(path: &Path) -> Result<Self, Failure> {
        let fault = |e: &std::io::Error| Failure::io(format_args!("put a policy at {}", path.display()), e);
        let before = match std::fs::read(path) {
            Ok(text) => Some((text, std::fs::metadata(path).map_err(|e| fault(&e))?.permissions())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(fault(&e)),
        };
        let policy = Self { path: path.to_path_buf(), before };
        std::fs::write(path, DENY_ALL).map_err(|e| fault(&e))?;
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(|e| fault(&e))?;
        Ok(policy)
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        let restored = match &self.before {
            None => std::fs::remove_file(&self.path),
            Some((text, permissions)) => std::fs::write(&self.path, text)
                .and_then(|()| std::fs::set_permissions(&self.path, permissions.clone())),
        };
        if let Err(e) = restored {
            say(&format!("{} still forbids services to start ({e}); remove it by hand", self.path.display()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::{DENY_ALL, Policy};

    #[test]
    fn the_policy_of_the_machine_comes_back() {
        let path = std::env::temp_dir().join(format!("brunt-xtask-policy-{}", std::process::id()));
        drop(Policy::put(&path).expect("a new file"));
        assert!(!path.exists());

        std::fs::write(&path, "exit 0\n").expect("a file in the temporary directory");
        std::fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("our own file");
        let policy = Policy::put(&path).expect("a file that is there");
        assert_eq!(std::fs::read_to_string(&path).expect("readable"), DENY_ALL);
        drop(policy);
        assert_eq!(std::fs::read_to_string(&path).expect("readable"), "exit 0\n");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o700);
        std::fs::remove_file(&path).expect("our own file");
    }
}
