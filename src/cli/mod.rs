//! The command line: one file per verb. Arguments are read in `args`; what a verb reads it reads
//! through `reader`, from a running engine or from the store; what it writes goes through
//! `output`; how it can end is in `exit` and `failure`.

mod actor;
mod args;
mod attend;
mod cancel;
mod check;
mod close;
mod compile;
mod dead_letters;
mod doctor;
mod effects;
mod events;
mod exit;
mod failure;
mod graph;
mod herald;
mod items;
mod list;
mod log;
mod operator;
mod output;
mod page;
mod pause;
mod phrase;
mod progress;
mod reader;
mod redrive;
mod remote;
mod resume;
mod run;
mod sandbox;
mod serve;
mod settle;
mod show;
mod signal;
mod signals;
mod state;
mod stream;
mod table;
mod teller;
#[cfg(test)]
mod tests;
mod token;
mod unpause;
mod watch;

use std::io::Write;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;

pub use args::Cli;
pub use exit::Exit;
pub use output::Output;

use crate::client::{self, Client};
use crate::config::{Options, STATE_DEFAULT};
use crate::view::argument;
use args::Verb;
use failure::Failure;

/// The token that is presented to a server.
const TOKEN_VARIABLE: &str = "MILEPOST_TOKEN";

/// What every verb knows.
pub(super) struct Context {
    options: Options,
    /// The server that was named; `None`: the state directory.
    server: Option<Server>,
    /// ` --state DIR`, or ` --server URL`, when it was named on the command line, so that the commands we
    /// name work as they are.
    suffix: String,
}

/// A server that was named.
struct Server {
    url: String,
}

impl Server {
    /// Asks it, with the token of the environment if there is one.
    fn client(&self) -> Result<Client, client::Error> {
        Client::at(&self.url, std::env::var(TOKEN_VARIABLE).ok().as_deref())
    }
}

impl Context {
    fn new(state: &Path, server: Option<String>) -> Self {
        let silent = std::env::var_os("MILEPOST_STATE").unwrap_or_else(|| STATE_DEFAULT.into());
        let suffix = match &server {
            Some(url) => format!(" --server {}", argument(url)),
            None if state.as_os_str() == silent => String::new(),
            None => format!(" --state {}", quoted(state)),
        };
        Self { options: Options::new(state), server: server.map(|url| Server { url }), suffix }
    }

    /// A command of ours as it has to be typed here.
    fn command(&self, command: &str) -> String {
        format!("{command}{}", self.suffix)
    }
}

/// The whole program: arguments in, exit code out.
pub fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            let problem = failure::usage(&error, std::env::args());
            // Nobody can be told when even this cannot be printed.
            let _ = match problem {
                Some(problem) => writeln!(std::io::stderr(), "{problem}"),
                None => error.print(),
            };
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Success };
            return exit.into();
        }
    };
    log::begin(cli.log, cli.log_level.as_ref());
    let mut output = if cli.log.is_some() { Output::logged() } else { Output::process() };
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(execute(cli, &mut output)).into(),
        Err(error) => {
            output.say(&format!("error: failed to start threads: {error}"));
            Exit::Internal.into()
        }
    }
}

/// What the verb does. On the heap: what a server holds while it works is more than others need.
fn carried_out<'a>(
    verb: Verb,
    context: &'a Context,
    output: &'a mut Output,
) -> Pin<Box<dyn Future<Output = Result<Exit, Failure>> + 'a>> {
    Box::pin(async move {
        match verb {
            Verb::Run(args) => run::execute(args, context, output).await,
            Verb::Resume(args) => resume::execute(args, context, output).await,
            Verb::Watch(args) => watch::execute(args, context, output).await,
            Verb::Serve(args) => serve::execute(args, context, output).await,
            Verb::Token(args) => token::execute(args, context, output).await,
            Verb::List(args) => list::execute(args, context, output).await,
            Verb::Show(args) => show::execute(args, context, output).await,
            Verb::Items(args) => items::execute(args, context, output).await,
            Verb::Effects(args) => effects::execute(args, context, output).await,
            Verb::DeadLetters(args) => dead_letters::execute(args, context, output).await,
            Verb::Events(args) => events::execute(args, context, output).await,
            Verb::Cancel(args) => cancel::execute(args, context, output).await,
            Verb::Pause(args) => pause::execute(args, context, output).await,
            Verb::Unpause(args) => unpause::execute(args, context, output).await,
            Verb::Close(args) => close::execute(args, context, output).await,
            Verb::Signal(args) => signal::execute(args, context, output).await,
            Verb::Check(args) => check::execute(&args, output),
            Verb::Doctor(args) => doctor::execute(&args, context, output).await,
            Verb::Graph(args) => graph::execute(&args, output),
            Verb::Compile(args) => compile::execute(&args, output),
            Verb::State(args) => state::execute(args, context, output).await,
            Verb::Sandbox(args) => sandbox::execute(args, context, output).await,
        }
    })
}

/// Executes a command line that was parsed.
pub async fn execute(cli: Cli, output: &mut Output) -> Exit {
    let json = cli.json;
    let context = Context::new(&cli.state, cli.server);
    let done = carried_out(cli.verb, &context, output).await;
    let exit = match (done, output.flush()) {
        (Ok(exit), Ok(()) | Err(Failure::Closed)) => exit,
        (Err(failure), _) | (Ok(_), Err(failure)) if output.is_logged() => failure.log(&context),
        (Err(failure), _) | (Ok(_), Err(failure)) if json => failure.report_json(&context, output),
        (Err(failure), _) | (Ok(_), Err(failure)) => failure.report(&context, output),
    };
    output.close();
    exit
}

/// A path as it has to be typed in a shell.
fn quoted(path: &Path) -> String {
    argument(&path.display().to_string())
}
