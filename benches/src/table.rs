//! Aligned columns of text, and where results are kept.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;

/// Rows under a head: the first column is a name, the others are figures.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    #[must_use]
    pub fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|&title| title.to_owned()).collect()] }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column| self.rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                let cell = if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") };
                line.push_str(&cell);
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The folder for results and for what servers need: `bench` beside the built binaries, made if need be.
///
/// # Errors
/// When it cannot be made.
pub fn folder() -> anyhow::Result<PathBuf> {
    let binary = std::env::current_exe().context("the path of this binary is unknown")?;
    let target = binary.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "target"));
    let folder = target.unwrap_or(Path::new("target")).join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(folder)
}

/// Writes a result as JSON and returns its path.
///
/// # Errors
/// When the file cannot be written.
pub fn save(name: &str, result: &impl Serialize) -> anyhow::Result<PathBuf> {
    let path = folder()?.join(name);
    let text = serde_json::to_string_pretty(result)?;
    std::fs::write(&path, text + "\n").with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}

/// What a reader must know of the machine to judge a figure.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub kernel: String,
    pub cpu: String,
    pub cores: usize,
}

impl Machine {
    #[must_use]
    pub fn this() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        let cpu = model.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':'])).to_owned();
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        Self { kernel, cpu, cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count() }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} cores, Linux {}", self.cpu, self.cores, self.kernel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["tool", "us"]);
        table.row(["a".to_owned(), "10.25".to_owned()]);
        table.row(["longer".to_owned(), "1".to_owned()]);
        assert_eq!(table.to_string(), "tool       us\na       10.25\nlonger      1\n");
    }
}
