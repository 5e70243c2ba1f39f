use super::*;
use crate::log::memory::MemoryCluster;
use crate::log::{AbortReason, NewRecord, Record};
use crate::metrics::Labels;

/// Longer than anything here should take on a busy machine.
const SOON: Duration = Duration::from_secs(20);

fn order(switch: Switch, on: bool, at_ms: i64) -> Order {
    Order { switch, on, by: String::from("ops"), at_ms }
}

fn everything(on: bool, at_ms: i64) -> Order {
    order(Switch::Everything, on, at_ms)
}

fn playbook(on: bool, at_ms: i64) -> Order {
    order(Switch::Playbook(String::from("p")), on, at_ms)
}

fn running(kill_file: Option<PathBuf>) -> Arc<Controls> {
    let controls = Controls::new(kill_file);
    controls.apply([]);
    controls
}

fn wait(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SOON, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn everything_counts_as_stopped_until_the_topic_was_read() {
    let controls = Controls::new(None);
    assert!(controls.killed() && controls.off("p") && controls.stopped("p"));
    controls.apply([]);
    assert!(!controls.stopped("p"));
    controls.forget();
    assert!(controls.stopped("p"));
}

#[test]
fn the_kill_file_stops_all_calls_while_it_exists() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kill");
    let controls = running(Some(file.clone()));
    assert!(!controls.killed());
    std::fs::write(&file, "").unwrap();
    assert!(controls.killed() && controls.stopped("p"));
    std::fs::remove_file(&file).unwrap();
    assert!(!controls.killed());
}

#[test]
fn a_link_that_leads_nowhere_is_a_kill_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kill");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &file).unwrap();
    assert!(running(Some(file)).killed());
}

#[test]
fn a_kill_file_that_cannot_be_looked_at_stops_all_calls_and_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("no-folder");
    std::fs::write(&blocked, "").unwrap();
    // Below a file nothing can be looked at, whoever asks: root may look into every folder.
    let path = blocked.join("kill");
    assert!(running(Some(path.clone())).killed());
    let file = KillFile::new(path);
    let looked = || {
        let (stops, news) = file.look();
        (stops, news.is_some())
    };
    assert_eq!([looked(), looked(), looked()], [(true, true), (true, false), (true, false)]);
    std::fs::remove_file(&blocked).unwrap();
    assert_eq!(looked(), (false, false));
    std::fs::write(&blocked, "").unwrap();
    assert_eq!(looked(), (true, true), "another trouble is said again");
}

#[test]
fn a_kill_file_is_known_by_its_whole_path_and_a_missing_folder_is_noticed() {
    let relative = KillFile::new(PathBuf::from("kill"));
    assert!(relative.path.is_absolute() && !relative.lacks_folder());
    let folder = tempfile::tempdir().unwrap();
    let file = KillFile::new(folder.path().join("later").join("kill"));
    assert!(file.lacks_folder() && !file.stops());
    std::fs::create_dir(folder.path().join("later")).unwrap();
    assert!(!file.lacks_folder());
}

#[test]
fn what_is_stopped_here_is_lifted_by_a_later_order_of_the_topic_only() {
    let controls = running(None);
    controls.stop_here(&everything(false, 10));
    controls.stop_here(&playbook(false, 10));
    assert!(controls.killed() && controls.off("p") && !controls.off("q"));
    // Orders that were given before it and are read after it.
    controls.apply([]);
    controls.apply([everything(true, 9), playbook(true, 10)]);
    assert!(controls.killed() && controls.off("p"));
    controls.apply([playbook(true, 11)]);
    assert!(controls.killed() && !controls.off("p"), "each switch for itself");
    controls.apply([everything(true, 11)]);
    assert!(!controls.stopped("p"));
}

#[test]
fn nothing_goes_again_before_that_is_recorded() {
    let controls = running(None);
    controls.apply([everything(false, 1), playbook(false, 1)]);
    controls.stop_here(&everything(true, 2));
    controls.stop_here(&playbook(true, 2));
    assert!(controls.killed() && controls.off("p"));
}

#[test]
fn a_stop_that_came_back_from_the_topic_counts_as_it_stands_there() {
    let controls = running(None);
    controls.stop_here(&everything(false, 10));
    controls.apply([everything(false, 10)]);
    assert!(controls.killed());
    // The clock of whoever lifts it may be behind: from here on the topic's order counts.
    controls.apply([everything(true, 5)]);
    assert!(!controls.killed());
}

#[test]
fn a_playbook_that_switched_itself_off_shows_off_until_a_person_switches_it_on() {
    let controls = running(None);
    assert!(!controls.shows_off("p"));
    controls.went_off("p", 10);
    assert!(controls.shows_off("p") && !controls.shows_off("q"));
    assert!(!controls.off("p"), "no person did");
    controls.apply([playbook(true, 11)]);
    assert!(!controls.shows_off("p"));
    controls.apply([playbook(false, 12)]);
    assert!(controls.shows_off("p"));
}

