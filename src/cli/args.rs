//! The command line as it is typed. Each verb's own arguments are beside the verb.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::exit::Exit;
use super::{
    cancel, check, close, compile, dead_letters, doctor, effects, events, graph, items, list, log, pause,
    resume, run, sandbox, serve, show, signal, state, token, unpause, watch,
};
use crate::config::STATE_DEFAULT;

const ABOUT: &str = "Runs workflow files, keeps every step, and resumes a failed run by its ID";
const LONG_ABOUT: &str = "\
Milepost runs workflow files. Every step of every item is kept in the state directory, so that a \
run that failed, or was killed, goes on by its ID and repeats nothing that is known to be done.

A run is named by its ID, a unique beginning of it, @latest, or @failed (the newest run that \
failed or was interrupted). What a command answers goes to stdout; what it has to say besides \
goes to stderr. Every read has --json.";
const EXAMPLES: &str = "\
Examples:
  milepost check workflows/product-sync.yaml     every mistake in the file, at once
  milepost run workflows/product-sync.yaml       run it; the first line is the run's ID
  milepost show @latest                          how it went, step by step
  milepost effects @failed --in-doubt            what perhaps happened outside
  milepost resume @failed --plan                 what a resume would do
  milepost resume @failed                        do it";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "milepost", version, about = ABOUT, long_about = LONG_ABOUT)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", Exit::help()))]
#[command(disable_help_subcommand = true)]
pub struct Cli {
    /// The directory in which runs are kept
    #[arg(long, global = true, env = "MILEPOST_STATE", hide_env_values = true, default_value = STATE_DEFAULT, value_name = "DIR")]
    pub(super) state: PathBuf,

    /// A server to ask instead of the state directory; MILEPOST_TOKEN is its token
    #[arg(long, global = true, value_name = "URL")]
    pub(super) server: Option<String>,

    /// All of stderr as log lines; without it stderr is talk for people
    #[arg(long, global = true, env = "MILEPOST_LOG_FORM", hide_env_values = true, value_name = "FORM")]
    pub(super) log: Option<log::Form>,

    /// Which log lines: off, error, warn, info, debug or trace, or by part: milepost::store=debug
    #[arg(long, global = true, env = "MILEPOST_LOG", hide_env_values = true, value_name = "LEVEL", value_parser = log::wanted)]
    pub(super) log_level: Option<log::Wanted>,

    #[command(subcommand)]
    pub(super) verb: Verb,

    /// Whether the verb was asked for JSON, so that a failure is told in JSON too.
    #[arg(skip)]
    pub(super) json: bool,
}

impl Cli {
    /// Reads a command line.
    ///
    /// # Errors
    /// What is wrong with it, or the help that was asked for.
    pub fn read(line: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches_from(line)?;
        let json = wants_json(&matches);
        Ok(Self { json, ..Self::from_arg_matches(&matches)? })
    }
}

