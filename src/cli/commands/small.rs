//! The arms of the commands that keep a vault small.

use super::{Answer, Call};
use crate::cli::args::small::{DropOptions, PruneOptions};
use crate::cli::{json, prompt, text};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops;
use crate::ops::drop::{Choice, DropPlan};

/// Whether a person is asked before anything is dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consent {
    Asked,
    Given,
}

impl Call<'_> {
    pub(super) fn drop_snapshots(&self, options: &DropOptions) -> Result<Answer> {
        let choice = Choice::Named(options.snapshots.clone());
        let plan = ops::drop::plan(self.workplace, &choice)?;
        if options.dry_run {
            return Ok(Answer::new(
                json::small::planned(&plan),
                text::small::planned(&plan),
            ));
        }
        self.carry_out(plan, consent(options.unattended))
    }

    pub(super) fn prune(&self, options: &PruneOptions) -> Result<Answer> {
        let policy = options.policy();
        if !policy.keeps_by_rule() && policy.max_bytes.is_none() {
            return Err(Refusal::new(
                RefusalCode::SettingInvalid,
                "nothing says what is to be kept",
            )
            .because("without a rule, all but the newest snapshot would go")
            .keeping("nothing was touched")
            .next(
                "git vault prune --keep-last 20 --keep-daily 14 --dry-run",
                "shows what these rules would keep",
            ));
        }
        let choice = Choice::Policy(policy);
        let plan = ops::drop::plan(self.workplace, &choice)?;
        if options.dry_run {
            return Ok(Answer::new(
                json::small::planned(&plan),
                text::small::planned(&plan),
            ));
        }
        self.carry_out(plan, consent(options.unattended))
    }

    pub(super) fn optimize(&self) -> Result<Answer> {
        let report = ops::optimize::optimize(self.workplace, self.monitor)?;
        Ok(Answer::new(
            json::small::optimize(&report),
            text::small::optimize(&report),
        ))
    }

    fn carry_out(&self, plan: DropPlan, consent: Consent) -> Result<Answer> {
        if consent == Consent::Asked && !plan.going.is_empty() {
            ask(&plan)?;
        }
        let report = ops::drop::carry_out(self.workplace, plan, self.monitor)?;
        Ok(Answer::new(
            json::small::dropped(&report),
            text::small::dropped(&report),
        ))
    }
}

fn consent(unattended: bool) -> Consent {
    if unattended {
        Consent::Given
    } else {
        Consent::Asked
    }
}

/// Shows the plan, and goes on only when the number of snapshots is typed that it drops.
fn ask(plan: &DropPlan) -> Result<()> {
    let count = plan.going.len();
    let question = format!(
        "{}Type the number of snapshots that are dropped:",
        text::small::planned(plan)
    );
    if prompt::ask(&question).trim().parse() == Ok(count) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::StatementDiffers,
        "the number that was typed is not that of the plan",
    )
    .because(format!("the plan drops {count}"))
    .keeping("nothing was dropped")
    .next("git vault list", "shows the snapshots that exist"))
}
