//! `explain`: what a word is. Registers, commands, codes, structures and descriptors are `golden`'s; clauses, deviations,
//! profiles and planted bugs are looked up here.

use super::list::{bug, place, rejected_by, with};
use super::table::{indented, lines};
use super::{Answer, Out, Run, Trouble};
use golden::explain::explain;
use model::mutant::Mutant;
use spec::clause::{ALL, Clause};
use spec::profile::{Deviation, Profile};

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names, numbers, `bar0+0x600`, clause ids or their beginnings; or 16 bytes in hexadecimal, in one word or in 16
    #[arg(required = true, value_name = "WORD")]
    words: Vec<String>,
}

impl Run for Args {
    fn run(self, out: &mut Out<'_>) -> Result<Answer, Trouble> {
        // The bytes of a descriptor are one word in sixteen.
        let joined = self.words.join(" ");
        if self.words.len() > 1
            && let Some(text) = explain(&joined)
        {
            out.text(&text)?;
            return Ok(Answer::Holds);
        }
        for (i, word) in self.words.iter().enumerate() {
            let meanings = meanings(word);
            if meanings.is_empty() {
                return Err(Trouble::Unexplained { word: word.clone() });
            }
            let gap = if i == 0 { "" } else { "\n" };
            out.text(&format!("{gap}{}", meanings.join("\n")))?;
        }
        Ok(Answer::Holds)
    }
}

/// Every meaning of `word`, each a paragraph that ends its line.
fn meanings(word: &str) -> Vec<String> {
    let mut found: Vec<String> = ALL.iter().filter(|clause| asks_for(word, clause)).map(clause).collect();
    if let Some(text) = explain(word) {
        found.push(text);
        found.extend(naming(word));
    }
    found
        .extend(Deviation::TABLE.iter().filter(|row| format!("{:?}", row.0).eq_ignore_ascii_case(word)).map(deviation));
    found.extend(Profile::ALL.iter().filter(|profile| profile.name.eq_ignore_ascii_case(word)).map(|it| profile(it)));
    found.extend(Mutant::TABLE.iter().filter(|row| row.1.eq_ignore_ascii_case(word)).map(|row| mutant(row.0)));
    found
}

/// The whole id, or its first parts.
fn asks_for(word: &str, clause: &Clause) -> bool {
    let (head, rest) = match clause.id.get(..word.len()) {
        Some(head) => (head, &clause.id[word.len()..]),
        None => return false,
    };
    head.eq_ignore_ascii_case(word) && (rest.is_empty() || rest.starts_with('-'))
}

fn clause(clause: &Clause) -> String {
    let Clause { id, sentence, source, strength, judge } = clause;
    let mut text =
        format!("clause {id}, {}, judged by a {}\n  {sentence}\n  source: {source}\n", strength.name(), judge.name());
    let bugs = rejected_by(id);
    if !bugs.is_empty() {
        text += &format!("  rejects: {}\n", bugs.join(", "));
    }
    text
}

/// The clauses that a register, command or field is named in.
fn naming(word: &str) -> Option<String> {
    let name = word.split('[').next().unwrap_or(word);
    let name = name.rsplit('.').next().unwrap_or(name);
    let named = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == name);
    let rows: Vec<_> = ALL
        .iter()
        .filter(|clause| named(clause.sentence))
        .map(|clause| [clause.id.to_string(), clause.sentence.to_string()])
        .collect();
    (!rows.is_empty()).then(|| format!("clauses that name it\n{}", indented(&lines(&rows))))
}

fn deviation(&(deviation, sentence, source): &(Deviation, &'static str, &'static str)) -> String {
    format!("deviation {deviation:?} of {}\n  {sentence}\n  source: {source}\n", with(deviation))
}

fn profile(profile: &Profile) -> String {
    let (limits, width) = (profile.limits, profile.widest());
    let deviations: Vec<_> = profile.deviations.iter().map(|deviation| format!("{deviation:?}")).collect();
    let deviations = if deviations.is_empty() { "none".into() } else { deviations.join(", ") };
    format!(
        "profile {}, number {} in saved states\n  most descriptors: tx {}, rx {}; ring sizes are multiples of {}\n  \
         at most {} tx and {} rx queues, {} vectors, MTU {} to {}\n  deviations: {deviations}\n",
        profile.name,
        profile.id,
        limits.tx_ring,
        limits.rx_ring,
        limits.ring_step,
        width.tx_queues,
        width.rx_queues,
        width.vectors,
        limits.min_mtu,
        limits.max_mtu
    )
}

fn mutant(mutant: Mutant) -> String {
    let (_, name, at, killer, what, _) = mutant.row();
    format!("planted bug {name} in the {}, rejected by {killer}\n  {}\n", place(*at), bug(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clause_is_found_by_its_id_and_by_its_first_parts() {
        let found = meanings("swi-con-001");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("clause SWI-CON-001, "), "{}", found[0]);
        assert!(meanings("SWI-CON").len() > 1);
        assert!(meanings("SWI-CO").is_empty() && meanings("").is_empty());
    }

    #[test]
    fn every_clause_deviation_profile_and_planted_bug_is_explained() {
        let clauses = ALL.iter().map(|clause| clause.id.to_string());
        let deviations = Deviation::TABLE.iter().map(|row| format!("{:?}", row.0));
        let profiles = Profile::ALL.iter().map(|profile| profile.name.to_string());
        let mutants = Mutant::TABLE.iter().map(|row| row.1.to_string());
        for word in clauses.chain(deviations).chain(profiles).chain(mutants) {
            assert!(!meanings(&word).is_empty(), "{word}");
        }
    }

    #[test]
    fn any_letter_is_answered() {
        for word in ["é", "VMX-é", "\u{1f980}\u{1f980}\u{1f980}", "VM\u{130}"] {
            assert!(meanings(word).is_empty(), "{word}");
        }
    }
}
