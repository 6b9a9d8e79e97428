//! `generate`: man page, completions, schema and generated documents, each from the one place that defines it.

use clap::CommandFactory as _;

use super::Outcome;
use crate::{
    check,
    cli::{Cli, Document, Generate},
    client, render, renewal, store,
};

pub(super) fn run(what: &Generate) -> Outcome {
    match what {
        Generate::Man => {
            let mut page = Vec::new();
            match clap_mangen::Man::new(Cli::command()).render(&mut page) {
                Ok(()) => Outcome::text(page),
                Err(error) => Outcome::error(error),
            }
        }
        Generate::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "certdoctor", &mut script);
            Outcome::text(script)
        }
        Generate::Schema => Outcome::text(render::json::schema()),
        Generate::Docs { document } => Outcome::text(match document {
            Document::Clients => client::markdown(),
            Document::Findings => check::findings_markdown(),
            Document::Managers => renewal::markdown(),
            Document::Stores => store::markdown(),
        }),
    }
}
