//! `sluice completions` and `sluice man`: for the shell that it is typed in.

use std::fs;

use serde::Serialize;

use crate::args::{CompletionsArgs, ManArgs};
use crate::command_line::command;
use crate::error::{CliError, Done};
use crate::numbers::counted;
use crate::output::Output;

/// Prints a script that completes commands and options.
pub(crate) fn completions(args: &CompletionsArgs) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "sluice", &mut script);
    Output::bytes(&script)
}

/// What was written.
#[derive(Debug, Serialize)]
struct Pages<'a> {
    folder: &'a std::path::Path,
    pages: Vec<String>,
}

/// Prints the first page of the manual, or writes all to a folder.
pub(crate) fn man(args: &ManArgs, output: Output) -> Done {
    let Some(folder) = &args.folder else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(command()).render(&mut page);
        rendered.map_err(|source| CliError::Output { source })?;
        return Output::bytes(&page);
    };
    let failed = |source| CliError::Page { file: folder.clone(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(command(), folder).map_err(failed)?;
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        pages.extend(Some(name).filter(|name| name.starts_with("sluice") && name.ends_with(".1")));
    }
    pages.sort();
    let count = counted(u64::try_from(pages.len()).unwrap_or_default(), "page");
    let text = format!("{count} in {}: `man sluice-ingest` if that is in a folder of MANPATH", folder.display());
    output.result(&Pages { folder, pages }, &text)
}
