//! What is left of labs, told apart from what is not.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::owner::Owner;

struct World {
    root: tempfile::TempDir,
    registry: Registry,
    name: LabName,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("must be made");
        let folder = Utf8Path::from_path(root.path()).expect("must be UTF-8");
        let registry = Registry::at(folder.join("labs"));
        registry.prepare().expect("must be made");
        Self {
            root,
            registry,
            name: "lost".parse().expect("must be a name"),
        }
    }

    /// Writes an entry, with a lock that nobody holds.
    fn write(&self, owner: &str, folder: &Utf8Path) -> Found {
        let entry = self.registry.of(&self.name);
        std::fs::create_dir(&entry).expect("must be made");
        std::fs::write(entry.join(LOCK), "").expect("must be written");
        let record = serde_json::json!({ "owner": owner, "folder": folder, "backend": "future" });
        std::fs::write(entry.join(RECORD), record.to_string()).expect("must be written");
        self.find().expect("must be there")
    }

    fn find(&self) -> Option<Found> {
        self.registry.find(&self.name).expect("must be readable")
    }

    fn folder(&self, name: &str) -> Utf8PathBuf {
        let root = Utf8Path::from_path(self.root.path()).expect("must be UTF-8");
        let path = root.join(name);
        std::fs::create_dir(&path).expect("must be made");
        path
    }
}

/// One that has ended.
fn ended() -> String {
    let text = Owner::current().to_string();
    let mut words: Vec<_> = text.split(':').collect();
    // Nothing began in the first tick after the boot but the kernel.
    words[2] = "1";
    words.join(":")
}

#[tokio::test]
async fn what_a_record_calls_its_run_folder_and_is_none_is_left() {
    let world = World::new();
    let precious = world.folder("precious");
    std::fs::write(precious.join("owner"), ended()).expect("must be written");
    let found = world.write(&ended(), &precious);
    assert_eq!(found.standing, Standing::Lost);
    let error = world.registry.end(&found).await.expect_err("must be told");
    assert!(
        matches!(error, RegistryError::Left { free: true, .. }),
        "{error}"
    );
    assert!(precious.join("owner").exists());
    assert!(world.find().is_none(), "the name is free");
}

#[tokio::test]
async fn the_run_folder_of_a_lab_of_a_later_version_goes() {
    let world = World::new();
    let folder = world.folder("tokenlab-0123456789ab");
    let owner = format!("{}:more", ended());
    std::fs::write(folder.join("owner"), &owner).expect("must be written");
    let found = world.write(&owner, &folder);
    assert!(found.record.is_none(), "of a backend that is not known");
    world.registry.end(&found).await.expect("must end");
    assert!(!folder.exists());
    assert!(world.find().is_none());
}

#[tokio::test]
async fn who_only_looks_does_not_keep_it_from_being_ended() {
    let world = World::new();
    let folder = world.folder("tokenlab-0123456789ab");
    std::fs::write(folder.join("owner"), ended()).expect("must be written");
    let found = world.write(&ended(), &folder);
    let reader = world.registry.open(&world.name).expect("must be readable");
    let reader = reader.expect("must be there");
    reader.try_lock_shared().expect("must be free");
    let end = world.registry.end(&found);
    let mut end = std::pin::pin!(end);
    // It is polled once, and finds the lock held.
    assert!(futures::poll!(&mut end).is_pending());
    drop(reader);
    end.await.expect("must end");
    assert!(!folder.exists());
    assert!(world.find().is_none());
}

#[tokio::test]
async fn one_that_lost_its_lock_is_ended_all_the_same() {
    let world = World::new();
    let folder = world.folder("tokenlab-0123456789ab");
    std::fs::write(folder.join("owner"), ended()).expect("must be written");
    world.write(&ended(), &folder);
    let lock = world.registry.of(&world.name).join(LOCK);
    std::fs::remove_file(lock).expect("must be there");
    let found = world.find().expect("must be there");
    world.registry.end(&found).await.expect("must end");
    assert!(!folder.exists());
    assert!(world.find().is_none());
}

#[tokio::test]
async fn one_of_another_machine_stays() {
    let world = World::new();
    let folder = world.folder("tokenlab-0123456789ab");
    let uid = Uid::effective();
    let owner = format!("{uid}:7:123:another-boot:4026531836:another");
    std::fs::write(folder.join("owner"), &owner).expect("must be written");
    let found = world.write(&owner, &folder);
    assert_eq!(found.standing, Standing::Elsewhere);
    let error = world
        .registry
        .end(&found)
        .await
        .expect_err("must be refused");
    assert!(matches!(error, RegistryError::Owned { .. }), "{error}");
    assert!(folder.exists());
    assert!(world.find().is_some());
}

/// It cannot be asked to end by whom cannot read who it is: to wait would be in vain.
#[tokio::test]
async fn one_whose_supervisor_cannot_be_read_is_told_at_once() {
    let world = World::new();
    world.write("somebody", Utf8Path::new("/nowhere"));
    let lock = world.registry.open(&world.name).expect("must be readable");
    let lock = lock.expect("must be there");
    lock.try_lock().expect("must be free");
    let found = world.find().expect("must be there");
    let error = world
        .registry
        .end(&found)
        .await
        .expect_err("must be refused");
    assert!(matches!(error, RegistryError::Owned { .. }), "{error}");
}

#[test]
fn a_folder_that_others_may_write_is_refused() {
    let world = World::new();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(&world.registry.folder, open).expect("must be set");
    let error = world.registry.all().expect_err("must be refused");
    assert!(matches!(error, RegistryError::Open { .. }), "{error}");
}

/// All of them have found the name free.
#[test]
fn of_many_who_race_for_a_name_one_has_it() {
    const RACERS: usize = 4;
    let world = World::new();
    for round in 0..50 {
        let path = world.registry.folder.join(format!("race-{round}"));
        let start = std::sync::Barrier::new(RACERS);
        let race = || {
            let draft = world.registry.passing();
            std::fs::create_dir(&draft).expect("must be made");
            std::fs::write(draft.join(LOCK), draft.as_str()).expect("must be written");
            start.wait();
            let taken = claim::take(&draft, &path).expect("must be told");
            taken.then_some(draft)
        };
        let winners: Vec<_> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..RACERS).map(|_| scope.spawn(race)).collect();
            let ended = racers.into_iter().map(std::thread::ScopedJoinHandle::join);
            ended.filter_map(|won| won.expect("must end")).collect()
        });
        let [winner] = &*winners else {
            panic!("one must have it: {winners:?}");
        };
        let content = std::fs::read_to_string(path.join(LOCK)).expect("must be there");
        assert_eq!(&content, winner);
    }
}

#[test]
fn what_a_kill_left_on_its_way_in_goes() {
    let world = World::new();
    let make = |name: &str, hours: u64| {
        let path = world.registry.folder.join(name);
        std::fs::create_dir(&path).expect("must be made");
        let lock = File::create(path.join(LOCK)).expect("must be made");
        let then = std::time::SystemTime::now() - std::time::Duration::from_secs(hours * 3600);
        let folder = File::open(&path).expect("must be there");
        folder.set_modified(then).expect("must be set");
        (path, lock)
    };
    let (left, _) = make(".left", 1);
    let (young, _) = make(".young", 0);
    let (held, lock) = make(".held", 1);
    lock.try_lock().expect("must be free");
    let (lab, _) = make("lab", 1);
    world.registry.sweep();
    assert!(!left.exists());
    assert!(young.exists() && held.exists() && lab.exists());
}
