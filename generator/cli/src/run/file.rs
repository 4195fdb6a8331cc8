//! A scenario file and what it names: read from its own folder, and from nowhere else.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use brunt_model::plan::PlanError;
use brunt_model::replay::LOG_BYTES_MAX;
use brunt_model::scenario::file::{self, Body, Fault, File, Located, Part, PartContent, PhaseShape, Request};
use brunt_model::scenario::{HttpSpec, HttpVersion, Lifecycle, Scenario, ScriptSource, TlsSpec};
use brunt_model::script::compile::Files;
use brunt_model::units::Bytes;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};

use super::file_tls::{self, FileTls};
use super::secrets::{self, Sources};
use crate::error::CommandError;
use crate::flags::{ScenarioFlags, TlsFlags};

/// What a scenario may have, and a little more, so that its reader says that it is too long.
const SOURCE_MAX: u64 = (256 << 10) + 1;
const FILE_MAX: Bytes = Bytes::from_mib(64);
const _: () =
    assert!(FILE_MAX.0 == LOG_BYTES_MAX as u64, "a log that can be read is one that can be replayed");
const FILES_MAX: Bytes = Bytes::from_mib(1_024);

const BELOW: &str = "give a path below the scenario's folder";

/// A scenario file that was read.
#[derive(Debug)]
pub(crate) struct ScenarioFile {
    pub path: PathBuf,
    pub file: File,
    pub source: ScriptSource,
    pub files: Files,
}

/// Whether the argument of a command is a file rather than a URL.
pub(crate) fn is_file(argument: &str) -> bool {
    let named_so = [".yaml", ".yml", ".json"].iter().any(|ending| argument.ends_with(ending));
    !argument.contains("://") && (named_so || Path::new(argument).is_file())
}

/// Reads a scenario and all files that it names, but for those in whose place flags of TLS come.
pub(crate) fn open(path: &Path, flags: &ScenarioFlags, tls: &TlsFlags) -> Result<ScenarioFile, CommandError> {
    let fail = |faults| CommandError::Scenario { path: path.to_owned(), faults };
    let text = source(path).map_err(|why| {
        let mend = "give a URL or the path of a scenario file";
        CommandError::Configuration(format!("the scenario '{}' {why}; {mend}", path.display()))
    })?;
    let mut file = file::read(&text).map_err(fail)?;
    file.http.tls = file_tls::without_flagged(&file.http.tls, tls);
    let (files, faults) = named_files(&file, folder_of(path));
    if !faults.is_empty() {
        return Err(fail(faults));
    }
    let source = ScriptSource {
        text,
        tags: flags.tags.clone(),
        exclude_tags: flags.exclude_tags.clone(),
        secrets_in_clear: flags.secrets_in_clear,
        lifecycle: Lifecycle::Load,
    };
    Ok(ScenarioFile { path: path.to_owned(), file, source, files })
}

/// The text of a scenario file, or why there is none.
pub(crate) fn source(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    text_of(file)
}