/// Every verb calls it `--json`, and so may verbs below verbs.
fn wants_json(matches: &ArgMatches) -> bool {
    let here = matches.try_get_one::<bool>("json").ok().flatten().copied();
    here.unwrap_or(false) || matches.subcommand().is_some_and(|(_, below)| wants_json(below))
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    Run(run::Args),
    Resume(resume::Args),
    Watch(watch::Args),
    Serve(serve::Args),
    Token(token::Args),
    List(list::Args),
    Show(show::Args),
    Items(items::Args),
    Effects(effects::Args),
    DeadLetters(dead_letters::Args),
    Events(events::Args),
    Cancel(cancel::Args),
    Pause(pause::Args),
    Unpause(unpause::Args),
    Close(close::Args),
    Signal(signal::Args),
    Check(check::Args),
    Doctor(doctor::Args),
    Graph(graph::Args),
    Compile(compile::Args),
    State(state::Args),
    Sandbox(sandbox::Args),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// The help in two halves: the verbs, and what is the same for all of them.
    fn help() -> (String, String) {
        let help = Cli::command().term_width(100).render_long_help().to_string();
        let (verbs, rest) = help.split_once("\n\nOptions:").unwrap();
        (verbs.to_owned(), format!("Options:{rest}"))
    }

    #[test]
    fn the_help_begins_with_the_verbs() {
        insta::assert_snapshot!(help().0, @r#"
Milepost runs workflow files. Every step of every item is kept in the state directory, so that a run
that failed, or was killed, goes on by its ID and repeats nothing that is known to be done.

A run is named by its ID, a unique beginning of it, @latest, or @failed (the newest run that failed
or was interrupted). What a command answers goes to stdout; what it has to say besides goes to
stderr. Every read has --json.

Usage: milepost [OPTIONS] <COMMAND>

Commands:
  run           Run a workflow file to its end
  resume        Go on with a run that failed or was interrupted
  watch         Start runs of a workflow file as its triggers hear of something
  serve         Stay up: go on with what is unfinished, start runs as triggers and people ask, and
                answer
  token         Tokens for a server that listens on the network: create, list, revoke
  list          List runs, newest first
  show          Show one run: its status, its steps, and why items did not succeed
  items         List the items of a run, in the order of the source
  effects       Show what is known about every effect: done for sure, not done for sure, or perhaps
  dead-letters  Items that were given up: list, show, redrive or drop them
  events        Show what happened to a run, in order
  cancel        Give a run up: no new calls, and it is not resumed any more
  pause         Let a run stand still: no new calls until it is unpaused
  unpause       Let a paused run go on, or what a server holds begin
  close         Let a run go for good: it is not resumed any more
  signal        Send a signal to the items that wait for it, or list the signals that are kept
  check         Check a workflow file: every mistake at once, with its place and what to write
                instead
  doctor        Look at everything outside that a workflow file names, and say what is missing or
                mis-wired
  graph         Show the steps of a workflow file and what needs what
  compile       Write a workflow as a state machine of AWS Step Functions, or say what of it stays
                with the engine
  state         Check the state, see what takes room, remove what nobody needs, back it up and
                restore it
  sandbox       Stand-ins for the PIM and the shop, which fail when told to
"#);
    }

    #[test]
    fn the_help_ends_with_options_examples_and_exit_codes() {
        insta::assert_snapshot!(help().1, @r#"
Options:
      --state <DIR>
          The directory in which runs are kept
          
          [env: MILEPOST_STATE]
          [default: state]

      --server <URL>
          A server to ask instead of the state directory; MILEPOST_TOKEN is its token

      --log <FORM>
          All of stderr as log lines; without it stderr is talk for people

          Possible values:
          - text: `TIME LEVEL message name=value …`
          - json: One JSON object: time, level, message, target, and the fields
          
          [env: MILEPOST_LOG_FORM]

      --log-level <LEVEL>
          Which log lines: off, error, warn, info, debug or trace, or by part: milepost::store=debug
          
          [env: MILEPOST_LOG]

  -h, --help
          Print help (see a summary with '-h')

  -V, --version
          Print version

Examples:
  milepost check workflows/product-sync.yaml     every mistake in the file, at once
  milepost run workflows/product-sync.yaml       run it; the first line is the run's ID
  milepost show @latest                          how it went, step by step
  milepost effects @failed --in-doubt            what perhaps happened outside
  milepost resume @failed --plan                 what a resume would do
  milepost resume @failed                        do it

Exit codes:
    0  done; a run succeeded
    1  the run failed; of doctor: something is wrong
    2  the command line or the workflow file is wrong; nothing was started
    3  the run was stopped before its end (Ctrl-C); resume it
    4  the state directory is held by another engine, or cannot be opened
    5  no such run or item
    6  does not fit the present state, e.g. resuming a run that succeeded
    7  the state directory, or a backup, is damaged
    8  the run was cancelled
   70  a defect, or a failing disk
  130  Ctrl-C twice; resume the run
"#);
    }

    #[test]
    fn the_unit_of_systemd_starts_what_there_is_and_waits_longer_than_it_does() {
        let unit = include_str!("../../deploy/systemd/milepost.service");
        let of = |name: &str| unit.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let line: Vec<&str> = of("ExecStart=").split(' ').collect();
        let Verb::Serve(serve) = Cli::read(&line).unwrap().verb else { panic!("{line:?}") };
        let patience = crate::spec::duration(&of("TimeoutStopSec=").replace("sec", "s")).unwrap();
        assert!(patience > serve.grace(), "whoever is killed while calls are out has doubts");
        for variable in unit.lines().filter_map(|line| line.strip_prefix("Environment=")) {
            let name = variable.split('=').next().unwrap();
            let command = Cli::command();
            let known = command.get_arguments().filter_map(|argument| argument.get_env());
            assert!(known.into_iter().any(|known| known == name), "{name}");
        }
    }

    #[test]
    fn every_verb_has_an_example_and_its_exit_codes() {
        for verb in Cli::command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{}", verb.get_name());
        }
    }

    #[test]
    fn whether_json_is_wanted_is_known_for_every_verb() {
        for line in
            ["milepost list --json", "milepost sandbox show --json", "milepost dead-letters list --json"]
        {
            assert!(Cli::read(line.split_whitespace()).unwrap().json, "{line}");
        }
        for line in ["milepost list", "milepost graph a.yaml", "milepost run --input json=--json a.yaml"] {
            assert!(!Cli::read(line.split_whitespace()).unwrap().json, "{line}");
        }
    }

    #[test]
    fn values_are_read_from_the_command_line() {
        let parses = |line: &str| Cli::try_parse_from(line.split_whitespace());
        for line in [
            "milepost run a.yaml --input source=x=y --input n=1 --profile production",
            "milepost watch a.yaml --profile production --concurrency 2 --json",
            "milepost resume run_01 --plan --json",
            "milepost sandbox --fail 10% --latency 50ms --outage 1m --on pim --refuse A --refuse B",
            "milepost sandbox serve --pim-port 0",
            "milepost sandbox show --json --state elsewhere",
            "milepost graph a.yaml --format mermaid",
            "milepost state gc --dry-run --json",
            "milepost signal product.published --key A --workflow w --payload {} --keep 2h --id 7",
            "milepost signal --list --json",
            "milepost signal product.published --list",
            "milepost state backup copy --state elsewhere",
        ] {
            parses(line).unwrap();
        }
        for line in [
            "milepost run",
            "milepost run a.yaml --input source",
            "milepost watch",
            "milepost watch a.yaml --concurrency 0",
            "milepost sandbox --fail 110%",
            "milepost sandbox --latency fast",
            "milepost items @latest --status dead",
            "milepost items @latest --item K1 --status pending",
            "milepost graph a.yaml --format svg",
            "milepost compile a.yaml",
            "milepost compile a.yaml --target cdk",
            "milepost state",
            "milepost state restore",
            "milepost signal product.published",
            "milepost signal product.published --key A --payload no",
            "milepost signal --list --key A",
        ] {
            assert_eq!(parses(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
