//! `milepost sandbox`: stand-ins for the PIM and the shop, and what they hold.

use std::path::PathBuf;

use clap::ValueEnum;
use serde_json::json;

use super::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{BOLD, DIM, Output};
use super::signals::Signals;
use super::table::{self, Table};
use crate::connectors::sandbox::{self, Faults, Holdings, PimProfile};

/// Products listed on a terminal when nothing else is asked for.
const LIMIT_DEFAULT: usize = 20;

/// Stand-ins for the PIM and the shop, which fail when told to
///
/// They listen on the loopback address, answer as the real systems do as far as the connectors use
/// them, and keep what they hold, with a journal of every call, in a directory of their own.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  milepost sandbox                                     serve until Ctrl-C
  milepost sandbox --fail 10% --latency 50ms           one call in ten fails, each takes 50 ms
  milepost sandbox --outage 30s --on pim               the PIM is down for 30 s
  milepost sandbox --refuse SKU-1042 --drop 1%         refuse a product; do the work, drop the answer
  milepost sandbox fail --on shop --refuse SKU-1042    those that serve or run has started, from now on
  milepost sandbox heal                                they fail no more
  milepost sandbox show                                what they hold

To use them, name their addresses: pim: { use: sandbox, url: http://127.0.0.1:7401 }

Exit codes: 0, 4 the directory is held by other stand-ins, or a port is taken.")]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Serve(ServeArgs),
    Fail(FailArgs),
    Heal(HealArgs),
    Show(ShowArgs),
}

/// Serve until Ctrl-C (the same as `milepost sandbox`)
#[derive(Debug, clap::Args)]
struct ServeArgs {
    /// Where they keep what they hold (default: sandbox in the state directory)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The port of the PIM; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 7401)]
    pim_port: u16,
    /// The port of the shop; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = 7402)]
    shop_port: u16,
    /// Which Data Hub the PIM plays: 1.8 or 2026.2
    #[arg(long, value_name = "VERSION", default_value = "1.8", value_parser = profile)]
    pim_profile: PimProfile,
    #[command(flatten)]
    faults: FaultArgs,
    /// Where they listen, as JSON
    #[arg(long)]
    json: bool,
}

/// Let those that are served now fail, by whichever process, in place of how they failed before
///
/// The stand-ins that `run` and `serve` start by themselves are meant, too.
#[derive(Debug, clap::Args)]
struct FailArgs {
    /// Where they keep what they hold (default: sandbox in the state directory)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    faults: FaultArgs,
}

/// Let those that are served now fail no more
#[derive(Debug, clap::Args)]
struct HealArgs {
    /// Where they keep what they hold (default: sandbox in the state directory)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// How they fail.
#[derive(Debug, clap::Args)]
struct FaultArgs {
    /// Which of them fails as told below
    #[arg(long, value_enum, default_value_t = On::Both)]
    on: On,
    /// Share of calls answered with 500, with nothing done: 0.1 or 10%
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = rate)]
    fail: f64,
    /// How long each call takes
    #[arg(long, value_name = "DURATION", default_value = "0ms", value_parser = millis)]
    latency: u64,
    /// Out of order for so long from the start: every call is answered with 503
    #[arg(long, value_name = "DURATION", default_value = "0ms", value_parser = millis)]
    outage: u64,
    /// Out of order for the first so many calls
    #[arg(long, value_name = "N", default_value_t = 0)]
    outage_calls: u64,
    /// Seconds of Retry-After that go with 503
    #[arg(long, value_name = "SECONDS")]
    retry_after: Option<u64>,
    /// A key (SKU, external ID) whose writes are refused; may be given several times
    #[arg(long, value_name = "KEY")]
    refuse: Vec<String>,
    /// A SKU whose create the PIM does by half: saved, and answered as failed; may be given several times
    #[arg(long, value_name = "SKU")]
    half: Vec<String>,
    /// Share of writing calls that are done, but whose answer is dropped: 0.01 or 1%
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = rate)]
    drop: f64,
    /// Drop the answers of the next so many writing calls, after the work is done
    #[arg(long, value_name = "N", default_value_t = 0)]
    drop_next: u64,
    /// The seed of chance: with the same calls the same faults happen again
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum On {
    Pim,
    Shop,
    Both,
}

/// Show what they hold, and how often each product was written
#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Where they keep what they hold (default: sandbox in the state directory)
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// At most this many products of each (default: 20; with --json all)
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    match args.verb {
        None => serve(args.serve, context, output).await,
        Some(Verb::Serve(args)) => serve(args, context, output).await,
        Some(Verb::Fail(args)) => fail(args, context, output).await,
        Some(Verb::Heal(args)) => heal(args, context, output).await,
        Some(Verb::Show(args)) => show(&args, context, output),
    }
}

