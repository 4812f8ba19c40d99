//! The configuration file: the options of the command line as lines of TOML.
//!
//! There is one grammar of values, the command line's. A line of the file is read as the option of
//! the same name, so whatever is wrong is said in the same words, with file, line and column.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::{Args as _, Command, CommandFactory as _, FromArgMatches as _};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::cli::{Cli, Keys};

/// The settings in the file at `path`.
pub(crate) fn read(path: &Path) -> Result<Keys> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    parse(&path.display().to_string(), &text)
}

fn parse(name: &str, text: &str) -> Result<Keys> {
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let at = place(text, error.span().map_or(0, |span| span.start));
            bail!("{name}:{at}: {}", error.message());
        }
    };
    let mut options = vec!["peerage".to_owned()];
    let mut keys = Keys::default();
    for (key, value) in table.get_ref() {
        let fail = |offset: usize, what: &str| {
            let at = place(text, offset);
            anyhow::anyhow!("{name}:{at}: key `{}`: {what}", key.get_ref())
        };
        if !known().any(|known| known == key.get_ref().as_ref()) {
            let all = known().collect::<Vec<_>>().join(", ");
            return Err(fail(
                key.span().start,
                &format!("unknown; known keys are {all}"),
            ));
        }
        let is_list = ["client", "peer", "token"].contains(&key.get_ref().as_ref());
        for (offset, value) in values(value, is_list).map_err(|at| {
            let expected = if is_list {
                "a list of strings"
            } else {
                "a string, number or boolean"
            };
            fail(at, &format!("expected {expected}"))
        })? {
            // With all before it, of which it may repeat one.
            options.push(format!("--{}={value}", key.get_ref()));
            let read = read_options(options.clone());
            keys = read.map_err(|error| fail(offset, &reason(&error)))?;
            if let Some((_, wrong)) = keys.faulty_secret() {
                return Err(fail(offset, &wrong));
            }
        }
    }
    Ok(keys)
}

/// The keys of a file.
fn known() -> impl Iterator<Item = String> {
    let command = Cli::command();
    let names: Vec<String> = command
        .get_arguments()
        .filter_map(|argument| argument.get_long())
        .filter(|name| !["config", "help", "version"].contains(name))
        .map(str::to_owned)
        .collect();
    names.into_iter()
}

/// A value's texts with their places in the file, or the place of what has no text.
fn values(
    value: &Spanned<DeValue<'_>>,
    is_list: bool,
) -> std::result::Result<Vec<(usize, String)>, usize> {
    let at = value.span().start;
    let text = match value.get_ref() {
        DeValue::Array(items) if is_list => {
            let items = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Ok((item.span().start, text.to_string())),
                DeValue::Array(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Float(_)
                | DeValue::Integer(_)
                | DeValue::Table(_) => Err(item.span().start),
            });
            return items.collect();
        }
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Array(_) | DeValue::Datetime(_) | DeValue::Integer(_) | DeValue::Table(_) => {
            return Err(at);
        }
    };
    Ok(vec![(at, text)])
}

fn read_options(
    options: impl IntoIterator<Item = String>,
) -> std::result::Result<Keys, clap::Error> {
    // Without the variables, which come between the file and the command line.
    let command = Keys::augment_args(Command::new("peerage"));
    let names: Vec<String> = command
        .get_arguments()
        .map(|argument| argument.get_id().to_string())
        .collect();
    let command = names.into_iter().fold(command, |command, name| {
        command.mut_arg(name, |argument| argument.env(None))
    });
    let matches = command.try_get_matches_from(options)?;
    Keys::from_arg_matches(&matches)
}

/// What is wrong, without the command line's decoration.
fn reason(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let line = text
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ");
    // "invalid value 'x' for '--api <ADDR:PORT>': expected …"
    match line.split_once(" for '--") {
        Some((value, rest)) => match rest.split_once("': ") {
            Some((_, expected)) => format!("{value}: {expected}"),
            None => {
                let hint = text.lines().nth(1).unwrap_or_default().trim();
                format!("{value} {hint}").trim_end().to_owned()
            }
        },
        None => line.to_owned(),
    }
}

/// Line and column of a byte, counted from one.
fn place(text: &str, offset: usize) -> String {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let begin = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    let column = 1 + String::from_utf8_lossy(&before[begin..]).chars().count();
    format!("{line}:{column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_a_key_and_a_variable() {
        let command = Cli::command();
        for argument in command
            .get_arguments()
            .filter(|argument| argument.get_long().is_some())
        {
            let name = argument.get_long().expect("filtered");
            if ["help", "version"].contains(&name) {
                continue;
            }
            let variable = format!("PEERAGE_{}", name.to_uppercase().replace('-', "_"));
            assert_eq!(
                argument.get_env().and_then(|env| env.to_str()),
                Some(variable.as_str())
            );
        }
    }

    #[test]
    fn a_file_sets_what_the_options_set() {
        let text = "network = \"testnet04\"\napi = \"127.0.0.1:5\"\npeer = [\"a.org:1\", \"b.org:2\"]\n\
                    private = true\nthrottle-global = 5\nthrottle-mempool = \"off\"\n\
                    grin-ban-window = \"90s\"\ngas-price-min = 1e-7\nlog-level = \"debug\"\n\
                    wattswarm-mode = \"local\"\n";
        let keys = parse("f.toml", text).expect("a good file");
        assert_eq!(keys.peer.len(), 2);
        assert_eq!(keys.private, Some(true));
        assert_eq!(keys.gas_price_min, Some(crate::values::GasPrice(100_000)));
        let local = peerage_core::config::WattswarmMode::Local;
        assert_eq!(keys.wattswarm_mode, Some(local));
        assert_eq!(keys.throttle_mempool, Some(crate::values::Throttle(None)));
        let stronger = Keys {
            private: Some(false),
            ..Keys::default()
        };
        assert_eq!(stronger.or(keys).private, Some(false));
    }

    #[test]
    fn errors_name_file_line_column_and_key() {
        let check = |text: &str, expected: &str| {
            let error = parse("f.toml", text).expect_err("a bad file").to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        check(
            "# x\ncolour = 1\n",
            "f.toml:2:1: key `colour`: unknown; known keys are data, network",
        );
        check("config = \"x\"\n", "f.toml:1:1: key `config`: unknown");
        check(
            "api = \"nowhere\"\n",
            "f.toml:1:7: key `api`: invalid value 'nowhere': expected an IP",
        );
        check(
            "peer = [\"a.org:1\",\n  \"b\"]\n",
            "f.toml:2:3: key `peer`: invalid value 'b': missing port",
        );
        // What is wrong with a secret is said without it.
        check(
            "token = [\"a=admin\", \"s3cret=root\"]\n",
            "f.toml:1:21: key `token`: unknown scope; scopes are",
        );
        check(
            "client = [\"a:s=admin\",\n  \"a:t=admin\"]\n",
            "f.toml:2:3: key `client`: values 1 and 2 have one id",
        );
        check("api = [1]\n", "f.toml:1:7: key `api`: expected a string");
        check(
            "api = \"1.2.3.4:5\"\napi = \"1.2.3.4:5\"\n",
            "f.toml:2:1: duplicate key",
        );
        check("api = \n", "f.toml:1:");
        check(
            "network = \"moon\"\n",
            "f.toml:1:11: key `network`: invalid value 'moon': unknown network",
        );
        check(
            "log-format = \"xml\"\n",
            "f.toml:1:14: key `log-format`: invalid value 'xml' [possible",
        );
        check(
            "private = 3\n",
            "f.toml:1:11: key `private`: invalid value '3'",
        );
    }
}
