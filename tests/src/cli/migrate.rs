//! `migrate`: one move told step by step.

use super::{Answer, Out, Run, Trouble, table};
use crate::ledger::{self, Settings};
use clap::ValueEnum;
use model::migrate::{Plan, Policy, TxMode};

/// Arguments of `migrate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Seed of the traffic and of the moment
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What becomes of TX packets under way
    #[arg(long, value_enum, default_value_t = Tx::Rollback)]
    tx: Tx,
    /// What becomes of frames under way
    #[arg(long, value_enum, default_value_t = Ingress::C)]
    policy: Ingress,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Tx {
    /// Everything posted is sent first
    Drain,
    /// What was not sent goes back to the ring
    Rollback,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "verbatim")]
enum Ingress {
    /// Steer, then a barrier until the FIFO is empty
    A,
    /// Pause upstream
    B,
    /// Steer, read the FIFO back and inject it first
    C,
    /// Steer, drop the FIFO and count it
    D,
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        let tx = match self.tx {
            Tx::Drain => TxMode::Drain,
            Tx::Rollback => TxMode::RollBack,
        };
        let policy = match self.policy {
            Ingress::A => Policy::A,
            Ingress::B => Policy::B,
            Ingress::C => Policy::C,
            Ingress::D => Policy::D,
        };
        let tale = ledger::tell(&Settings { seed: self.seed, leave: Plan::leave(tx, policy), enter: Plan::enter(tx) });
        for entry in &tale.entries {
            out.text(&format!("{} ({})\n", entry.at, table::count(u64::from(entry.steps), "step", "steps")))?;
            out.text(&table::indented(&format!("{}\n{}\n", entry.does, entry.state.replace("; ", "\n"))))?;
        }
        out.text("ledger\n")?;
        let rows: Vec<_> =
            tale.balance.iter().map(|(what, number)| [(*what).to_string(), number.to_string()]).collect();
        out.text(&table::indented(&table::lines(&rows)))?;
        for violation in &tale.violations {
            out.text(&format!("{violation}\n"))?;
        }
        out.text(if tale.violations.is_empty() {
            "holds: nothing lost, nothing twice, nothing out of order, no wake-up missed\n"
        } else {
            "does not hold\n"
        })?;
        Ok(tale.violations.is_empty().into())
    }
}
