//! A bundle's directory, and how a new bundle takes the place of an old one.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{Bundle, BundleError, MANIFEST, MAX_FILE, ModelId, model_id};

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
    if let Some(old) = cut_off(dir) {
        fs::rename(&old, dir).map_err(fail(&old))?;
    }
    bundle.model()?;
    let exists = dir.exists();
    let empty = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    if exists && !empty && !is_bundle(dir) {
        return Err(BundleError::NotABundle { dir: dir.to_owned() });
    }
    let (manifest, files) = bundle.files()?;
    if let Some((file, bytes)) = files.iter().find(|(_, bytes)| bytes.len() as u64 > MAX_FILE) {
        return Err(BundleError::TooLarge { file, bytes: bytes.len() as u64 });
    }
    let (fresh, old) = (hidden(dir, "new"), hidden(dir, "old"));
    fs::create_dir_all(parent(dir)).map_err(fail(parent(dir)))?;
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
    if exists {
        fs::rename(dir, &old).map_err(fail(dir))?;
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
