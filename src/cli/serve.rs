//! `milepost serve`: the engine that stays up, with its API.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::exit::Exit;
use super::failure::Failure;
use super::operator::{self, Server};
use super::output::{BOLD, Output};
use super::reader::open_to_work;
use super::signals::Signals;
use super::teller::{self, Teller};
use super::{Context, attend};
use crate::app::{Begins, Collects, Engine, Finds, Pace, Upkeep, Watched, Watching};
use crate::config::LISTEN_DEFAULT;
use crate::server::{self, Anonymous, Bound, Reserved};
use crate::spec;
use crate::view::{Problem, ProblemKind, argument, code};

/// Stay up: go on with what is unfinished, start runs as triggers and people ask, and answer
///
/// First every run that was interrupted, or never begun, goes on at once: whoever worked on it is known
/// to be gone. Then triggers are listened to, and runs are started over the API, so many of each
/// workflow at once; the rest waits in line. The API answers on the socket in the state directory, which
/// only its owner can open, and over TCP, where a token is needed (see milepost token).
/// Ctrl-C or SIGTERM stops it cleanly: no new calls, those that are out have the grace time to end, and
/// what is unfinished goes on with the next start.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  milepost serve workflows/product-sync.yaml
  milepost serve workflows/product-sync.yaml workflows/product-deliver.yaml
  milepost serve --paused                         look first; then milepost unpause --all
  milepost serve *.yaml --listen 127.0.0.1:8080 --concurrency 2
  curl -s http://127.0.0.1:7300/readyz

Exit codes: 0 stopped while no run was at work, 2 mistakes in a file, 3 stopped, and runs with it, which
go on with the next start, 4 the state directory is held by another engine, or the address is taken,
70 a failing disk, 130 Ctrl-C twice, or the grace time was over.")]
pub(super) struct Args {
    /// The workflow files; without any, only what is unfinished goes on
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where it listens, beside the socket in the state directory
    #[arg(long, value_name = "ADDRESS", default_value = LISTEN_DEFAULT)]
    listen: SocketAddr,
    /// The profile whose connections are used
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Begin nothing before it is unpaused: by run, by workflow, or all
    #[arg(long)]
    paused: bool,
    /// How many runs of one workflow may be at work at once
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// How many runs of one workflow may wait; more starts are refused
    #[arg(long, value_name = "N", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..))]
    queue: u32,
    /// How long calls that are out may take to end when it is stopped
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = spec::duration)]
    grace: Duration,
    /// Whether what nobody needs any more is removed by itself, as by milepost state gc
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Gc::Daily)]
    gc: Gc,
    /// Let anybody on this machine look without a token; only on a loopback address
    #[arg(long)]
    anonymous_reads: bool,
    /// Starts and ends as lines of JSON
    #[arg(long)]
    json: bool,
}

/// When what nobody needs any more is removed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Gc {
    /// Some minutes after the start, and then once a day.
    Daily,
    /// Only when somebody says so.
    Never,
}

impl From<Gc> for Collects {
    fn from(gc: Gc) -> Self {
        match gc {
            Gc::Daily => Self::Daily,
            Gc::Never => Self::Never,
        }
    }
}

impl Args {
    fn pace(&self) -> Pace {
        Pace {
            concurrency: self.concurrency.into(),
            waiting_max: usize::try_from(self.queue).unwrap_or(usize::MAX),
            finds: Finds::Everything,
            begins: if self.paused { Begins::WhenTold } else { Begins::AtOnce },
        }
    }

    /// How long calls that are out may take to end when it is stopped.
    #[cfg(test)]
    pub(super) fn grace(&self) -> Duration {
        self.grace
    }

