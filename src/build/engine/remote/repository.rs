//! A commit of a repository, as a directory.
//!
//! ```text
//! resolve    branch, tag or nothing -> commit, by asking the remote; a whole commit is not asked for
//! fetch      that commit alone, where it is not here
//! check out  files, submodules, and .git where it is asked for
//! ```

use super::{
    Access, Place, Tree,
    error::{RemoteError, Result},
    git::Git,
};
use crate::{
    build::{
        engine::view::{Node, View},
        remote::{GitUrl, redacted},
    },
    image::{Digest, tree},
    state::{Durability, Layout, record},
};
use serde::{Deserialize, Serialize};
use std::{
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

/// The configuration of a repository as it was when it was made; git notes submodules in it.
const PRISTINE: &str = "muster-config";

/// Of a repository; each commit that is fetched adds one.
const MAX_PACKS: usize = 32;

/// What is known of the repository of a remote.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// Of its directory. A fresh one for each, so that a git whose muster was killed does not write into the next.
    repository: String,
    /// Nobody was writing it when this was written.
    whole: bool,
}

/// What a name stands for at the remote.
struct Resolved {
    commit: String,
    /// Its whole name there; `None` where the commit itself was asked for.
    name: Option<String>,
}

/// The files of what `url` names. With `keep_git_dir` the directory is a repository itself.
pub async fn checkout(layout: &Layout, access: &Access, url: &GitUrl, keep_git_dir: bool) -> Result<Tree> {
    let place = Place::open(layout, &url.remote).await?;
    let git = Git::new(url, access, layout.build_git())?;
    let subdir = clean(url)?;
    // As BuildKit has it: the directory of git is of the whole.
    let keep = keep_git_dir && subdir.as_os_str().is_empty();
    let submodules = url.submodules.unwrap_or(true);
    let work = Work { git, place, keep, submodules };
    let tree = work.tree().await?;
    below(url, tree, &subdir)
}

/// The part of the tree that is asked for, free of links: none of them leads out.
fn below(url: &GitUrl, tree: Tree, subdir: &Path) -> Result<Tree> {
    if subdir.as_os_str().is_empty() {
        return Ok(tree);
    }
    let place = View::open([&tree.dir]).and_then(|view| view.walk(subdir, true));
    match place {
        Ok(place) if matches!(place.node, Some(Node::Dir(_))) => Ok(Tree { dir: tree.dir.join(place.path), ..tree }),
        Ok(_) => Err(no_directory(url)),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(no_directory(url)),
        // A link to itself, or to where it would be on this host.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Err(no_directory(url)),
        Err(error) => Err(RemoteError::file("look into", &tree.dir)(error)),
    }
}

fn no_directory(url: &GitUrl) -> RemoteError {
    RemoteError::NoDirectory { url: redacted(&url.remote), subdir: url.subdir.clone().unwrap_or_default() }
}

/// Relative, without `..`.
fn clean(url: &GitUrl) -> Result<PathBuf> {
    let mut clean = PathBuf::new();
    for part in Path::new(url.subdir.as_deref().unwrap_or_default()).components() {
        match part {
            std::path::Component::Normal(name) => clean.push(name),
            std::path::Component::ParentDir if !clean.pop() => return Err(no_directory(url)),
            _ => {}
        }
    }
    Ok(clean)
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

struct Work<'a> {
    git: Git<'a>,
    place: Place,
    keep: bool,
    submodules: bool,
}