#[test]
fn the_gauges_follow_the_topic_without_any_batch() {
    let cluster = MemoryCluster::new(&[("control", 1)]);
    let put = |order: Order| {
        let value = serde_json::to_vec(&order).ok();
        cluster.put("control", 0, NewRecord { value, ..NewRecord::default() });
    };
    let (controls, stop) = (Controls::new(None), Stop::new());
    let metrics = Metrics::new(&Labels::default(), 1).unwrap();
    let off = || metrics.resolve.playbook_off.with_label_values(&["p"]).get();
    let killed = || metrics.resolve.kill_switch.get();
    put(playbook(false, 1));
    let topic = Box::new(cluster.follow("control"));
    let playbooks = vec![String::from("p")];
    let (told, until) = (Arc::clone(&metrics), stop.clone());
    watch(Arc::clone(&controls), "control".into(), topic, playbooks, told, until).unwrap();
    wait("it was off at the start", || off() == 1);
    put(playbook(true, 2));
    wait("a person switched it on", || off() == 0);
    controls.went_off("p", 3);
    wait("it switched itself off", || off() == 1);
    put(playbook(true, 4));
    wait("a person switched it on again", || off() == 0);
    assert_eq!(killed(), 0);
    put(everything(false, 5));
    wait("a person stopped everything", || killed() == 1);
    put(everything(true, 6));
    wait("a person let go again", || killed() == 0);
    stop.request(Duration::ZERO);
    wait("nobody follows the topic", || controls.read(|known| known.heard.is_none()));
    assert!(!controls.killed(), "the last batch ends by what was heard");
}

/// A topic whose brokers go away after the first reading.
struct Away {
    read: bool,
    stop: Stop,
}

impl Follow for Away {
    fn catch_up(&mut self, _: &mut dyn FnMut(Record)) -> Result<(), LogError> {
        if !std::mem::replace(&mut self.read, true) {
            return Ok(());
        }
        while !self.stop.requested() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(LogError::Aborted(AbortReason::Shutdown))
    }
}

#[test]
fn the_gauges_show_what_is_stopped_here_while_the_brokers_are_away() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kill");
    let (controls, stop) = (Controls::new(Some(file.clone())), Stop::new());
    let metrics = Metrics::new(&Labels::default(), 1).unwrap();
    let off = || metrics.resolve.playbook_off.with_label_values(&["p"]).get();
    let killed = || metrics.resolve.kill_switch.get();
    let topic = Box::new(Away { read: false, stop: stop.clone() });
    let playbooks = vec![String::from("p")];
    let (told, until) = (Arc::clone(&metrics), stop.clone());
    watch(Arc::clone(&controls), "control".into(), topic, playbooks, told, until).unwrap();
    controls.stop_here(&playbook(false, 1));
    wait("the playbook is off here", || off() == 1);
    std::fs::write(&file, "").unwrap();
    wait("the kill file is there", || killed() == 1);
    std::fs::remove_file(&file).unwrap();
    wait("the kill file is gone", || killed() == 0);
    controls.stop_here(&everything(false, 2));
    wait("everything is stopped here", || killed() == 1);
    stop.request(Duration::ZERO);
}

/// As if the topic had not been read for longer than is borne.
fn unheard(controls: &Controls) {
    let long_ago = Instant::now().checked_sub(UNHEARD + Duration::from_secs(1));
    controls.write(|known| known.heard = Some(long_ago.expect("a machine that runs for a while")));
}

#[test]
fn all_calls_stop_while_the_topic_is_not_heard_and_go_on_when_it_is_again() {
    let controls = running(None);
    assert!(!controls.heard(), "nobody waited for it");
    assert!(!controls.stopped("p"));
    unheard(&controls);
    assert!(controls.unheard() && controls.killed() && controls.stopped("p"));
    assert!(!controls.off("p"), "no person did");
    controls.apply([playbook(false, 1)]);
    assert!(controls.heard(), "that was overdue");
    assert!(!controls.heard() && !controls.unheard() && !controls.killed() && controls.off("p"));
    unheard(&controls);
    controls.forget();
    assert!(controls.killed() && !controls.unheard(), "then nothing is waited for");
}

#[test]
fn the_kill_gauge_shows_that_the_topic_is_not_heard() {
    let (controls, stop) = (Controls::new(None), Stop::new());
    let metrics = Metrics::new(&Labels::default(), 1).unwrap();
    let topic = Box::new(Away { read: false, stop: stop.clone() });
    let (told, until) = (Arc::clone(&metrics), stop.clone());
    watch(Arc::clone(&controls), "control".into(), topic, Vec::new(), told, until).unwrap();
    unheard(&controls);
    wait("all calls stop", || metrics.resolve.kill_switch.get() == 1);
    stop.request(Duration::ZERO);
}

/// A topic that was made anew after the first reading.
struct Anew {
    read: bool,
}

impl Follow for Anew {
    fn catch_up(&mut self, _: &mut dyn FnMut(Record)) -> Result<(), LogError> {
        if std::mem::replace(&mut self.read, true) {
            return Err(LogError::Fatal(String::from("it is shorter than it was")));
        }
        Ok(())
    }
}

#[test]
fn a_topic_that_cannot_be_read_any_more_stops_all_calls_and_the_gauge_shows_it() {
    let (controls, stop) = (Controls::new(None), Stop::new());
    let metrics = Metrics::new(&Labels::default(), 1).unwrap();
    let topic = Box::new(Anew { read: false });
    let (told, until) = (Arc::clone(&metrics), stop.clone());
    watch(Arc::clone(&controls), "control".into(), topic, Vec::new(), told, until).unwrap();
    wait("all calls stop", || metrics.resolve.kill_switch.get() == 1);
    assert!(controls.stopped("p"));
    stop.request(Duration::ZERO);
}