    /// What somebody without a token may do.
    fn anonymous(&self) -> Result<Anonymous, Problem> {
        if !self.anonymous_reads {
            return Ok(Anonymous::Nothing);
        }
        if self.listen.ip().is_loopback() {
            return Ok(Anonymous::Reads);
        }
        let detail = format!("{} is not a loopback address: looking needs a token there", self.listen);
        Err(Problem::new(ProblemKind::Invalid, code::USAGE, detail).next("milepost token --help"))
    }
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let anonymous = args.anonymous()?;
    let mistakes = |report| Failure::Mistakes(Box::new(report));
    let foreseen = |file: &PathBuf| Watched::foreseen(file, args.profile.as_deref()).map_err(mistakes);
    let foreseen = args.files.iter().map(foreseen).collect::<Result<Vec<_>, _>>()?;
    each_once(&foreseen)?;
    let mut signals = Signals::listen()?;
    let engine = Arc::new(open_to_work(context).await?);
    let read = |file: &PathBuf| Watched::read(&engine, file, args.profile.as_deref()).map_err(mistakes);
    let watched = args.files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    // Nothing begins before it is sure that it can be asked about.
    let (socket, network) = listen(&args, context).await?;
    for file in &watched {
        teller::say_what_is_watched(file, output);
    }
    let served = watched.iter().map(|file| (file.file.as_path(), file.profile.as_deref()));
    let hooks = Arc::new(engine.hooks(served).await?);
    let mut watching = Watching::begin(&engine, watched, args.pace());
    let desk = watching.desk();
    let alerting = engine.alerting(desk.released());
    let _upkeep = Upkeep::begin(&engine, desk.clone(), args.gc.into());
    let service = operator::service(&engine, Some(Server { desk, hooks: Arc::clone(&hooks) }), anonymous);
    let (_serving, network) = (socket.serve(service.clone()), network.serve(service));
    let address = output.paint_talk(BOLD, &format!("http://{}", network.address()));
    output.say(&format!("serving on {address} and {}", context.options.socket().display()));
    engine.stand_in_tells(&hooks, &here(network.address()));
    for hook in hooks.names() {
        output.say(&format!("hears what is sent to /hooks/{hook}"));
    }
    say_how_to_get_in(&engine, &args, context, output);
    output.say("Ctrl-C ends it");
    if args.paused {
        let command = output.paint_talk(BOLD, &context.command("milepost unpause --all"));
        output.say(&format!("nothing begins before it is unpaused: {command}"));
    }
    let mut teller = Teller::new(engine.archive(), args.json);
    teller::until_stopped(&mut watching, &mut teller, &mut signals, Some(args.grace), context, output)
        .await?;
    watching.ended().await?;
    attend::end_alerting(alerting, output).await;
    if teller.interrupted {
        output.say("stopped; nothing is lost, and the next start goes on with it");
        return Ok(Exit::Interrupted);
    }
    output.say("stopped; no run was at work");
    Ok(Exit::Success)
}

/// Says what is missing, while nobody can get in over the network.
fn say_how_to_get_in(engine: &Engine, args: &Args, context: &Context, output: &mut Output) {
    if args.anonymous_reads || !engine.tokens().is_empty() {
        return;
    }
    let command = context.command("milepost token create me --scope operate");
    let command = output.paint_talk(BOLD, &command);
    output.say(&format!("nobody has a token to log in with: {command}"));
}

/// Runs, their triggers and the keys of their starts are known by the name of the workflow.
fn each_once(watched: &[Watched]) -> Result<(), Problem> {
    for (at, second) in watched.iter().enumerate() {
        let Some(first) = watched[..at].iter().find(|first| first.workflow == second.workflow) else {
            continue;
        };
        let [one, other] = [first, second].map(|watched| watched.file.display().to_string());
        let detail = format!("{one} and {other} are both called '{}'", second.workflow);
        let hint = "give one of them another name in its line `workflow:`, or leave it out".to_owned();
        let problem = Problem::new(ProblemKind::Invalid, code::MISTAKES, detail).candidates([hint]);
        return Err(problem.next(format!("milepost check {}", argument(&other))));
    }
    Ok(())
}

/// Takes the socket, and the address.
async fn listen(args: &Args, context: &Context) -> Result<(Bound, Reserved), Failure> {
    let socket = server::bind(&context.options).map_err(|error| unreachable(error.to_string()))?;
    match server::reserve(args.listen).await {
        Ok(network) => Ok((socket, network)),
        Err(error) => Err(unreachable(format!("failed to listen on {}: {error}", args.listen))),
    }
}

/// The address as this machine reaches it.
fn here(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        let loopback =
            if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    format!("http://{address}")
}

fn unreachable(detail: String) -> Failure {
    let problem = Problem::new(ProblemKind::Internal, code::STATE_OPEN, detail)
        .candidates(["choose another address with --listen".to_owned()]);
    Failure::Problem(Exit::StateUnavailable, problem.next("milepost serve --help"))
}