/// Arguments of a git over its directory.
fn over<'a>(git_dir: &'a Path, args: &[&'a str]) -> Vec<&'a OsStr> {
    [OsStr::new("--git-dir"), git_dir.as_os_str()].into_iter().chain(args.iter().map(|arg| OsStr::new(*arg))).collect()
}

impl Work<'_> {
    async fn tree(&self) -> Result<Tree> {
        let url = self.git.url;
        let whole = url.reference.as_deref().filter(|reference| is_commit(reference));
        // A commit is what it is: with its files here nobody is asked.
        if let Some(commit) = whole {
            self.check(commit)?;
            if let Some(tree) = self.place.find(&self.name(commit))? {
                return Ok(tree);
            }
        }
        let repository = self.open().await?;
        let resolved = match whole {
            Some(commit) => Resolved { commit: commit.to_owned(), name: None },
            None => self.resolve(&repository).await?,
        };
        self.check(&resolved.commit)?;
        if let Some(tree) = self.place.find(&self.name(&resolved.commit))? {
            return Ok(tree);
        }
        self.mark(&repository, false)?;
        let tree = self.bring(&repository, &resolved).await;
        // What git said no to is whole; only who is killed leaves a half.
        let whole = tree.is_err() || self.tidy(&repository, &resolved).await.unwrap_or(false);
        self.mark(&repository, whole)?;
        tree
    }

    async fn bring(&self, repository: &Path, resolved: &Resolved) -> Result<Tree> {
        let commit = self.fetch(repository, resolved).await?;
        self.check(&commit)?;
        self.make(repository, &Resolved { commit, name: resolved.name.clone() }).await
    }

    /// Makes one pack of many, without the commits that were fetched under other names: those who want them find their
    /// trees, or fetch what has changed. `false` where git fails; then the next who comes begins anew.
    async fn tidy(&self, repository: &Path, resolved: &Resolved) -> Result<bool> {
        let packs = repository.join("objects/pack");
        let entries = fs::read_dir(&packs).map_err(RemoteError::file("read", &packs))?.flatten();
        if entries.filter(|entry| entry.path().extension() == Some(OsStr::new("pack"))).count() <= MAX_PACKS {
            return Ok(true);
        }
        let list = over(repository, &["for-each-ref", "--format=%(refname)", "refs/muster/one/"]);
        let Ok(names) = self.git.try_run(repository, &list, &[]).await? else { return Ok(false) };
        let kept = self.kept(resolved);
        for name in names.lines().filter(|name| *name != kept) {
            let delete = over(repository, &["update-ref", "-d", name]);
            if self.git.try_run(repository, &delete, &[]).await?.is_err() {
                return Ok(false);
            }
        }
        let collect = over(repository, &["gc", "-q", "--prune=now"]);
        Ok(self.git.try_run(repository, &collect, &[]).await?.is_ok())
    }

    fn name(&self, commit: &str) -> String {
        let git = if self.keep { "-git" } else { "" };
        let submodules = if self.submodules { "" } else { "-alone" };
        format!("{commit}{git}{submodules}")
    }

    fn check(&self, commit: &str) -> Result<()> {
        let url = self.git.url;
        match &url.checksum {
            Some(expected) if !commit.starts_with(expected.as_str()) => Err(RemoteError::Checksum {
                url: self.git.shown(),
                reference: url.reference.clone().unwrap_or_else(|| "its own branch".into()),
                found: commit.to_owned(),
                expected: expected.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn state(&self) -> PathBuf {
        self.place.dir.join("state.json")
    }

    fn mark(&self, repository: &Path, whole: bool) -> Result<()> {
        let name = repository.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let durability = if whole { Durability::Volatile } else { Durability::Durable };
        Ok(record::write(&self.state(), &State { repository: name, whole }, durability)?)
    }

    /// The repository of this remote, made where it is not here or not whole.
    async fn open(&self) -> Result<PathBuf> {
        let dir = &self.place.dir;
        let known: Option<State> = record::read(&self.state()).unwrap_or(None);
        let known = known.filter(|state| state.whole).map(|state| state.repository);
        let known = known.filter(|name| name.starts_with("repository-") && dir.join(name).is_dir());
        for entry in fs::read_dir(dir).map_err(RemoteError::file("read", dir))?.flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with("repository-") && known.as_ref().is_none_or(|known| name != **known) {
                self.place.discard(&entry.path())?;
            }
        }
        if let Some(name) = known {
            return Ok(dir.join(name));
        }
        let repository = dir.join(format!("repository-{}", crate::build::engine::cache::random()));
        let init = ["init", "-q", "--bare"].map(OsStr::new);
        let args: Vec<&OsStr> = init.into_iter().chain([repository.as_os_str()]).collect();
        self.git.run("prepare", dir, &args, &[]).await?;
        self.configure(&repository, &self.git.url.remote, "[uploadpack]\n\tallowAnySHA1InWant = true\n")?;
        let (config, pristine) = (repository.join("config"), repository.join(PRISTINE));
        fs::copy(&config, &pristine).map_err(RemoteError::file("write", &pristine))?;
        self.mark(&repository, true)?;
        Ok(repository)
    }

    /// Written by hand: as an argument of git everybody on the host could read the login in it.
    fn configure(&self, git_dir: &Path, remote: &str, more: &str) -> Result<()> {
        let path = git_dir.join("config");
        let quoted = remote.replace('\\', "\\\\").replace('"', "\\\"");
        let text = fs::read_to_string(&path).map_err(RemoteError::file("read", &path))?;
        let text = format!("{text}[remote \"origin\"]\n\turl = \"{quoted}\"\n{more}");
        Ok(record::write_bytes(&path, text.as_bytes(), Durability::Volatile)?)
    }

    async fn resolve(&self, repository: &Path) -> Result<Resolved> {
        let verb = "read the branches of";
        let Some(reference) = &self.git.url.reference else {
            let args = over(repository, &["ls-remote", "--symref", "origin", "HEAD"]);
            let told = self.git.run(verb, repository, &args, &[]).await?;
            let name = told.lines().find_map(|line| line.strip_prefix("ref: ")?.strip_suffix("\tHEAD"));
            let commit = told.lines().find_map(|line| line.strip_suffix("\tHEAD").filter(|commit| is_commit(commit)));
            let commit = commit.ok_or_else(|| self.no_reference("HEAD"))?;
            return Ok(Resolved { commit: commit.to_owned(), name: Some(name.unwrap_or("HEAD").to_owned()) });
        };
        let peeled = format!("{reference}^{{}}");
        let args = over(repository, &["ls-remote", "origin", reference, &peeled]);
        let told = self.git.run(verb, repository, &args, &[]).await?;
        let commit_of = |name: &str| {
            let peeled = format!("{name}^{{}}");
            let mut lines = told.lines().filter_map(|line| line.split_once('\t'));
            let plain = lines.clone().find(|(_, known)| *known == name)?.0;
            let commit = lines.find(|(_, known)| *known == peeled).map_or(plain, |(commit, _)| commit);
            is_commit(commit).then(|| commit.to_owned())
        };
        // A branch before a tag of the same name, as git checks out.
        let names = [
            reference.clone(),
            format!("refs/{reference}"),
            format!("refs/heads/{reference}"),
            format!("refs/tags/{reference}"),
        ];
        let found = names.into_iter().find_map(|name| Some((commit_of(&name)?, name)));
        let (commit, name) = found.ok_or_else(|| self.no_reference(reference))?;
        Ok(Resolved { commit, name: Some(name) })
    }

    fn no_reference(&self, reference: &str) -> RemoteError {
        RemoteError::NoReference { url: self.git.shown(), reference: reference.to_owned() }
    }

    /// Brings the commit here, and says which it is: a branch may have moved on since it was asked for.
    async fn fetch(&self, repository: &Path, resolved: &Resolved) -> Result<String> {
        let kept = self.kept(resolved);
        let object = format!("{}^{{commit}}", resolved.commit);
        if self.git.try_run(repository, &over(repository, &["cat-file", "-e", &object]), &[]).await?.is_ok() {
            let args = over(repository, &["update-ref", &kept, &resolved.commit]);
            self.git.run("note", repository, &args, &[]).await?;
            return Ok(resolved.commit.clone());
        }
        let wanted = format!("+{}:{kept}", resolved.name.as_deref().unwrap_or(&resolved.commit));
        let one = ["fetch", "-q", "--depth=1", "--no-tags", "--no-recurse-submodules", "origin", &wanted];
        let failure = match self.git.try_run(repository, &over(repository, &one), &[]).await? {
            Ok(_) => return self.commit(repository, &kept).await,
            Err(failure) => failure,
        };
        // Servers that are nothing but files know no depth.
        let plain: Vec<&str> = one.into_iter().filter(|arg| *arg != "--depth=1").collect();
        let no_depth = ["shallow", "--depth"].iter().any(|word| failure.text.contains(word));
        if no_depth && self.git.try_run(repository, &over(repository, &plain), &[]).await?.is_ok() {
            return self.commit(repository, &kept).await;
        }
        if resolved.name.is_some() {
            return Err(self.git.failed("fetch", &failure));
        }
        // Old servers give what has a name alone: everything, and the commit is among it.
        let mut all = vec!["fetch", "-q", "--no-recurse-submodules", "origin"];
        if repository.join("shallow").exists() {
            all.insert(1, "--unshallow");
        }
        all.extend(["+refs/heads/*:refs/muster/all/heads/*", "+refs/tags/*:refs/muster/all/tags/*"]);
        self.git.run("fetch", repository, &over(repository, &all), &[]).await?;
        if self.git.try_run(repository, &over(repository, &["cat-file", "-e", &object]), &[]).await?.is_err() {
            return Err(self.no_reference(&resolved.commit));
        }
        let args = over(repository, &["update-ref", &kept, &resolved.commit]);
        self.git.run("note", repository, &args, &[]).await?;
        Ok(resolved.commit.clone())
    }

    /// The name under which it is kept, so that the next fetch can say what is here.
    fn kept(&self, resolved: &Resolved) -> String {
        let name = resolved.name.as_deref().unwrap_or(&resolved.commit);
        format!("refs/muster/one/{}", &Digest::of(name.as_bytes()).hex()[..32])
    }

    async fn commit(&self, repository: &Path, name: &str) -> Result<String> {
        let name = format!("{name}^{{commit}}");
        let args = over(repository, &["rev-parse", "--verify", "-q", &name]);
        let told = self.git.run("read", repository, &args, &[]).await?;
        let commit = told.trim();
        if is_commit(commit) { Ok(commit.to_owned()) } else { Err(self.no_reference(&name)) }
    }

    async fn make(&self, repository: &Path, resolved: &Resolved) -> Result<Tree> {
        let name = self.name(&resolved.commit);
        if let Some(tree) = self.place.find(&name)? {
            return Ok(tree);
        }
        let fresh = self.place.fresh()?;
        let made = fresh.0.join("made");
        let files = made.join("files");
        fs::create_dir(&made).map_err(RemoteError::file("make", &made))?;
        tree::make_top(&files).map_err(RemoteError::file("make", &files))?;
        // Not the repository's own: the next checkout begins from nothing as well.
        let index = fresh.0.join("index");
        let git_dir = match self.keep {
            true => self.own(repository, resolved, &files).await?,
            false => repository.to_owned(),
        };
        let env: Vec<(&str, &OsStr)> = match self.keep {
            true => Vec::new(),
            false => vec![("GIT_INDEX_FILE", index.as_os_str())],
        };
        let mut work_tree = OsString::from("--work-tree=");
        work_tree.push(&files);
        // The index gets no times of files, so that it is the same each time.
        for words in [vec!["read-tree", &resolved.commit], vec!["checkout-index", "-a", "-f", "-q"]] {
            let args: Vec<&OsStr> = [work_tree.as_os_str()].into_iter().chain(over(&git_dir, &words)).collect();
            self.git.run("check out", &files, &args, &env).await?;
        }
        if self.submodules && files.join(".gitmodules").symlink_metadata().is_ok_and(|data| data.is_file()) {
            if !self.keep {
                forget_submodules(repository)?;
            }
            let words = ["submodule", "update", "-q", "--init", "--recursive", "--depth=1"];
            let args: Vec<&OsStr> = [work_tree.as_os_str()].into_iter().chain(over(&git_dir, &words)).collect();
            self.git.run("fetch submodules of", &files, &args, &env).await?;
            if !self.keep {
                remove_links(&files)?;
            }
        }
        self.place.keep(&made, &name)
    }

    /// A repository in the files, with this commit alone.
    async fn own(&self, repository: &Path, resolved: &Resolved, files: &Path) -> Result<PathBuf> {
        let git_dir = files.join(".git");
        let init: Vec<&OsStr> = ["init", "-q"].map(OsStr::new).into_iter().chain([files.as_os_str()]).collect();
        self.git.run("prepare", files, &init, &[]).await?;
        let mut from = OsString::from("file://");
        from.push(repository);
        let name = resolved.name.as_deref().filter(|name| *name != "HEAD");
        let wanted = match name {
            Some(name) => format!("+{}:{name}", self.kept(resolved)),
            None => self.kept(resolved),
        };
        let fetch = ["fetch", "-q", "--update-head-ok", "--depth=1", "--no-tags", "--no-recurse-submodules"];
        let args: Vec<&OsStr> =
            over(&git_dir, &fetch).into_iter().chain([from.as_os_str(), OsStr::new(&wanted)]).collect();
        self.git.run("copy", files, &args, &[("GIT_ALLOW_PROTOCOL", OsStr::new("file"))]).await?;
        let detach = over(&git_dir, &["update-ref", "--no-deref", "HEAD", &resolved.commit]);
        self.git.run("copy", files, &detach, &[]).await?;
        let fetched = git_dir.join("FETCH_HEAD");
        fs::remove_file(&fetched).map_err(RemoteError::file("remove", &fetched))?;
        // Where a submodule's address may count from.
        let remote = redacted(&self.git.url.remote);
        self.configure(&git_dir, &remote, "\tfetch = +refs/heads/*:refs/remotes/origin/*\n")?;
        Ok(git_dir)
    }
}

/// What another commit said about submodules of these names: addresses, and what came from there.
fn forget_submodules(repository: &Path) -> Result<()> {
    let (config, pristine, modules) =
        (repository.join("config"), repository.join(PRISTINE), repository.join("modules"));
    let text = fs::read(&pristine).map_err(RemoteError::file("read", &pristine))?;
    record::write_bytes(&config, &text, Durability::Volatile)?;
    tree::remove(&modules).map_err(RemoteError::file("remove", &modules))
}

/// The files by which a submodule's directory knows its repository, which is not in the context. No commit has a file of
/// that name: git refuses it.
fn remove_links(files: &Path) -> Result<()> {
    let mut open = vec![files.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).map_err(RemoteError::file("read", &dir))? {
            let entry = entry.map_err(RemoteError::file("read", &dir))?;
            let kind = entry.file_type().map_err(RemoteError::file("read", &dir))?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() && entry.file_name() == ".git" {
                let path = entry.path();
                fs::remove_file(&path).map_err(RemoteError::file("remove", &path))?;
            }
        }
    }
    Ok(())
}
