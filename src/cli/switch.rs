//! `triaged kill`, `triaged resume` and `triaged playbook`: people's orders to all instances, the same
//! records as those that the control endpoint writes.

use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use super::{By, ConfigArgs, logging, output};
use crate::admin::control;
use crate::clock::now_ms;
use crate::config::{Config, LogConfig};
use crate::log::embedded::Store;
use crate::playbook::{self, NoPlaybook};
use crate::playbook_dir as dir;
use crate::resolve::control::{Order, Switch};

#[derive(Args)]
pub struct SwitchArgs {
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    by: By,
}

#[derive(Args)]
pub struct PlaybookArgs {
    /// The playbook's id
    id: String,
    /// Whether it may be carried out from now on
    #[arg(value_enum, value_name = "on|off")]
    turn: Turn,
    #[command(flatten)]
    switch: SwitchArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Turn {
    On,
    Off,
}

pub fn kill(args: &SwitchArgs) -> Result<()> {
    give(
        args,
        &args.settings()?,
        Switch::Everything,
        false,
        "no playbook is carried out any more, their tickets go to people",
        "to lift it: triaged resume",
    )
}

pub fn resume(args: &SwitchArgs) -> Result<()> {
    let config = args.settings()?;
    let again = "playbooks are carried out again, but for those that are switched off";
    give(args, &config, Switch::Everything, true, again, "to stop again: triaged kill")?;
    if let Some(file) = &config.resolve.kill_file {
        let file = file.display();
        output::note(format_args!(
            "where the kill file {file} is, nothing is called until it is gone"
        ));
    }
    Ok(())
}

pub fn playbook(args: &PlaybookArgs) -> Result<()> {
    let (id, config) = (&args.id, args.switch.settings()?);
    let known = known(&config)?;
    if !known.contains(id) {
        let unknown = NoPlaybook::new(id, &known);
        bail!("{unknown}; nothing is ordered, and `triaged kill` would stop all of them");
    }
    let switch = Switch::Playbook(id.clone());
    let (said, lift) = match args.turn {
        Turn::Off => (
            format!("{id} is not carried out any more, its tickets go to people"),
            format!("to lift it: triaged playbook {id} on"),
        ),
        Turn::On => (
            format!("{id} may be carried out again, even if it had switched itself off"),
            format!("to stop it again: triaged playbook {id} off"),
        ),
    };
    give(&args.switch, &config, switch, args.turn == Turn::On, &said, &lift)
}

impl SwitchArgs {
    fn settings(&self) -> Result<Config> {
        let config = self.config.load_for_records()?;
        logging::start(&config.logging);
        Ok(config)
    }
}

/// The ids of the configured playbooks, even if something is wrong with their files.
pub(super) fn known(config: &Config) -> Result<Vec<String>> {
    let folder = config.resolve.playbooks.as_ref().context(
        "resolve.playbooks is empty, so no playbook is known: give the service's configuration with \
         --config",
    )?;
    Ok(playbook::ids(&dir::read(folder)?.files))
}

/// Writes an order, and says what it does and how to lift it.
fn give(
    args: &SwitchArgs,
    config: &Config,
    switch: Switch,
    on: bool,
    said: &str,
    lift: &str,
) -> Result<()> {
    if let LogConfig::Embedded(embedded) = &config.log {
        // A log that is made just now is one that nobody reads.
        Store::open_existing(&embedded.dir)
            .context("the order is not given, nobody would hear it")?;
    }
    let at_ms = now_ms();
    let order = Order { switch, on, by: args.by.name.clone(), at_ms };
    control::write(config, &order).map_err(anyhow::Error::msg).context(if on {
        "the order is not recorded, nothing goes again"
    } else {
        "the order is not recorded, nothing is stopped; the kill file (resolve.kill_file) on every \
         instance stops all calls without the log"
    })?;
    output::print(|out| {
        writeln!(out, "ordered by {}: {said}", order.by)?;
        writeln!(out, "each instance follows within a second; with the same settings, {lift}")?;
        Ok(())
    })
}
