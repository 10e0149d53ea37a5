//! Where file types come from.

use std::path::Path;

use anyhow::{Context as _, bail};

use crate::domain::{FileType, FileTypes};
use crate::policy_file;
use crate::secret_file;

/// The file types that come with dropslip: file name and text.
pub const SHIPPED_POLICIES: [(&str, &str); 3] = [
    ("artifact.toml", include_str!("../../policies/artifact.toml")),
    ("attachment.toml", include_str!("../../policies/attachment.toml")),
    ("image.toml", include_str!("../../policies/image.toml")),
];

/// Reads every `*.toml` in `folder`, or the shipped file types.
pub(super) fn read_file_types(folder: Option<&Path>) -> anyhow::Result<FileTypes> {
    let mut texts: Vec<(String, String)> = match folder {
        None => SHIPPED_POLICIES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        Some(folder) => policy_texts(folder).with_context(|| format!("DROPSLIP_POLICIES: {}", folder.display()))?,
    };
    texts.sort();
    let mut types: Vec<FileType> = Vec::new();
    for (name, text) in &texts {
        let file_type = policy_file::parse(text).map_err(|error| anyhow::anyhow!("{name}: {error}"))?;
        if types.iter().any(|other| other.name == file_type.name) {
            bail!("{name}: name: another file already describes ‘{}’", file_type.name);
        }
        types.push(file_type);
    }
    if types.is_empty() {
        bail!("DROPSLIP_POLICIES: there is no *.toml file, so nothing could be uploaded");
    }
    Ok(FileTypes::new(types))
}

fn policy_texts(folder: &Path) -> std::io::Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = secret_file::read_text(&path).map_err(|error| std::io::Error::other(format!("{}: {error}", path.display())))?;
            texts.push((path.display().to_string(), text));
        }
    }
    Ok(texts)
}
