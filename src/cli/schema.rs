//! `triaged schema`: the contracts, generated from the types that are read and written.

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::output;
use crate::desk::TicketSchema;
use crate::stage::event::DecisionSchema;
use crate::stage::resolve::{CameBackSchema, OutcomeSchema};

#[derive(Args)]
pub struct SchemaArgs {
    /// Which contract
    #[arg(value_enum, default_value_t = Contract::Ticket)]
    contract: Contract,
}

#[derive(Clone, Copy, ValueEnum)]
enum Contract {
    /// What arrives
    Ticket,
    /// What leaves: the data of routed, review and action events
    Decision,
    /// What came of an action
    Outcome,
    /// A resolved ticket that came back, for people
    CameBack,
}

pub fn schema(args: &SchemaArgs) -> Result<()> {
    let schema = match args.contract {
        Contract::Ticket => schemars::schema_for!(TicketSchema),
        Contract::Outcome => schemars::schema_for!(OutcomeSchema),
        Contract::CameBack => schemars::schema_for!(CameBackSchema),
        Contract::Decision => schemars::schema_for!(DecisionSchema),
    };
    output::print(|out| output::json(out, &schema))
}