/// As much of a text as a scenario may have.
pub(crate) fn text_of(input: impl std::io::Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    input.take(SOURCE_MAX).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes)
        .map_err(|error| format!("is not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))
}

/// What names in a scenario are relative to.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where a scenario names files.
pub(crate) fn file_names(file: &File) -> Vec<Located<String>> {
    let mut names: Vec<_> = file.data.iter().map(|(_, feeder)| &feeder.file).collect();
    file.visit_steps(|step| names.extend(step.requests().flat_map(of_request)));
    names.extend(log_names(file));
    names.into_iter().cloned().chain(file_tls::file_names(&file.http.tls)).collect()
}

/// Where a scenario names logs that it replays.
pub(crate) fn log_names(file: &File) -> impl Iterator<Item = &Located<String>> {
    let phases = file.loads.iter().flat_map(|(_, load)| &load.phases);
    phases.filter_map(|phase| match &phase.value.shape {
        PhaseShape::Replay { file, .. } => Some(file),
        _ => None,
    })
}

/// The bytes of every file that a scenario names, and those that could not be read or are none of certificates or keys
/// where such are wanted.
pub(crate) fn named_files(file: &File, folder: &Path) -> (Files, Vec<Fault>) {
    let (mut files, mut faults, mut sum) = (Files::new(), Vec::new(), 0);
    let base = openat(CWD, folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    for name in file_names(file) {
        if files.contains_key(&name.value) {
            continue;
        }
        let read = base.as_ref().map_err(|error| (format!("cannot be opened: {error}"), BELOW));
        match read.and_then(|base| read_below(base, &name.value)) {
            Ok(bytes) => {
                sum += bytes.len() as u64;
                files.insert(name.value.clone(), bytes);
            }
            Err((why, mend)) => faults.push(Fault {
                at: name.at,
                what: format!("the file '{}' {why}", name.value.escape_debug()),
                mend: mend.to_owned(),
            }),
        }
        if sum > FILES_MAX.0 {
            let what = format!("the files of the scenario are larger than {FILES_MAX} together");
            faults.push(Fault { at: name.at, what, mend: "use smaller ones".to_owned() });
            break;
        }
    }
    faults.extend(file_tls::read(&file.http.tls, &files, None).err().unwrap_or_default());
    (files, faults)
}

/// A scenario may come from somebody else, so it reaches nothing outside of its folder, by links neither. What is not
/// read is told with its mend.
fn read_below(base: &OwnedFd, name: &str) -> Result<Vec<u8>, (String, &'static str)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = openat2(base, name, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS)
        .map_err(|error| match error {
            rustix::io::Errno::XDEV => ("lies outside of the scenario's folder".to_owned(), BELOW),
            error => (format!("cannot be opened: {error}"), BELOW),
        })?;
    let file = std::fs::File::from(file);
    if !file.metadata().is_ok_and(|data| data.is_file()) {
        return Err(("is no file".to_owned(), BELOW));
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX.0 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| (format!("cannot be read: {error}"), BELOW))?;
    if bytes.len() as u64 > FILE_MAX.0 {
        return Err((format!("is larger than {FILE_MAX}"), "use a part of it"));
    }
    Ok(bytes)
}

/// Where a request names files.
fn of_request(request: &Request) -> Vec<&Located<String>> {
    match &request.body {
        Some(Body::File(name)) => vec![name],
        Some(Body::Multipart(parts)) => {
            let files = parts.iter().filter_map(|Part { content, .. }| match content {
                PartContent::File(name) => Some(name),
                PartContent::Text(_) => None,
            });
            files.collect()
        }
        _ => Vec::new(),
    }
}

impl ScenarioFile {
    /// Where its requests go, unless the command line says otherwise.
    pub(crate) fn target<'a>(&'a self, given: Option<&'a str>) -> Result<&'a str, CommandError> {
        given.or(self.file.target.as_ref().map(|target| target.value.as_str())).ok_or_else(|| {
            let path = self.path.display();
            CommandError::Configuration(format!(
                "{path}: there is no target; add `target: https://...`, or give --target"
            ))
        })
    }

    /// Its certificates and keys.
    pub(crate) fn tls(&self, sources: &Sources<'_>) -> Result<FileTls, CommandError> {
        let tls = &self.file.http.tls;
        let names: Vec<_> = file_tls::secret(tls).map(str::to_owned).into_iter().collect();
        let key = secrets::resolve(&names, sources)?.pop();
        file_tls::read(tls, &self.files, key.as_deref())
            .map_err(|faults| CommandError::Scenario { path: self.path.clone(), faults })
    }

    /// What the file says and no flag did.
    pub(crate) fn fill_in(&self, scenario: &mut Scenario) {
        let (file, bare) = (&self.file, HttpSpec::default());
        scenario.name = scenario.name.take().or_else(|| file.name.clone());
        if let (Some(seed), 1) = (file.seed, scenario.seed) {
            scenario.seed = seed;
        }
        let (http, said) = (&mut scenario.http, &file.http);
        http.streams = http.streams.or(said.streams.filter(|_| http.version == HttpVersion::Http2));
        http.redirects = http.redirects.or(said.redirects.filter(|redirects| *redirects > 0));
        http.compressed |= said.compressed.unwrap_or(false);
        http.keep_alive &= said.keep_alive.unwrap_or(true);
        if http.ok_status.is_empty() {
            http.ok_status.clone_from(&said.ok_status);
        }
        if let Some(limit) = said.body_limit {
            http.body_limit = limit;
        }
        for (mine, usual, said) in [
            (&mut http.connect_timeout, bare.connect_timeout, said.connect_timeout),
            (&mut http.first_byte_timeout, bare.first_byte_timeout, said.first_byte_timeout),
            (&mut http.total_timeout, bare.total_timeout, said.total_timeout),
        ] {
            if let Some(said) = said.filter(|_| *mine == usual) {
                *mine = said;
            }
        }
        let some_tls = |url: &str| url.starts_with("https:");
        if some_tls(&scenario.url) || file.targets.iter().any(|(_, url)| some_tls(&url.value)) {
            let tls = &mut scenario.tls;
            *tls = TlsSpec {
                insecure: tls.insecure || said.tls.verify == Some(false),
                min: tls.min.or(said.tls.min),
                max: tls.max.or(said.tls.max),
                resume: tls.resume && said.tls.resume.unwrap_or(true),
            };
        }
        scenario.script = Some(self.source.clone());
    }

    /// The version that the file asks for, where no flag does.
    pub(crate) fn version(&self, url: &url::Url) -> HttpVersion {
        match self.file.http.version {
            Some(file::Version::Http2) => HttpVersion::Http2,
            // What the server prefers is not known before the first connection.
            Some(file::Version::Auto) if url.scheme() == "https" && !self.has_target_in_clear() => {
                HttpVersion::Http2
            }
            _ => HttpVersion::Http1,
        }
    }

    /// All targets speak the same, and in clear text nobody can say that it is HTTP/2.
    fn has_target_in_clear(&self) -> bool {
        self.file.targets.iter().any(|(_, url)| url.value.starts_with("http:"))
    }

    /// Shows what a plan found wrong with the file by its path.
    pub(crate) fn blamed(&self, error: PlanError) -> CommandError {
        match error {
            PlanError::File(faults) => CommandError::Scenario { path: self.path.clone(), faults },
            error => CommandError::Plan(error),
        }
    }
}
