//! `cargo xtask ebpf`: builds the kernel programs and stores the object beside the loader. `--check` proves that the
//! stored object and the sources belong together.
//!
//! The object is committed, so that building Brunt takes neither LLVM nor a second target. Paths are cut from it, so that
//! the same sources give the same bytes everywhere.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cargo;
use crate::console::say;
use crate::failure::Failure;
use crate::target;
use crate::tree;

const OBJECT: &str = "ebpf/loader/object/brunt.bpf.o";
/// As sha256sum(1) writes and checks it.
const SUMS: &str = "ebpf/loader/object/SHA256SUMS";
const SOURCES: [&str; 2] = ["ebpf/abi/", "ebpf/programs/"];
const BUILT: &str = "bpfel-unknown-none/release/brunt-programs";

/// The linker's LLVM must not be older than rustc's.
const LLVM: &str = "/usr/lib/llvm-22";
const LLVM_PACKAGE: &str = "llvm-22-dev";
const LINKER_VERSION: &str = "0.13.0";
/// A rustc with a core for this target already built, for hosts that cannot get core's sources.
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"];

pub(crate) fn run(arguments: &[String]) -> Result<u8, Failure> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => build(),
        ["--check"] => check(),
        _ => Err(Failure::usage("`ebpf` takes `--check` or nothing")),
    }
}

fn build() -> Result<u8, Failure> {
    provide()?;
    let Some(tools) = Tools::find()? else {
        return Err(Failure::new(format!(
            "the toolchain for kernel programs is not complete; the stored object stays. It takes `rustup component add rust-src` \
             (or `apt-get install {}`), `apt-get install {LLVM_PACKAGE}` and bpf-linker {LINKER_VERSION}",
            DEBIAN_PACKAGES.join(" ")
        )));
    };
    let root = cargo::root()?;
    let object = tools.build(&root)?;
    let stored = root.join(OBJECT);
    std::fs::copy(&object, &stored).map_err(|e| Failure::io(format_args!("write {OBJECT}"), &e))?;
    std::fs::write(root.join(SUMS), sums(&root)?)
        .map_err(|e| Failure::io(format_args!("write {SUMS}"), &e))?;
    let size = std::fs::metadata(&stored).map_or(0, |metadata| metadata.len());
    say(&format!("{OBJECT}: {size} bytes"));
    Ok(0)
}

fn check() -> Result<u8, Failure> {
    let mut wrong = mismatches()?;
    wrong.extend(rebuilt_differs()?);
    wrong.iter().for_each(|line| say(line));
    Ok(u8::from(!wrong.is_empty()))
}

/// What does not fit the recorded sums. Takes no toolchain.
pub(crate) fn mismatches() -> Result<Vec<String>, Failure> {
    let root = cargo::root()?;
    let recorded =
        std::fs::read_to_string(root.join(SUMS)).map_err(|e| Failure::io(format_args!("read {SUMS}"), &e))?;
    if recorded == sums(&root)? {
        return Ok(Vec::new());
    }
    Ok(vec![format!("{OBJECT} is not built from these sources (see {SUMS}); `cargo xtask ebpf` builds it")])
}

/// Where the toolchain is there, the object must come out the same.
pub(crate) fn rebuilt_differs() -> Result<Vec<String>, Failure> {
    let root = cargo::root()?;
    let Some(tools) = Tools::find()?.filter(|tools| tools.has_sources) else {
        say("the toolchain for kernel programs is not here, so the object is not built again");
        return Ok(Vec::new());
    };
    let read = |path: &Path| {
        std::fs::read(path).map_err(|e| Failure::io(format_args!("read {}", path.display()), &e))
    };
    let same = read(&tools.build(&root)?)? == read(&root.join(OBJECT))?;
    Ok(if same { Vec::new() } else { vec![format!("{OBJECT} differs from what the sources give")] })
}

