//! Files that the container makes of its programs' files: what counts is what they hold.

use integration_tests::command::run;

use crate::terminal::Running;

#[test]
fn links_and_copies_are_what_they_hold_and_a_changed_copy_is_nothing() {
    let container = Running::new("tickets");
    let exec = |line: &[&str]| {
        let start = ["exec", &container.id];
        run(&mut container.node.megarun(&[&start[..], line].concat()))
    };
    exec(&["/bin/sh", "-c", include_str!("tickets.sh")]).success();
    for made in ["copied", "linked", "pointing"] {
        let program = format!("/made/{made}/echo");
        // By the host, and by a shell inside.
        let script = format!("{program} from the shell");
        assert_eq!(
            exec(&[&program, "from outside"]).success().out(),
            "from outside\n"
        );
        let inside = exec(&["/bin/sh", "-c", &script]);
        assert_eq!(inside.success().out(), "from the shell\n");
    }
    let changed = "/made/changed/echo";
    assert_eq!(exec(&[changed, "never"]).code, 126);
    let inside = exec(&["/bin/sh", "-c", "/made/changed/echo never"]);
    assert_eq!((inside.code, inside.out()), (126, String::new()));
}
