use super::{FIRST, Group, Options, Processes, Which};
use crate::errno::Errno;
use crate::kill::KillToken;
use crate::signal::{Disposition, SignalState, Verdict};

struct Space {
    processes: Processes,
    tokens: std::collections::HashMap<u32, KillToken>,
}

impl Space {
    fn new(limit: u32) -> Space {
        let first = KillToken::default();
        Space {
            processes: Processes::new(limit, first.clone()),
            tokens: [(FIRST, first)].into(),
        }
    }

    fn add(&mut self, parent: u32) -> u32 {
        self.add_to(parent, Group::Inherit).unwrap()
    }

    fn add_to(&mut self, parent: u32, group: Group) -> Result<u32, Errno> {
        let token = KillToken::new(self.tokens[&parent].signals(|s| s.inherited()));
        let pid = self.processes.add(parent, token.clone(), group)?;
        self.tokens.insert(pid, token);
        Ok(pid)
    }

    fn end(&self, pid: u32, status: u32) {
        self.processes.end(pid, &self.tokens[&pid], status);
        self.processes.gone();
    }

    fn verdict(&self, pid: u32) -> Verdict {
        self.tokens[&pid].signals(|s| s.verdict())
    }

    fn poll(&self, caller: u32, which: Which) -> Result<Option<(u32, u32)>, Errno> {
        self.processes
            .poll_child(caller, which, Options::default())
            .map(told)
    }
}

/// Number and status.
fn told(news: Option<super::News>) -> Option<(u32, u32)> {
    news.map(|news| (news.pid, news.status))
}

#[test]
fn a_parent_gets_each_status_once_and_then_there_is_no_child() {
    let mut space = Space::new(10);
    let (a, b) = (space.add(FIRST), space.add(FIRST));
    assert_eq!(space.poll(FIRST, Which::Any), Ok(None));
    space.end(b, 3 << 8);
    assert_eq!(space.poll(FIRST, Which::Pid(a)), Ok(None));
    assert_eq!(space.poll(FIRST, Which::Any), Ok(Some((b, 3 << 8))));
    assert_eq!(space.poll(FIRST, Which::Pid(b)), Err(Errno::CHILD));
    space.end(a, 9);
    assert_eq!(space.poll(FIRST, Which::Pid(a)), Ok(Some((a, 9))));
    assert_eq!(space.poll(FIRST, Which::Any), Err(Errno::CHILD));
    assert_eq!(space.processes.len(), 1);
}

#[test]
fn nobody_waits_for_anothers_child() {
    let mut space = Space::new(10);
    let child = space.add(FIRST);
    let grandchild = space.add(child);
    space.end(grandchild, 0);
    assert_eq!(space.poll(FIRST, Which::Pid(grandchild)), Err(Errno::CHILD));
    assert_eq!(space.poll(child, Which::Any), Ok(Some((grandchild, 0))));
}

#[test]
fn orphans_are_reaped_by_nobody_and_leave_nothing() {
    let mut space = Space::new(10);
    let child = space.add(FIRST);
    let (running, zombie) = (space.add(child), space.add(child));
    space.end(zombie, 0);
    space.end(child, 0);
    assert_eq!(space.processes.len(), 3); // 1, the child nobody waited for, the orphan.
    assert_eq!(space.processes.parent(running), FIRST);
    assert_eq!(space.poll(FIRST, Which::Any), Ok(Some((child, 0))));
    assert_eq!(space.poll(FIRST, Which::Any), Err(Errno::CHILD));
    space.end(running, 0);
    assert_eq!(space.processes.len(), 1);
}

#[test]
fn who_ignores_the_end_of_children_has_no_zombies() {
    let mut space = Space::new(10);
    space.tokens[&FIRST]
        .signals(|s| s.set_disposition(libc::SIGCHLD, Disposition::Ignore))
        .unwrap();
    let child = space.add(FIRST);
    space.end(child, 0);
    assert_eq!(space.processes.len(), 1);
    assert_eq!(space.poll(FIRST, Which::Any), Err(Errno::CHILD));
}

#[test]
fn the_table_is_full_at_its_limit_and_zombies_count() {
    let mut space = Space::new(3);
    let child = space.add(FIRST);
    space.add(FIRST);
    space.end(child, 0);
    assert_eq!(space.add_to(FIRST, Group::Inherit), Err(Errno::AGAIN));
    space.poll(FIRST, Which::Any).unwrap();
    assert!(space.add_to(FIRST, Group::Inherit).is_ok());
}