/// Sums of the object and of all that it is made from.
fn sums(root: &Path) -> Result<String, Failure> {
    let mut paths: Vec<_> = tree::read(root)?.into_iter().map(|file| file.path).collect();
    paths.retain(|path| SOURCES.iter().any(|source| path.starts_with(source)));
    paths.push(OBJECT.to_owned());
    let output = Command::new("sha256sum")
        .current_dir(root)
        .args(&paths)
        .output()
        .map_err(|e| Failure::io("start sha256sum", &e))?;
    if !output.status.success() {
        return Err(Failure::new(format!("sha256sum: {}", String::from_utf8_lossy(&output.stderr))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Gets what can be had.
fn provide() -> Result<(), Failure> {
    if !has_rust_src()? && target::find_program("rustup").is_some() {
        let _ = Command::new("rustup").args(["component", "add", "rust-src"]).status();
    }
    if !Path::new(LLVM).is_dir() {
        apt_get(&[LLVM_PACKAGE]);
    }
    if !has_rust_src()? {
        apt_get(&DEBIAN_PACKAGES);
    }
    if Path::new(LLVM).is_dir() && linker()?.is_none() {
        say(&format!("== building bpf-linker {LINKER_VERSION}; this takes some minutes"));
        let tools = cargo::root()?.join("target/tools");
        let mut install =
            cargo::command(&["install", "bpf-linker", "--version", LINKER_VERSION, "--locked"])?;
        install.args(["--no-default-features", "--features", "llvm-22", "--root"]).arg(tools);
        let _ = install.env("LLVM_PREFIX", LLVM).status();
    }
    Ok(())
}

fn apt_get(packages: &[&str]) {
    let mut install = Command::new("apt-get");
    install.args(["install", "-y", "--no-install-recommends"]).args(packages);
    let _ = install.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).status();
}

fn linker() -> Result<Option<PathBuf>, Failure> {
    let ours = cargo::root()?.join("target/tools/bin/bpf-linker");
    Ok(if ours.is_file() { Some(ours) } else { target::find_program("bpf-linker") })
}

fn sysroot() -> Result<PathBuf, Failure> {
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .map_err(|e| Failure::io("start rustc", &e))?;
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn has_rust_src() -> Result<bool, Failure> {
    Ok(sysroot()?.join("lib/rustlib/src/rust/library/core/src/lib.rs").is_file())
}

/// The toolchain.
struct Tools {
    linker: PathBuf,
    strip: PathBuf,
    /// Core is built from its sources; else Debian's compiler brings one.
    has_sources: bool,
}

impl Tools {
    fn find() -> Result<Option<Self>, Failure> {
        let has_sources = has_rust_src()?;
        let strip = Path::new(LLVM).join("bin/llvm-strip");
        let has_core = has_sources || Path::new("/usr/lib/rustlib/bpfel-unknown-none").is_dir();
        let linker = linker()?.filter(|_| has_core && strip.is_file());
        Ok(linker.map(|linker| Self { linker, strip, has_sources }))
    }

    /// Builds and strips; returns where the object is.
    fn build(&self, root: &Path) -> Result<PathBuf, Failure> {
        let target = root.join("target/ebpf");
        let mut build = if self.has_sources { cargo::command(&[])? } else { Command::new("/usr/bin/cargo") };
        build.args(["build", "--release", "--locked", "--target", "bpfel-unknown-none"]);
        if self.has_sources {
            build.arg("-Zbuild-std=core");
        } else {
            build.env("RUSTC", "/usr/bin/rustc");
        }
        let status = build
            .current_dir(root.join("ebpf/programs"))
            .env("CARGO_TARGET_DIR", &target)
            // Assembly for this target and core from its sources are not stable parts of the compiler.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags(root)?)
            .status()
            .map_err(|e| Failure::io("start cargo", &e))?;
        if !status.success() {
            return Err(Failure::new("the kernel programs do not compile; cargo's output is above"));
        }
        let object = target.join("brunt.bpf.o");
        std::fs::copy(target.join(BUILT), &object).map_err(|e| Failure::io("copy the object", &e))?;
        // BTF stays: the loader needs the types of maps.
        let stripped = Command::new(&self.strip).arg("-g").arg(&object).status();
        match stripped {
            Ok(status) if status.success() => Ok(object),
            Ok(status) => Err(Failure::new(format!("llvm-strip failed ({status})"))),
            Err(e) => Err(Failure::io("start llvm-strip", &e)),
        }
    }

    fn flags(&self, root: &Path) -> Result<String, Failure> {
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let cargo_home =
            home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).unwrap_or_default();
        let cut = |path: &Path, to: &str| format!("--remap-path-prefix={}={to}", path.display());
        let flags = [
            r#"--cfg=bpf_target_arch="x86_64""#.to_owned(),
            "-Cdebuginfo=2".to_owned(),
            format!("-Clinker={}", self.linker.display()),
            "-Clink-arg=--btf".to_owned(),
            cut(root, "brunt"),
            cut(&sysroot()?, "rust"),
            cut(&cargo_home, "cargo"),
        ];
        Ok(flags.join("\x1f"))
    }
}
