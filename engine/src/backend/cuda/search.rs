//! Where a kernel compiler may lie on this machine. Knows folders and file names; loads nothing.

use std::path::{Path, PathBuf};

/// Major versions whose compilers we know, newest first, with the package folder that pip makes.
const MAJORS: &[(u32, &str)] = &[(13, "cu13"), (12, "cuda_nvrtc")];

/// Every compiler found whose major version is at most `major_at_most`, in order of trust: what the
/// user names, what is installed, what the dynamic loader knows.
pub(super) fn compilers(major_at_most: u32) -> Vec<PathBuf> {
    let majors = MAJORS.iter().filter(|(major, _)| *major <= major_at_most);
    let mut found = Vec::new();
    for (major, package) in majors {
        let file = library(*major);
        let folders = toolkits().into_iter().chain(packages(package));
        found.extend(folders.map(|folder| folder.join(&file)).filter(|path| path.is_file()));
    }
    // Last, because only the loader knows what is there.
    let majors = MAJORS.iter().filter(|(major, _)| *major <= major_at_most);
    found.extend(majors.map(|(major, _)| PathBuf::from(library(*major))));
    found
}

/// The compiler's own builtin functions, beside it.
pub(super) fn builtins_beside(compiler: &Path) -> Vec<PathBuf> {
    let name = compiler.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let Some(major) = MAJORS.iter().map(|(major, _)| *major).find(|major| name == library(*major))
    else {
        return Vec::new();
    };
    let start = format!("libnvrtc-builtins.so.{major}.");
    let folder = compiler.parent().unwrap_or(Path::new(""));
    entries(folder, &|name| name.starts_with(&start))
}

fn library(major: u32) -> String {
    match cfg!(windows) {
        true => format!("nvrtc64_{major}0_0.dll"),
        false => format!("libnvrtc.so.{major}"),
    }
}

/// Library folders of CUDA toolkits: where the environment points, then where installers put them.
fn toolkits() -> Vec<PathBuf> {
    let named = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(std::env::var_os);
    let mut roots: Vec<PathBuf> = named.map(PathBuf::from).collect();
    roots.push("/usr/local/cuda".into());
    roots.extend(entries(Path::new("/usr/local"), &|name| name.starts_with("cuda-")));
    let folders = |root: PathBuf| ["lib64", "lib", "bin"].map(|folder| root.join(folder));
    roots.into_iter().flat_map(folders).collect()
}

/// Library folders of pip's packages, in every Python that is easily found.
fn packages(package: &str) -> Vec<PathBuf> {
    let named = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(std::env::var_os);
    let mut roots: Vec<PathBuf> = named.map(PathBuf::from).collect();
    roots.extend(std::env::var_os("HOME").map(|home| Path::new(&home).join(".local")));
    roots.extend(["/usr/local", "/usr"].map(PathBuf::from));
    let pythons = roots
        .iter()
        .flat_map(|root| entries(&root.join("lib"), &|name| name.starts_with("python3")));
    let kinds = ["site-packages", "dist-packages"];
    pythons
        .flat_map(|python| kinds.map(|kind| python.join(kind)))
        .map(|folder| folder.join("nvidia").join(package).join("lib"))
        .collect()
}

/// Entries of a folder by name, last name first, so that the newest of several versions leads.
fn entries(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(listed) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = listed
        .filter_map(|entry| entry.ok())
        .filter(|entry| entry.file_name().to_str().is_some_and(wanted))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found.reverse();
    found
}