#[test]
fn numbers_come_round_without_meeting_the_living() {
    let mut space = Space::new(10);
    let stays = space.add(FIRST);
    let group = space.add_to(FIRST, Group::Own).unwrap();
    let member = space.add_to(FIRST, Group::Of(group)).unwrap();
    space.end(group, 0);
    space.poll(FIRST, Which::Pid(group)).unwrap();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..40_000 {
        let pid = space.add(FIRST);
        assert!(![FIRST, stays, group, member].contains(&pid));
        assert!(pid <= 32768);
        seen.insert(pid);
        space.end(pid, 0);
        assert_eq!(space.poll(FIRST, Which::Pid(pid)), Ok(Some((pid, 0))));
    }
    assert!(seen.len() > 32000);
}

#[test]
fn a_signal_reaches_a_process_a_group_or_everyone() {
    let end = Verdict::End(libc::SIGTERM);
    let mut space = Space::new(10);
    let (a, b) = (space.add(FIRST), space.add_to(FIRST, Group::Own).unwrap());
    let c = space.add_to(FIRST, Group::Of(b)).unwrap();
    let kill = |space: &Space, target| {
        space
            .processes
            .kill(a, target, libc::SIGTERM)
            .map(|r| r.len())
    };
    assert_eq!(kill(&space, -(b as i32)), Ok(2));
    assert_eq!((space.verdict(b), space.verdict(c)), (end, end));
    assert_eq!(space.verdict(a), Verdict::GoOn);
    assert_eq!(space.processes.kill(a, a as i32, 0).map(|r| r.len()), Ok(0));
    assert_eq!(kill(&space, 999), Err(Errno::SRCH));
    assert_eq!(kill(&space, -999), Err(Errno::SRCH));
    assert_eq!(
        space.processes.kill(a, a as i32, 65).err(),
        Some(Errno::INVAL)
    );
    assert_eq!(
        space.processes.kill(a, a as i32, -1).err(),
        Some(Errno::INVAL)
    );
    assert_eq!(kill(&space, i32::MIN), Err(Errno::SRCH));
    let d = space.add(FIRST);
    assert_eq!(kill(&space, -1), Ok(1));
    assert_eq!(
        (space.verdict(d), space.verdict(FIRST)),
        (end, Verdict::GoOn)
    );
    // Process 1 is of this group too.
    assert_eq!(kill(&space, 0), Ok(1));
    assert_eq!(
        (space.verdict(a), space.verdict(FIRST)),
        (end, Verdict::GoOn)
    );
}

#[test]
fn process_1_takes_from_inside_only_what_it_catches_and_from_the_host_everything() {
    let mut space = Space::new(10);
    let child = space.add(FIRST);
    for signal in [libc::SIGKILL, libc::SIGSTOP, libc::SIGTERM, libc::SIGTSTP] {
        for (caller, target) in [(child, 1), (child, 0), (FIRST, 1), (FIRST, 0)] {
            let _ = space.processes.kill(caller, target, signal);
        }
        assert_eq!(space.verdict(FIRST), Verdict::GoOn, "{signal}");
    }
    let catch = Disposition::Catch(Default::default(), Default::default());
    space.tokens[&FIRST]
        .signals(|s| s.set_disposition(libc::SIGTERM, catch))
        .unwrap();
    let sent = space.processes.kill(child, 1, libc::SIGTERM);
    assert_eq!(sent.map(|reached| reached.len()), Ok(1));
    assert_eq!(space.verdict(FIRST), Verdict::Deliver);
    let first = &space.tokens[&FIRST];
    space.processes.post(FIRST, first, libc::SIGKILL);
    assert_eq!(space.verdict(FIRST), Verdict::End(libc::SIGKILL));
}

#[test]
fn a_process_that_ended_takes_no_signal_but_is_there() {
    let mut space = Space::new(10);
    let child = space.add(FIRST);
    space.end(child, 0);
    let reached = space
        .processes
        .kill(FIRST, child as i32, libc::SIGKILL)
        .unwrap();
    assert!(reached.is_empty());
    assert_eq!(space.poll(FIRST, Which::Any), Ok(Some((child, 0))));
}