async fn serve(args: ServeArgs, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    let json = args.json;
    let options = options(args, context);
    let sandbox = sandbox::serve(&options).await?;
    if json {
        output.json_line(&json!({
            "pim": { "url": &sandbox.pim_url, "seed": sandbox.pim_seed },
            "shop": { "url": &sandbox.shop_url, "seed": sandbox.shop_seed },
        }))?;
    } else {
        output.line(&format!("pim   {}\nshop  {}", sandbox.pim_url, sandbox.shop_url))?;
    }
    output.flush()?;
    output.say(&format!(
        "stand-ins in {}; Ctrl-C ends them, and they keep what they hold",
        options.dir.display()
    ));
    signals.next().await;
    sandbox.shutdown().await;
    Ok(Exit::Success)
}

async fn fail(args: FailArgs, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let on = args.faults.on;
    let dir = directory(args.dir, context);
    let faults = args.faults.faults();
    let of = |which| (on == On::Both || on == which).then_some(&faults);
    sandbox::fail(&dir, of(On::Pim), of(On::Shop)).await?;
    let who = match on {
        On::Pim => "the PIM fails",
        On::Shop => "the shop fails",
        On::Both => "both fail",
    };
    let heal = output.paint_talk(BOLD, &context.command("milepost sandbox heal"));
    output.say(&format!("{who} as told from now on, until: {heal}"));
    Ok(Exit::Success)
}

async fn heal(args: HealArgs, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let healthy = Faults::default();
    sandbox::fail(&directory(args.dir, context), Some(&healthy), Some(&healthy)).await?;
    output.say("both answer as they should");
    Ok(Exit::Success)
}

impl FaultArgs {
    fn faults(self) -> Faults {
        Faults {
            errors: self.fail,
            latency_ms: self.latency,
            outage: false,
            outage_calls: self.outage_calls,
            outage_ms: self.outage,
            retry_after_s: self.retry_after,
            refuse: self.refuse,
            half: self.half,
            drops: self.drop,
            drop_next: self.drop_next,
            seed: self.seed,
        }
    }
}

fn options(args: ServeArgs, context: &Context) -> sandbox::Options {
    let on = args.faults.on;
    let faults = args.faults.faults();
    let healthy = Faults { seed: faults.seed, ..Faults::default() };
    let told = |which| if on == On::Both || on == which { faults.clone() } else { healthy.clone() };
    sandbox::Options {
        dir: directory(args.dir, context),
        pim_port: args.pim_port,
        shop_port: args.shop_port,
        pim_profile: args.pim_profile,
        pim: told(On::Pim),
        shop: told(On::Shop),
    }
}

fn show(args: &ShowArgs, context: &Context, output: &mut Output) -> Result<Exit, Failure> {
    let contents = sandbox::contents(&directory(args.dir.clone(), context))?;
    if args.json {
        output.json(&contents)?;
        return Ok(Exit::Success);
    }
    let limit = args.limit.unwrap_or(LIMIT_DEFAULT);
    write_holdings("pim", &contents.pim, limit, output)?;
    output.line("")?;
    write_holdings("shop", &contents.shop, limit, output)?;
    Ok(Exit::Success)
}

fn write_holdings(name: &str, holdings: &Holdings, limit: usize, output: &mut Output) -> Result<(), Failure> {
    let name = output.paint(BOLD, name);
    let Holdings { products, writes, writes_max, .. } = holdings;
    output.line(&format!(
        "{name}  {products} products, {writes} writes, at most {writes_max} of one product"
    ))?;
    if holdings.items.is_empty() || limit == 0 {
        return Ok(());
    }
    let mut table = Table::new(["product", "state", "writes"]);
    for held in holdings.items.iter().take(limit) {
        table.row([
            table::text(held.key.as_str()),
            table::text(held.state.as_str()),
            table::number(held.writes),
        ]);
    }
    let table = table.render(output);
    output.line(&table)?;
    let hidden = holdings.items.len().saturating_sub(limit);
    if hidden > 0 {
        output
            .line(&output.paint(DIM, &format!("and {hidden} more; add --limit {}", holdings.items.len())))?;
    }
    Ok(())
}

fn directory(given: Option<PathBuf>, context: &Context) -> PathBuf {
    given.unwrap_or_else(|| context.options.sandbox())
}

/// `1.8` or `2026.2`.
fn profile(text: &str) -> Result<PimProfile, String> {
    PimProfile::named(text).ok_or_else(|| format!("expected 1.8 or 2026.2, not '{text}'"))
}

/// `0.1` or `10%`.
fn rate(text: &str) -> Result<f64, String> {
    let wrong = || format!("expected a share such as 0.1 or 10%, not '{text}'");
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map_err(|_| wrong())? / 100.0,
        None => text.parse().map_err(|_| wrong())?,
    };
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(wrong()) }
}

/// `50ms`, `30s`, `1m 30s`.
fn millis(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected a duration such as 50ms or 30s, not '{text}'");
    let duration: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    u64::try_from(duration.as_millis()).map_err(|_| wrong())
}
