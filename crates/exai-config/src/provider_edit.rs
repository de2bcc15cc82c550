//! Adding `[providers.NAME]` tables to `config.toml`.

use toml_edit::{Table, value};

use crate::edit::{EditError, edit, insert_table};
use crate::{Dialect, Home};

/// A provider without an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewProvider {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub base_url: String,
    /// Its dialect, if the address does not tell.
    pub dialect: Option<Dialect>,
}

impl NewProvider {
    /// The block for `config.toml`, as a person would write it.
    pub fn block(&self) -> String {
        format!("[providers.{}]\n{}", self.name, self.table())
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.insert("base_url", value(&self.base_url));
        if let Some(dialect) = self.dialect {
            table.insert("dialect", value(dialect.name()));
        }
        table
    }
}

/// Adds a provider at the end of the file. One of the same name that is there stays.
pub fn add_provider(home: &Home, provider: &NewProvider) -> Result<(), EditError> {
    edit(home, |document, config| {
        if config.find_provider(&provider.name).is_none() {
            let mut table = provider.table();
            table.decor_mut().set_prefix(if config.is_blank() { "" } else { "\n" });
            insert_table(document, "providers", &provider.name, table);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_added_once_and_the_rest_of_the_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        home.prepare().unwrap();
        let ollama = NewProvider {
            name: "ollama".to_owned(),
            base_url: "http://127.0.0.1:11434/v1".to_owned(),
            dialect: None,
        };
        assert_eq!(ollama.block(), "[providers.ollama]\nbase_url = \"http://127.0.0.1:11434/v1\"\n");
        let after = |before: &str, provider: &NewProvider| {
            std::fs::write(home.config(), before).unwrap();
            add_provider(&home, provider).unwrap();
            std::fs::read_to_string(home.config()).unwrap()
        };
        assert_eq!(after("", &ollama), ollama.block());
        let mine = "# mine\n[servers.a] # first\ncommand = \"a\"\n";
        assert_eq!(after(mine, &ollama), format!("{mine}\n{}", ollama.block()));
        let other = "[providers.Ollama]\nbase_url = \"https://x\"\n";
        assert_eq!(after(other, &ollama), other);
        let elsewhere = NewProvider { dialect: Some(Dialect::Ollama), ..ollama.clone() };
        assert_eq!(after("", &elsewhere), format!("{}dialect = \"ollama\"\n", ollama.block()));
        let inline = "providers = { a = { base_url = \"https://x\" } }\n";
        let text = after(inline, &ollama);
        assert!(text.contains("ollama = { base_url = \"http://127.0.0.1:11434/v1\" } }"), "{text}");
    }
}