#[test]
fn the_end_of_process_1_kills_the_others_and_nothing_new_starts() {
    let mut space = Space::new(10);
    let child = space.add(FIRST);
    let grandchild = space.add(child);
    space.end(FIRST, 0);
    for pid in [child, grandchild] {
        assert_eq!(space.verdict(pid), Verdict::End(libc::SIGKILL));
    }
    assert_eq!(space.add_to(child, Group::Inherit), Err(Errno::AGAIN));
    space.end(child, 9);
    space.end(grandchild, 9);
    space.processes.wait_until_empty();
}

#[test]
fn stops_and_continuations_are_told_to_who_asks() {
    let mut space = Space::new(10);
    let child = space.add(FIRST);
    let all = Options {
        stopped: true,
        continued: true,
        ..Options::default()
    };
    let poll = |space: &Space, options| {
        let news = space.processes.poll_child(FIRST, Which::Any, options);
        news.map(told)
    };
    space
        .processes
        .kill(FIRST, child as i32, libc::SIGTSTP)
        .unwrap();
    assert_eq!(space.verdict(child), Verdict::Stop);
    assert_eq!(poll(&space, Options::default()), Ok(None));
    assert_eq!(poll(&space, all), Ok(Some((child, (20 << 8) | 0x7f))));
    assert_eq!(poll(&space, all), Ok(None));
    space
        .processes
        .kill(FIRST, child as i32, libc::SIGCONT)
        .unwrap();
    assert_eq!(poll(&space, all), Ok(Some((child, 0xffff))));
    assert_eq!(space.verdict(child), Verdict::GoOn);
}

#[test]
fn a_process_that_runs_its_child_on_its_own_thread_ends_all_the_same() {
    let mut space = Space::new(10);
    let parent = space.add(FIRST);
    let child = space.add(parent);
    let fds = crate::descriptor::FdTable::default();
    space.tokens[&parent].park(fds, KillToken::default());
    space
        .processes
        .kill(FIRST, parent as i32, libc::SIGTERM)
        .unwrap();
    assert_eq!(
        space.poll(FIRST, Which::Pid(parent)),
        Ok(Some((parent, libc::SIGTERM as u32)))
    );
    assert!(space.tokens[&parent].unpark().is_none());
    assert_eq!(space.processes.parent(child), FIRST);
    assert_eq!(space.verdict(child), Verdict::GoOn);
    // When it gets its thread back it ends for itself, which changes nothing.
    space.end(parent, 0);
}

#[test]
fn groups_and_sessions_keep_their_rules() {
    let mut space = Space::new(10);
    let (a, b) = (space.add(FIRST), space.add(FIRST));
    let table = &space.processes;
    assert_eq!(table.set_group(FIRST, a, 0), Ok(()));
    assert_eq!(table.group(a, 0), Ok(a));
    assert_eq!(table.set_group(FIRST, b, a), Ok(()));
    assert_eq!(table.set_group(a, b, 0), Err(Errno::SRCH));
    assert_eq!(table.set_group(FIRST, b, 77), Err(Errno::PERM));
    assert_eq!(table.set_group(FIRST, 0, a), Err(Errno::PERM)); // It leads the session.
    assert_eq!(table.new_session(a), Err(Errno::PERM));
    assert_eq!(table.new_session(b), Ok(b));
    assert_eq!((table.session(b, 0), table.group(FIRST, b)), (Ok(b), Ok(b)));
    assert_eq!(table.set_group(FIRST, b, b), Err(Errno::PERM));
    assert_eq!(table.set_foreground(FIRST, a), Ok(()));
    assert_eq!(table.set_foreground(FIRST, b), Err(Errno::PERM));
    assert_eq!(table.set_foreground(b, b), Err(Errno::NOTTY));
    assert_eq!(table.foreground(), a);
}

#[test]
fn what_is_blocked_stays_pending_in_the_process() {
    let mut state = SignalState::default();
    state.set_mask(crate::signal::SigSet::of(libc::SIGTERM));
    let token = KillToken::new(state);
    let processes = Processes::new(2, token.clone());
    assert!(processes.post(FIRST, &token, libc::SIGTERM).is_empty());
    assert!(!token.attention());
}
