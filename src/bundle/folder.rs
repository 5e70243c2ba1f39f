//! A bundle's directory, and how a new bundle takes the place of an old one.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{
    Bundle, BundleError, CARD, MANIFEST, MAX_FILE, ModelId, PROBES, SPLIT, TOKENIZER, WEIGHTS,
    model_id,
};

/// All that a bundle may hold.
const FILES: [&str; 6] = [MANIFEST, TOKENIZER, WEIGHTS, PROBES, SPLIT, CARD];
/// A link that leads to so many others leads round in a circle.
const LINKS: usize = 8;

/// Writes a bundle; its probes are run first.
///
/// The new bundle is made beside `dir`, and takes its place in two renames. Between them, and only
/// then, `dir` is missing: whoever opens it is refused. At any moment the old bundle or the new one
/// is whole on disk. If the process is killed between the renames, the old one stands beside `dir` as
/// `.NAME.old`: opening `dir` says so, and the next call puts it back before it does anything else.
///
/// # Errors
/// When the bundle does not work, cannot be written, or `dir` holds something else. An old bundle is
/// in `dir` as it was, unless the error names `.NAME.old`.
pub fn write(dir: &Path, bundle: &Bundle) -> Result<ModelId, BundleError> {
    let dir = &place(dir)?;
    bundle.model()?;
    let exists = dir.exists();
    let (manifest, files) = bundle.files()?;
    if let Some((file, bytes)) = files.iter().find(|(_, bytes)| bytes.len() as u64 > MAX_FILE) {
        return Err(BundleError::TooLarge { file, bytes: bytes.len() as u64 });
    }
    let (fresh, old) = (hidden(dir, "new"), hidden(dir, "old"));
    for left_over in [&fresh, &old] {
        if left_over.exists() {
            fs::remove_dir_all(left_over).map_err(fail(left_over))?;
        }
    }
    fs::create_dir(&fresh).map_err(fail(&fresh))?;
    for (name, bytes) in files.iter().map(|(n, b)| (*n, b)).chain([(MANIFEST, &manifest)]) {
        let path = fresh.join(name);
        let mut file = fs::File::create(&path).map_err(fail(&path))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fail(&path))?;
    }
    if exists && let Err(source) = fs::rename(dir, &old) {
        fs::remove_dir_all(&fresh).map_err(fail(&fresh))?;
        return Err(fail(dir)(source));
    }
    if let Err(source) = fs::rename(&fresh, dir) {
        if exists {
            fs::rename(&old, dir).map_err(fail(&old))?;
        }
        return Err(fail(dir)(source));
    }
    if exists {
        fs::remove_dir_all(&old).map_err(fail(&old))?;
    }
    Ok(model_id(&manifest))
}

/// Where [`write()`] would put a bundle: `dir`, or what it is a link to. Whoever trains for minutes asks
/// beforehand.
///
/// # Errors
/// When nothing can be written there, or `dir` holds what is no part of a bundle and would be lost.
pub fn place(dir: &Path) -> Result<PathBuf, BundleError> {
    let mut place = dir.to_owned();
    for _ in 0..LINKS {
        let Ok(target) = fs::read_link(&place) else { break };
        place = parent(&place).join(target);
    }
    if place.file_name().is_none() {
        return Err(BundleError::Unnamed { dir: dir.to_owned() });
    }
    if let Some(old) = cut_off(&place) {
        fs::rename(&old, &place).map_err(fail(&old))?;
    }
    if let Ok(entries) = fs::read_dir(&place) {
        let names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        if !names.is_empty() && !is_bundle(&place) {
            return Err(BundleError::NotABundle { dir: place });
        }
        let foreign = |name: &&OsString| !FILES.iter().any(|file| **name == **file);
        if let Some(file) = names.iter().find(foreign) {
            return Err(BundleError::Foreign { file: place.join(file) });
        }
    } else if place.exists() {
        return Err(BundleError::NotABundle { dir: place });
    }
    let trial = hidden(&place, "trial");
    fs::create_dir_all(&trial).and_then(|()| fs::remove_dir(&trial)).map_err(fail(&trial))?;
    Ok(place)
}

/// The bundle that stood in `dir`, where there is none since [`write()`] was cut off.
pub(super) fn cut_off(dir: &Path) -> Option<PathBuf> {
    let old = hidden(dir, "old");
    (!dir.exists() && is_bundle(&old)).then_some(old)
}

fn fail(path: &Path) -> impl FnOnce(std::io::Error) -> BundleError {
    let path = path.to_owned();
    move |source| BundleError::Write { path, source }
}

fn parent(dir: &Path) -> &Path {
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// `models/.mine.old` for `models/mine`.
fn hidden(dir: &Path, what: &str) -> PathBuf {
    let name = dir.file_name().map_or("model".into(), |n| n.to_string_lossy());
    parent(dir).join(format!(".{name}.{what}"))
}

fn is_bundle(dir: &Path) -> bool {
    fs::read(dir.join(MANIFEST))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
        .is_some_and(|manifest| manifest.get("format").is_some_and(serde_json::Value::is_u64))
}
