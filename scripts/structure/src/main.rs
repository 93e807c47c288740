//! Reads coinhound's sources as syntax trees: `structure layers ROOT` checks the map that `src/lib.rs` draws, `structure figures ROOT`
//! prints what the structure of the code is judged by.

mod census;
mod circles;
mod figures;
mod layers;
mod map;
mod resolve;
mod tree;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use tree::Sources;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["layers", root] => check_layers(Path::new(root)),
        ["figures", root] => print_figures(Path::new(root)),
        _ => Err("usage: structure layers|figures ROOT".to_owned()),
    };
    done.unwrap_or_else(|error| {
        eprintln!("structure: {error}");
        ExitCode::FAILURE
    })
}

fn check_layers(root: &Path) -> Result<ExitCode, String> {
    let faults = layers::faults(&read(&root.join("src"))?)?;
    faults.iter().for_each(|fault| eprintln!("layers: {fault}"));
    if faults.is_empty() {
        eprintln!("layers: the map holds");
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_figures(root: &Path) -> Result<ExitCode, String> {
    print!("{}", figures::page(&read(&root.join("src"))?, &read(&root.join("tests"))?)?);
    Ok(ExitCode::SUCCESS)
}

/// Every Rust file below `folder`.
fn read(folder: &Path) -> Result<Sources, String> {
    let mut sources = Sources::new();
    collect(folder, "", &mut sources).map_err(|error| format!("could not read {}: {error}", folder.display()))?;
    Ok(sources)
}

fn collect(folder: &Path, prefix: &str, sources: &mut Sources) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{prefix}{name}/"), sources)?;
        } else if name.ends_with(".rs") {
            sources.insert(format!("{prefix}{name}"), fs::read_to_string(entry.path())?);
        }
    }
    Ok(())
}
