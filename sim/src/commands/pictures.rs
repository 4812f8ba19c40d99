//! The report of a run: who remembers it, and where it is written to.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use peerage_sim::report::{Keep, Pages, Recorder};
use peerage_sim::{Options, Report, Watch};

use crate::cli::ReportArgs;

/// Has a run remembered if a report is asked for.
pub(crate) fn watch(
    args: &ReportArgs,
    options: &Options,
    watchers: &mut Vec<Box<dyn Watch>>,
) -> Option<Recorder> {
    let ReportArgs {
        page, json, csv, ..
    } = args;
    if page.is_none() && json.is_none() && csv.is_none() {
        return None;
    }
    let recorder = Recorder::new(
        options,
        &Keep {
            messages: args.messages,
            nodes: args.nodes.clone(),
        },
    );
    watchers.push(recorder.watch());
    Some(recorder)
}

/// Writes what was asked for.
pub(crate) fn write(
    args: &ReportArgs,
    recorder: &Recorder,
    report: &Report,
    again: &str,
) -> Result<(), String> {
    let pages = Pages::new(recorder, report, again);
    if let Some(path) = &args.page {
        to_file(path, |file| pages.write_html(file))?;
    }
    if let Some(path) = &args.json {
        to_file(path, |file| pages.write_json(file))?;
    }
    if let Some(path) = &args.csv {
        let written = pages.write_csv(path);
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

fn to_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), String> {
    let file = File::create(path);
    file.map(BufWriter::new)
        .and_then(|mut file| {
            write(&mut file)?;
            file.flush()
        })
        .map_err(|error| format!("{}: {error}", path.display()))
}
